//! The journal of one machine: both logs in a fjall database, synced by groups.
//!
//! One thread writes: it takes all that waits, writes it as one batch, syncs once, and only then shows it to readers.
//! After a failure it closes the database, opens it again, and writes what turned up beyond the known end once more, so
//! that nothing is read that a failed sync left in memory alone.

pub mod backup;
mod database;
mod layout;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use self::database::Database;
pub use self::layout::{FORMAT, LayoutError, PARTITIONS};
use self::writer::{Request, Writer};
use super::recent::{Recent, Taken};
use super::{AppendError, Appending, Entry, Journal, Log, ReadError};
use crate::state::ids::{Offset, Partition};
use crate::state::store::{Batch, Entries};

/// Requests that may wait for the writer. A session has at most some hundreds under way and a partition some
/// thousands, so a full queue means that the disk does not keep up: appends are then refused.
const QUEUE: usize = 16_384;
/// Records of each log that are kept in memory for tails.
const RECENT_BYTES: usize = 4 * 1024 * 1024;
/// How many records a read takes from the disk at once.
const READ_RECORDS: usize = 4096;

/// Why the journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder can't be used.
    #[error(
        "the data folder {} can't be used: {error}; choose another with --data",
        data_folder(.path).display()
    )]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another server has it.
    #[error(
        "the data folder {} is in use by another chat-host{}; stop that one or choose another with --data",
        data_folder(.path).display(),
        .process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// Which.
        path: PathBuf,
        /// By whom, where it is known.
        process: Option<i32>,
    },
    /// Its format is not ours.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The database is broken.
    #[error(
        "the data in {} can't be read ({reason}); move that folder away, and put there what `chat-host backup` copied before, or choose another with --data",
        data_folder(.path).display()
    )]
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A copy could not be made.
    #[error("the backup to {} failed: {reason}", data_folder(.path).display())]
    Copy {
        /// To where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The folder that the operator named: the journal is one below it.
fn data_folder(journal: &Path) -> &Path {
    match journal.parent() {
        Some(data) if journal.ends_with("journal") => data,
        _ => journal,
    }
}

/// See the module.
pub struct EmbeddedJournal {
    shared: Arc<Shared>,
    requests: Mutex<Option<SyncSender<Request>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// What the writer and the readers share.
struct Shared {
    path: PathBuf,
    partitions: u16,
    /// None while the database is closed after a failure.
    database: RwLock<Option<Arc<Database>>>,
    /// A log's end, by `partition * 2 + log`.
    logs: Vec<Recent>,
    writable: AtomicBool,
}

impl Shared {
    fn log(&self, partition: Partition, log: Log) -> Option<&Recent> {
        self.logs
            .get(usize::from(partition.0) * 2 + usize::from(log == Log::Outcomes))
    }

    fn database(&self) -> Option<Arc<Database>> {
        self.database.read().clone()
    }
}

impl EmbeddedJournal {
    /// Opens the journal in `path`, or makes one with `partitions` partitions. An existing one keeps its own number.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, partitions: u16) -> Result<Self, OpenError> {
        let database = Database::open(path)?;
        let partitions = layout::agree(&database, path, partitions)?;
        let mut logs = Vec::new();
        for partition in (0..partitions).map(Partition) {
            for log in Log::ALL {
                let (oldest, end) =
                    database
                        .bounds(partition, log)
                        .map_err(|reason| OpenError::Database {
                            path: path.to_owned(),
                            reason,
                        })?;
                logs.push(Recent::new(oldest, end, RECENT_BYTES));
            }
        }
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            partitions,
            database: RwLock::new(Some(Arc::new(database))),
            logs,
            writable: AtomicBool::new(true),
        });
        let (requests, receiver) = sync_channel(QUEUE);
        let writer = Writer::new(shared.clone(), receiver);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Folder {
                path: path.to_owned(),
                error,
            })?;
        Ok(Self {
            shared,
            requests: Mutex::new(Some(requests)),
            thread: Mutex::new(Some(thread)),
        })
    }

    fn request(&self, request: Request) -> Result<(), AppendError> {
        let requests = self.requests.lock();
        let Some(requests) = requests.as_ref() else {
            return Err(AppendError::Refused("it is closed".into()));
        };
        requests.try_send(request).map_err(|error| {
            AppendError::Refused(
                match error {
                    TrySendError::Full(_) => "too much is waiting for the disk",
                    TrySendError::Disconnected(_) => "its writer has ended",
                }
                .into(),
            )
        })
    }

    async fn read_later(
        &self,
        partition: Partition,
        log: Log,
        from: Offset,
        bytes: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let recent = self
            .shared
            .log(partition, log)
            .ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))?;
        let mut end = recent.watch();
        loop {
            end.borrow_and_update();
            match recent.take(from, bytes)? {
                Taken::Entries(entries) => return Ok(entries),
                Taken::OnDisk => {
                    let database = self.shared.database().ok_or_else(|| {
                        ReadError::Unavailable("its database is being opened again".into())
                    })?;
                    let until = recent.end();
                    let read = tokio::task::spawn_blocking(move || {
                        database.read(partition, log, from, until, bytes, READ_RECORDS)
                    });
                    let entries = read
                        .await
                        .map_err(|error| ReadError::Unavailable(error.to_string()))?
                        .map_err(ReadError::Unavailable)?;
                    if !entries.is_empty() {
                        return Ok(entries);
                    }
                    // Trimmed in between: `take` says so.
                    if recent.oldest() <= from {
                        return Err(ReadError::Unavailable(format!(
                            "records {from} to {until} of {} {partition} are missing on disk",
                            log.word()
                        )));
                    }
                }
                Taken::AtEnd => {
                    if end.changed().await.is_err() {
                        return Err(ReadError::Unavailable("the journal is closed".into()));
                    }
                }
            }
        }
    }
}

