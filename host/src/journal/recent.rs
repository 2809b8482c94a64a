//! The newest records of one log, in memory: what tails read, so that following a log costs no disk.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Entry, ReadError};
use crate::state::ids::Offset;

/// The end of one log. Records are put in when they are durable, and only then.
pub struct Recent {
    inner: Mutex<Inner>,
    end: watch::Sender<Offset>,
    /// Beyond so many bytes the oldest records go: readers then go to the disk.
    bound_bytes: usize,
}

struct Inner {
    entries: VecDeque<Entry>,
    bytes: usize,
    oldest: Offset,
}

/// What [`Recent::take`] found.
pub enum Taken {
    /// Records.
    Entries(Vec<Entry>),
    /// They are durable, and no longer in memory.
    OnDisk,
    /// Nothing yet.
    AtEnd,
}

impl Recent {
    /// A log that holds `oldest..end`, none of it in memory.
    #[must_use]
    pub fn new(oldest: Offset, end: Offset, bound_bytes: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: VecDeque::new(),
                bytes: 0,
                oldest,
            }),
            end: watch::Sender::new(end),
            bound_bytes,
        }
    }

    /// The next offset to be written.
    #[must_use]
    pub fn end(&self) -> Offset {
        *self.end.borrow()
    }

    /// The oldest offset that is kept.
    #[must_use]
    pub fn oldest(&self) -> Offset {
        self.inner.lock().oldest
    }

    /// Tells of the end as it moves.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Offset> {
        self.end.subscribe()
    }

    /// Adds durable records, and wakes who waits for them.
    pub fn push(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut end = None;
        {
            let mut inner = self.inner.lock();
            for entry in entries {
                inner.bytes += entry.bytes.len();
                end = Some(entry.offset.next());
                inner.entries.push_back(entry);
            }
            while inner.bytes > self.bound_bytes && inner.entries.len() > 1 {
                if let Some(old) = inner.entries.pop_front() {
                    inner.bytes -= old.bytes.len();
                }
            }
        }
        if let Some(end) = end {
            self.end.send_replace(end);
        }
    }

    /// The end is here now, and what is in memory no longer counts (a log that was opened again).
    pub fn reset(&self, end: Offset) {
        {
            let mut inner = self.inner.lock();
            inner.entries.clear();
            inner.bytes = 0;
        }
        self.end.send_replace(end);
    }

    /// Forgets what lies below.
    pub fn trim(&self, below: Offset) {
        let mut inner = self.inner.lock();
        inner.oldest = inner.oldest.max(below);
        while inner.entries.front().is_some_and(|e| e.offset < below) {
            if let Some(old) = inner.entries.pop_front() {
                inner.bytes -= old.bytes.len();
            }
        }
    }

    /// What there is from `from` on, at most about `bytes`.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`].
    pub fn take(&self, from: Offset, bytes: usize) -> Result<Taken, ReadError> {
        let inner = self.inner.lock();
        // `push` moves the end after it has let go of the lock: what is here is durable already.
        let end = inner
            .entries
            .back()
            .map_or(Offset(0), |last| last.offset.next())
            .max(self.end());
        if from < inner.oldest || from > end {
            return Err(ReadError::OutOfRange {
                asked: from,
                oldest: inner.oldest,
                end,
            });
        }
        let first = inner.entries.partition_point(|e| e.offset < from);
        let covered = inner.entries.front().is_some_and(|e| e.offset <= from);
        if from == end && inner.entries.get(first).is_none() {
            return Ok(Taken::AtEnd);
        }
        if !covered && from < end {
            return Ok(Taken::OnDisk);
        }
        let mut taken = Vec::new();
        let mut size = 0;
        for entry in inner.entries.iter().skip(first) {
            taken.push(entry.clone());
            size += entry.bytes.len();
            if size >= bytes {
                break;
            }
        }
        if taken.is_empty() {
            return Ok(Taken::AtEnd);
        }
        Ok(Taken::Entries(taken))
    }
}
