//! A store on disk: a fjall database of its own, which is never synced on the way of a message.
//!
//! It may lose its newest part in a crash, and all of it may be thrown away: the logs make it again. That is also how
//! another format is read: not at all.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tracing::warn;

use super::store::{Batch, Direction, Entries, Snapshot, Store, StoreError};

/// The format of keys and values, as `state` writes them. Raise it with every change: a store of another format is made
/// again from the logs.
pub const FORMAT: u32 = 3;

/// Memory for reading.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// What must fit on the disk before the store is opened again.
const PROBE_BYTES: usize = 64 * 1024;
/// Scans that may wait for the disk at once, so that readers who catch up leave room for others.
const SCANS: usize = 4;

/// A database on disk.
pub struct DiskStore {
    path: PathBuf,
    open: Arc<RwLock<Option<Open>>>,
    scans: Arc<Semaphore>,
}

struct Open {
    database: fjall::Database,
    map: Keyspace,
}

impl DiskStore {
    /// Opens the store in `path`, or makes an empty one; also in the place of one of another format.
    ///
    /// # Errors
    /// Why it can't be used.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = match Open::at(path)? {
            Found::Ours(open) => open,
            Found::Other(format) => {
                warn!(
                    store = %path.display(),
                    format = format.unwrap_or_else(|| "none".into()),
                    wanted = FORMAT,
                    "the store has another format; the logs make it again"
                );
                std::fs::remove_dir_all(path).map_err(|error| StoreError(error.to_string()))?;
                Open::at(path)?.ours()?
            }
        };
        Ok(Self {
            path: path.to_owned(),
            open: Arc::new(RwLock::new(Some(opened))),
            scans: Arc::new(Semaphore::new(SCANS)),
        })
    }

    /// Syncs, so that a start needs not fold again.
    pub fn sync(&self) {
        if let Some(open) = self.open.read().as_ref() {
            // What is lost is folded again.
            open.database.persist(PersistMode::SyncAll).ok();
        }
    }

    /// Syncs and closes: later calls fail.
    pub fn close(&self) {
        self.sync();
        self.open.write().take();
    }
}

/// What is in a folder.
enum Found {
    Ours(Open),
    /// A store of this format, or one from before formats were written. It is closed.
    Other(Option<String>),
}

impl Found {
    fn ours(self) -> Result<Open, StoreError> {
        match self {
            Self::Ours(open) => Ok(open),
            Self::Other(_) => Err(StoreError("it has another format".into())),
        }
    }
}

impl Open {
    fn at(path: &Path) -> Result<Found, StoreError> {
        std::fs::create_dir_all(path).map_err(|error| StoreError(error.to_string()))?;
        let database = fjall::Database::builder(path)
            .cache_size(CACHE_BYTES)
            .worker_threads(2)
            .open()
            .map_err(failed)?;
        let map = database
            .keyspace("state", KeyspaceCreateOptions::default)
            .map_err(failed)?;
        let meta = database
            .keyspace("meta", KeyspaceCreateOptions::default)
            .map_err(failed)?;
        let format = meta
            .get("format")
            .map_err(failed)?
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if format.is_none() && map.first_key_value().is_none() {
            // Before anything else: the database loses its newest part first.
            meta.insert("format", FORMAT.to_string()).map_err(failed)?;
        } else if format.as_deref() != Some(FORMAT.to_string().as_str()) {
            return Ok(Found::Other(format));
        }
        Ok(Found::Ours(Self { database, map }))
    }
}

