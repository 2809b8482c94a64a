//! A journal in memory: for `--memory`, and for tests of what stands on a journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::{AppendError, Appending, Entry, Journal, Log, ReadError};
use crate::state::ids::{Offset, Partition};
use crate::state::memory::MemoryStore;
use crate::state::store::{Batch, Direction, Entries, Store};

/// What both logs of all partitions may hold: what suits a disk would fill the memory. Their history is there once more,
/// in the store.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Logs in memory.
pub struct MemoryJournal {
    partitions: u16,
    logs: BTreeMap<(Partition, Log), MemoryLog>,
    state: MemoryStore,
    closed: AtomicBool,
}

struct MemoryLog {
    records: Mutex<Records>,
    end: watch::Sender<Offset>,
}

#[derive(Default)]
struct Records {
    map: BTreeMap<Offset, Bytes>,
    oldest: Offset,
    bytes: u64,
}

impl MemoryJournal {
    /// Empty logs.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        let logs = (0..partitions)
            .flat_map(|p| Log::ALL.map(|log| (Partition(p), log)))
            .map(|key| {
                let log = MemoryLog {
                    records: Mutex::default(),
                    end: watch::Sender::new(Offset(0)),
                };
                (key, log)
            })
            .collect();
        Self {
            partitions,
            logs,
            state: MemoryStore::default(),
            closed: AtomicBool::new(false),
        }
    }

    async fn read_later(
        &self,
        partition: Partition,
        log: Log,
        from: Offset,
        bytes: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let memory = self
            .logs
            .get(&(partition, log))
            .ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))?;
        let mut end = memory.end.subscribe();
        loop {
            let now = *end.borrow_and_update();
            {
                let held = memory.records.lock();
                if from < held.oldest || from > now {
                    return Err(ReadError::OutOfRange {
                        asked: from,
                        oldest: held.oldest,
                        end: now,
                    });
                }
                let mut size = 0;
                let entries: Vec<_> = held
                    .map
                    .range(from..now)
                    .take_while(|(_, record)| {
                        let fits = size < bytes;
                        size += record.len();
                        fits
                    })
                    .map(|(offset, bytes)| Entry {
                        offset: *offset,
                        bytes: bytes.clone(),
                    })
                    .collect();
                if !entries.is_empty() {
                    return Ok(entries);
                }
            }
            if end.changed().await.is_err() {
                return Err(ReadError::Unavailable("the journal is closed".into()));
            }
        }
    }
}

impl Journal for MemoryJournal {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn append(
        &self,
        partition: Partition,
        log: Log,
        records: Vec<Bytes>,
    ) -> Result<Appending, AppendError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(AppendError::Refused("it is closed".into()));
        }
        let Some(memory) = self.logs.get(&(partition, log)) else {
            let reason = format!("there is no partition {partition}");
            return Err(AppendError::Refused(reason));
        };
        {
            let mut held = memory.records.lock();
            let mut end = *memory.end.borrow();
            for record in records {
                held.bytes += record.len() as u64;
                held.map.insert(end, record);
                end = end.next();
            }
            // Under the lock: of two that append at once, the later one's end is the later one.
            memory.end.send_replace(end);
        }
        let (done, appending) = oneshot::channel();
        // Nobody may wait for it.
        done.send(Ok(())).ok();
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
        self.logs
            .get(&(partition, log))
            .map_or(Offset(0), |memory| *memory.end.borrow())
    }

    fn oldest(&self, partition: Partition, log: Log) -> Offset {
        self.logs
            .get(&(partition, log))
            .map_or(Offset(0), |memory| memory.records.lock().oldest)
    }

    fn trim(&self, partition: Partition, log: Log, below: Offset) {
        if let Some(memory) = self.logs.get(&(partition, log)) {
            let mut held = memory.records.lock();
            let kept = held.map.split_off(&below);
            let gone = std::mem::replace(&mut held.map, kept);
            held.bytes -= gone.values().map(|r| r.len() as u64).sum::<u64>();
            held.oldest = held.oldest.max(below);
        }
    }

    fn put_state(&self, batch: Batch) -> BoxFuture<'_, Result<(), AppendError>> {
        let result = self
            .state
            .apply(batch)
            .map_err(|error| AppendError::Refused(error.to_string()));
        Box::pin(std::future::ready(result))
    }

    fn state(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, ReadError> {
        self.state
            .range(from, to, limit, Direction::Forward)
            .map_err(|error| ReadError::Unavailable(error.to_string()))
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn bytes(&self) -> u64 {
        let logs = self.logs.values();
        logs.map(|memory| memory.records.lock().bytes).sum()
    }

    fn most_bytes(&self) -> u64 {
        MOST_BYTES
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::Release);
        Box::pin(std::future::ready(()))
    }
}