impl Journal for EmbeddedJournal {
    fn partitions(&self) -> u16 {
        self.shared.partitions
    }

    fn append(
        &self,
        partition: Partition,
        log: Log,
        records: Vec<Bytes>,
    ) -> Result<Appending, AppendError> {
        if !self.is_writable() {
            return Err(AppendError::Refused("the disk refused a write".into()));
        }
        let (done, appending) = oneshot::channel();
        self.request(Request::Append {
            partition,
            log,
            records,
            done,
        })?;
        Ok(appending)
    }

    fn read(
        &self,
        partition: Partition,
        log: Log,
        from: Offset,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, ReadError>> {
        Box::pin(self.read_later(partition, log, from, bytes))
    }

    fn end(&self, partition: Partition, log: Log) -> Offset {
        self.shared
            .log(partition, log)
            .map_or(Offset(0), Recent::end)
    }

    fn oldest(&self, partition: Partition, log: Log) -> Offset {
        self.shared
            .log(partition, log)
            .map_or(Offset(0), Recent::oldest)
    }

    fn trim(&self, partition: Partition, log: Log, below: Offset) {
        // A full queue is no loss: the next floor trims this too.
        self.request(Request::Trim {
            partition,
            log,
            below,
        })
        .ok();
    }

    fn put_state(&self, batch: Batch) -> BoxFuture<'_, Result<(), AppendError>> {
        let (done, put) = oneshot::channel();
        let sent = self.request(Request::State { batch, done });
        Box::pin(async move {
            sent?;
            put.await
                .unwrap_or_else(|_| Err(AppendError::Unknown("its writer has ended".into())))
        })
    }

    fn state(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, ReadError> {
        self.shared
            .database()
            .ok_or_else(|| ReadError::Unavailable("its database is being opened again".into()))?
            .state(from, to, limit)
            .map_err(ReadError::Unavailable)
    }

    fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Acquire)
    }

    fn bytes(&self) -> u64 {
        self.shared
            .database()
            .map_or(0, |database| database.bytes())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let requests = self.requests.lock().take();
        let thread = self.thread.lock().take();
        Box::pin(async move {
            drop(requests);
            if let Some(thread) = thread {
                // The writer ends when it has written what waits.
                tokio::task::spawn_blocking(move || thread.join())
                    .await
                    .ok();
            }
        })
    }
}