impl Store for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let open = self.open.read();
        let open = open.as_ref().ok_or_else(closed)?;
        Ok(open.map.get(key).map_err(failed)?.map(Bytes::from))
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Entries, StoreError> {
        range(&self.open, from, to, limit, direction)
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let open = self.open.read();
        let open = open.as_ref().ok_or_else(closed)?;
        let mut writes = open.database.batch();
        for (key, value) in batch {
            match value {
                Some(value) => writes.insert(&open.map, key, value),
                None => writes.remove(&open.map, key),
            }
        }
        writes.commit().map_err(failed)
    }

    fn range_later(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
        limit: usize,
        direction: Direction,
    ) -> BoxFuture<'static, Result<Entries, StoreError>> {
        let (open, scans) = (self.open.clone(), self.scans.clone());
        Box::pin(async move {
            let permit = scans.acquire_owned().await.map_err(|_| closed())?;
            tokio::task::spawn_blocking(move || {
                let found = range(&open, &from, &to, limit, direction);
                drop(permit);
                found
            })
            .await
            .map_err(|error| StoreError(error.to_string()))?
        })
    }

    fn heal(&self) -> Result<(), StoreError> {
        // fjall poisons the database after a failed write; only opening it again clears that. As long as that would fail
        // too, what can still be read is worth keeping open.
        probe(&self.path).map_err(|error| {
            StoreError(format!("{} can't be written: {error}", self.path.display()))
        })?;
        let mut open = self.open.write();
        open.take();
        *open = Some(Open::at(&self.path)?.ours()?);
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let open = self.open.read();
        let open = open.as_ref().ok_or_else(closed)?;
        Ok(Box::new(DiskSnapshot {
            snapshot: open.database.snapshot(),
            map: open.map.clone(),
        }))
    }

    fn bytes(&self) -> u64 {
        let open = self.open.read();
        open.as_ref()
            .map_or(0, |open| open.database.disk_space().unwrap_or(0))
    }
}

struct DiskSnapshot {
    snapshot: fjall::Snapshot,
    map: Keyspace,
}

impl Snapshot for DiskSnapshot {
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        self.snapshot
            .range(&self.map, from.to_vec()..to.to_vec())
            .take(limit)
            .map(|guard| {
                let (key, value) = guard.into_inner().map_err(failed)?;
                Ok((Bytes::from(key), Bytes::from(value)))
            })
            .collect()
    }
}

fn range(
    open: &RwLock<Option<Open>>,
    from: &[u8],
    to: &[u8],
    limit: usize,
    direction: Direction,
) -> Result<Entries, StoreError> {
    if from >= to {
        return Ok(Vec::new());
    }
    let open = open.read();
    let open = open.as_ref().ok_or_else(closed)?;
    let scan = open.map.range(from.to_vec()..to.to_vec());
    let take = |guard: fjall::Guard| {
        let (key, value) = guard.into_inner().map_err(failed)?;
        Ok((Bytes::from(key), Bytes::from(value)))
    };
    match direction {
        Direction::Forward => scan.take(limit).map(take).collect(),
        Direction::Backward => scan.rev().take(limit).map(take).collect(),
    }
}

/// Whether a folder takes a new file with some bytes in it.
fn probe(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; PROBE_BYTES])?;
    file.sync_all()
}

fn failed(error: fjall::Error) -> StoreError {
    StoreError(error.to_string())
}

fn closed() -> StoreError {
    StoreError("it is closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &DiskStore, key: &str) {
        let batch = vec![(key.as_bytes().to_vec(), Some(Bytes::from_static(b"value")))];
        store.apply(batch).unwrap();
    }

    fn keys(store: &DiskStore) -> usize {
        store
            .range(b"a", b"z", 10, Direction::Forward)
            .unwrap()
            .len()
    }

    /// Writes what a host of another version would have.
    fn reformat(path: &Path, format: Option<&str>) {
        let database = fjall::Database::builder(path).open().unwrap();
        let meta = database
            .keyspace("meta", KeyspaceCreateOptions::default)
            .unwrap();
        match format {
            Some(format) => meta.insert("format", format).unwrap(),
            None => meta.remove("format").unwrap(),
        }
        database.persist(PersistMode::SyncAll).unwrap();
    }

    #[test]
    fn a_store_of_this_format_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = DiskStore::open(&path).unwrap();
        put(&store, "key");
        store.heal().unwrap();
        assert_eq!(keys(&store), 1);
        store.close();
        assert_eq!(keys(&DiskStore::open(&path).unwrap()), 1);
    }

    #[test]
    fn a_store_of_another_format_is_thrown_away() {
        let newer = (FORMAT + 1).to_string();
        for format in [Some("0"), Some(newer.as_str()), Some("one"), None] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let store = DiskStore::open(&path).unwrap();
            put(&store, "key");
            store.close();
            drop(store);
            reformat(&path, format);
            let again = DiskStore::open(&path).unwrap();
            assert_eq!(keys(&again), 0, "{format:?}");
            put(&again, "key");
            again.close();
            drop(again);
            assert_eq!(keys(&DiskStore::open(&path).unwrap()), 1, "{format:?}");
        }
    }
}
