//! The fjall database under the embedded journal: keys, batches and bounds. All calls may wait for the disk.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};

use super::OpenError;
use crate::journal::{Entry, Log};
use crate::state::ids::{Offset, Partition};
use crate::state::store::{Batch, Entries};

/// Memory for reading blocks of old records.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// An open database.
pub struct Database {
    path: PathBuf,
    database: fjall::Database,
    ingress: Keyspace,
    outcomes: Keyspace,
    state: Keyspace,
    meta: Keyspace,
}

/// Records that go to one log.
pub struct Append {
    /// Which.
    pub partition: Partition,
    /// Which.
    pub log: Log,
    /// What, where.
    pub entries: Vec<Entry>,
}

impl Database {
    /// Opens it, or makes an empty one.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(path).map_err(|error| OpenError::Folder {
            path: path.to_owned(),
            error,
        })?;
        let failed = |error: fjall::Error| match error {
            fjall::Error::Locked => OpenError::InUse {
                path: path.to_owned(),
                process: None,
            },
            fjall::Error::Io(error) => OpenError::Folder {
                path: path.to_owned(),
                error,
            },
            error => OpenError::Database {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        };
        let database = fjall::Database::builder(path)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(failed)?;
        let keyspace = |name: &str| {
            database
                .keyspace(name, KeyspaceCreateOptions::default)
                .map_err(failed)
        };
        let opened = Self {
            path: path.to_owned(),
            ingress: keyspace("ingress")?,
            outcomes: keyspace("outcomes")?,
            state: keyspace("state")?,
            meta: keyspace("meta")?,
            database: database.clone(),
        };
        // A killed process leaves records that only the page cache holds, and recovery reads them: make them durable
        // before anybody does.
        sync_files(path).map_err(|error| OpenError::Folder {
            path: path.to_owned(),
            error,
        })?;
        Ok(opened)
    }

    fn keyspace(&self, log: Log) -> &Keyspace {
        match log {
            Log::Ingress => &self.ingress,
            Log::Outcomes => &self.outcomes,
        }
    }

    /// The oldest record that is kept, and the next to be written.
    ///
    /// # Errors
    /// What the database says.
    pub fn bounds(&self, partition: Partition, log: Log) -> Result<(Offset, Offset), String> {
        let floor = self
            .meta(&floor_key(partition, log))?
            .and_then(|value| value.as_ref().try_into().ok())
            .map_or(Offset(0), |bytes| Offset(u64::from_be_bytes(bytes)));
        let prefix = partition.0.to_be_bytes();
        let last = self.keyspace(log).prefix(prefix).next_back();
        let end = match last {
            Some(guard) => {
                let key = guard.key().map_err(|error| error.to_string())?;
                offset_of(&key).next()
            }
            None => Offset(0),
        };
        Ok((floor, end.max(floor)))
    }

    /// Records with `from <= offset < until`.
    ///
    /// # Errors
    /// What the database says.
    pub fn read(
        &self,
        partition: Partition,
        log: Log,
        from: Offset,
        until: Offset,
        bytes: usize,
        records: usize,
    ) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        let mut size = 0;
        let range = key(partition, from)..key(partition, until);
        for guard in self.keyspace(log).range(range).take(records) {
            let (key, value) = guard.into_inner().map_err(|error| self.told(&error))?;
            size += value.len();
            entries.push(Entry {
                offset: offset_of(&key),
                bytes: Bytes::from(value),
            });
            if size >= bytes {
                break;
            }
        }
        Ok(entries)
    }

    /// Writes everything in one batch, and syncs.
    ///
    /// # Errors
    /// What the database says: then it is unknown what is there, and the database must be opened again.
    pub fn write(&self, appends: &[Append], state: Batch) -> Result<(), String> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for append in appends {
            let keyspace = self.keyspace(append.log);
            for entry in &append.entries {
                batch.insert(
                    keyspace,
                    key(append.partition, entry.offset),
                    entry.bytes.clone(),
                );
            }
        }
        for (key, value) in state {
            match value {
                Some(value) => batch.insert(&self.state, key, value),
                None => batch.remove(&self.state, key),
            }
        }
        batch.commit().map_err(|error| error.to_string())
    }

    /// Forgets at most `limit` records below `below`; whether there are more.
    ///
    /// # Errors
    /// What the database says.
    pub fn trim(
        &self,
        partition: Partition,
        log: Log,
        below: Offset,
        limit: usize,
    ) -> Result<bool, String> {
        // The floor first: a crash in between leaves records that nobody reads.
        self.set_floor(partition, log, below)?;
        let range = key(partition, Offset(0))..key(partition, below);
        let mut batch = self.database.batch();
        let mut removed = 0;
        for guard in self.keyspace(log).range(range).take(limit) {
            let key = guard.key().map_err(|error| error.to_string())?;
            batch.remove(self.keyspace(log), key);
            removed += 1;
        }
        batch.commit().map_err(|error| error.to_string())?;
        Ok(removed == limit)
    }

    /// Sets the oldest record that is kept.
    ///
    /// # Errors
    /// What the database says.
    pub fn set_floor(&self, partition: Partition, log: Log, oldest: Offset) -> Result<(), String> {
        self.meta
            .insert(floor_key(partition, log), oldest.0.to_be_bytes())
            .map_err(|error| error.to_string())
    }

    /// Entries of the checkpoints' map.
    ///
    /// # Errors
    /// What the database says.
    pub fn state(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, String> {
        self.state
            .range(from.to_vec()..to.to_vec())
            .take(limit)
            .map(|guard| {
                let (key, value) = guard.into_inner().map_err(|error| self.told(&error))?;
                Ok((Bytes::from(key), Bytes::from(value)))
            })
            .collect()
    }

    /// What a failed read means: a disk that fails may do better later, and what is damaged stays so.
    fn told(&self, error: &fjall::Error) -> String {
        let text = error.to_string();
        let is_damage = match error {
            fjall::Error::Storage(_) => !text.contains("Io("),
            fjall::Error::Io(_) | fjall::Error::Poisoned | fjall::Error::Locked => false,
            _ => true,
        };
        if !is_damage {
            return text;
        }
        OpenError::Database {
            path: self.path.clone(),
            reason: text,
        }
        .to_string()
    }

    /// A fact about the journal as a whole.
    ///
    /// # Errors
    /// What the database says.
    pub fn meta(&self, key: &str) -> Result<Option<Bytes>, String> {
        let value = self.meta.get(key).map_err(|error| error.to_string())?;
        Ok(value.map(Bytes::from))
    }

    /// Sets a fact, durably.
    ///
    /// # Errors
    /// What the database says.
    pub fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.meta
            .insert(key, value)
            .and_then(|()| self.database.persist(PersistMode::SyncAll))
            .map_err(|error| error.to_string())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

fn key(partition: Partition, offset: Offset) -> Vec<u8> {
    let mut key = partition.0.to_be_bytes().to_vec();
    key.extend_from_slice(&offset.0.to_be_bytes());
    key
}

fn offset_of(key: &[u8]) -> Offset {
    Offset(crate::state::keys::number_at(key, 2))
}

fn floor_key(partition: Partition, log: Log) -> String {
    format!("floor/{}/{partition}", log.word())
}

/// Syncs every file below `path`. What is gone by then, for the database tidies up meanwhile, needs no sync.
fn sync_files(path: &Path) -> std::io::Result<()> {
    let synced = |path: &Path| {
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            if path.is_dir() {
                sync_files(&path)?;
            } else {
                present(std::fs::File::open(&path))?.map_or(Ok(()), |file| file.sync_all())?;
            }
        }
        std::fs::File::open(path)?.sync_all()
    };
    present(synced(path)).map(|_| ())
}

/// Nothing, where there is no such file.
fn present<T>(found: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
