//! The one thread that writes: group commit, and what happens when the disk refuses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::Shared;
use super::database::{Append, Database};
use crate::journal::{AppendError, Entry, Log};
use crate::state::ids::{Offset, Partition};
use crate::state::store::Batch;

/// The most requests in one group: bounds the latency of the first.
const GROUP: usize = 4096;
/// The most bytes in one group.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// How often a closed database is tried again.
const REOPEN: Duration = Duration::from_millis(500);
/// Records that one step of a trim removes.
const TRIM: usize = 2000;

/// What the writer is asked.
pub enum Request {
    /// See [`crate::journal::Journal::append`].
    Append {
        /// Where.
        partition: Partition,
        /// Where.
        log: Log,
        /// What.
        records: Vec<Bytes>,
        /// Told when it is durable, or not.
        done: oneshot::Sender<Result<(), AppendError>>,
    },
    /// See [`crate::journal::Journal::trim`].
    Trim {
        /// Where.
        partition: Partition,
        /// Where.
        log: Log,
        /// Below which record.
        below: Offset,
    },
    /// See [`crate::journal::Journal::put_state`].
    State {
        /// What.
        batch: Batch,
        /// Told when it is durable, or not.
        done: oneshot::Sender<Result<(), AppendError>>,
    },
}

type Done = oneshot::Sender<Result<(), AppendError>>;

/// See the module.
pub struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    trims: VecDeque<(Partition, Log, Offset)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, requests: Receiver<Request>) -> Self {
        Self {
            shared,
            requests,
            trims: VecDeque::new(),
        }
    }

    /// Until the last sender is gone, and everything is written.
    pub(super) fn run(mut self) {
        loop {
            // Trims use the pauses.
            let first = if self.trims.is_empty() {
                self.requests
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.requests.recv_timeout(Duration::from_millis(1))
            };
            match first {
                Ok(first) => self.group(first),
                Err(RecvTimeoutError::Timeout) => self.trim(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Dropping the database releases its lock.
        self.shared.database.write().take();
    }

    /// Writes all that waits, synced once.
    fn group(&mut self, first: Request) {
        let mut appends: Vec<Append> = Vec::new();
        let mut state = Batch::new();
        let mut waiting: Vec<Done> = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next.take() {
            match request {
                Request::Append {
                    partition,
                    log,
                    records,
                    done,
                } => {
                    bytes += records.iter().map(Bytes::len).sum::<usize>();
                    self.place(&mut appends, partition, log, records);
                    waiting.push(done);
                }
                Request::State { batch, done } => {
                    state.extend(batch);
                    waiting.push(done);
                }
                Request::Trim {
                    partition,
                    log,
                    below,
                } => self.trims.push_back((partition, log, below)),
            }
            if waiting.len() < GROUP && bytes < GROUP_BYTES {
                next = self.requests.try_recv().ok();
            }
        }
        if waiting.is_empty() {
            return;
        }
        let Some(database) = self.shared.database() else {
            return answer(waiting, &Err(AppendError::Refused("it is closed".into())));
        };
        match database.write(&appends, state) {
            Ok(()) => {
                for append in appends {
                    if let Some(recent) = self.shared.log(append.partition, append.log) {
                        recent.push(append.entries);
                    }
                }
                answer(waiting, &Ok(()));
            }
            Err(reason) => {
                drop(database);
                error!(%reason, "the journal failed to write; it takes no records until the disk does");
                self.shared.writable.store(false, Ordering::Release);
                answer(waiting, &Err(AppendError::Unknown(reason)));
                self.reopen();
            }
        }
    }

    /// Gives records their offsets.
    fn place(
        &self,
        appends: &mut Vec<Append>,
        partition: Partition,
        log: Log,
        records: Vec<Bytes>,
    ) {
        let found = appends
            .iter()
            .position(|a| a.partition == partition && a.log == log);
        let index = found.unwrap_or_else(|| {
            appends.push(Append {
                partition,
                log,
                entries: Vec::new(),
            });
            appends.len() - 1
        });
        let Some(append) = appends.get_mut(index) else {
            return;
        };
        let mut offset = match append.entries.last() {
            Some(entry) => entry.offset.next(),
            None => self
                .shared
                .log(partition, log)
                .map_or(Offset(0), super::Recent::end),
        };
        for bytes in records {
            append.entries.push(Entry { offset, bytes });
            offset = offset.next();
        }
    }

    /// Closes the database and opens it again, until that works; meanwhile refuses.
    fn reopen(&mut self) {
        self.shared.database.write().take();
        let mut failed_since = None;
        loop {
            match self.try_reopen() {
                Ok(database) => {
                    *self.shared.database.write() = Some(Arc::new(database));
                    self.shared.writable.store(true, Ordering::Release);
                    info!("the journal takes records again");
                    return;
                }
                Err(reason) => {
                    if failed_since.is_none() {
                        warn!(%reason, "the journal can't be opened again yet");
                    }
                    failed_since.get_or_insert_with(Instant::now);
                }
            }
            if !self.refuse_for(REOPEN) {
                return;
            }
        }
    }

    fn try_reopen(&self) -> Result<Database, String> {
        let database = Database::open(&self.shared.path).map_err(|error| error.to_string())?;
        // Proves that it takes writes, with as many bytes as a burst of messages has.
        let probe = vec![0u8; 64 * 1024];
        let key = b"\xff\xffprobe".to_vec();
        database.write(&[], vec![(key.clone(), Some(Bytes::from(probe)))])?;
        database.write(&[], vec![(key, None)])?;

        // What turned up beyond the known end may be in memory alone, for the kernel forgets pages that it failed to
        // write: write it once more.
        let mut ends = Vec::new();
        let mut again = Vec::new();
        for partition in (0..self.shared.partitions).map(Partition) {
            for log in Log::ALL {
                let Some(recent) = self.shared.log(partition, log) else {
                    continue;
                };
                let (_, end) = database.bounds(partition, log)?;
                let entries =
                    database.read(partition, log, recent.end(), end, usize::MAX, usize::MAX)?;
                ends.push((partition, log, end.max(recent.end())));
                again.push(Append {
                    partition,
                    log,
                    entries,
                });
            }
        }
        database.write(&again, Batch::new())?;
        for (partition, log, end) in ends {
            if let Some(recent) = self.shared.log(partition, log) {
                recent.reset(end);
            }
        }
        Ok(database)
    }

    /// Refuses what is asked for so long; `false` when nobody can ask any more.
    fn refuse_for(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.requests.recv_timeout(left) {
                Ok(Request::Append { done, .. } | Request::State { done, .. }) => answer(
                    vec![done],
                    &Err(AppendError::Refused("the disk refused a write".into())),
                ),
                Ok(Request::Trim {
                    partition,
                    log,
                    below,
                }) => self.trims.push_back((partition, log, below)),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// One step of the oldest trim.
    fn trim(&mut self) {
        let Some((partition, log, below)) = self.trims.front().copied() else {
            return;
        };
        if let Some(recent) = self.shared.log(partition, log) {
            recent.trim(below);
        }
        let Some(database) = self.shared.database() else {
            return;
        };
        match database.trim(partition, log, below, TRIM) {
            Ok(true) => {}
            Ok(false) => {
                self.trims.pop_front();
            }
            Err(reason) => {
                warn!(%partition, log = log.word(), %reason, "old records can't be removed yet");
                self.trims.pop_front();
            }
        }
    }
}

/// Tells all who wait; those who no longer do are passed over.
fn answer(waiting: Vec<Done>, result: &Result<(), AppendError>) {
    for done in waiting {
        done.send(result.clone()).ok();
    }
}
