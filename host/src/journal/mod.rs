//! 2. It becomes durable, and so does its outcome: the two logs of each partition.
//!
//! Knows bytes, offsets and durability; does not know what a record means.

pub mod checkpoint;
pub mod embedded;
pub mod memory;
mod recent;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::state::ids::{Offset, Partition};
use crate::state::store::{Batch, Entries};

/// Which of a partition's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// What was asked.
    Ingress,
    /// What was decided.
    Outcomes,
}

impl Log {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Outcomes];

    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Outcomes => "outcomes",
        }
    }
}

/// A record where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub offset: Offset,
    /// What was appended.
    pub bytes: Bytes,
}

/// Why an append did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written, and nothing will be.
    #[error("the journal takes no records now: {0}")]
    Refused(String),
    /// It may be there or not: only reading the log tells.
    #[error("the journal failed while writing: {0}")]
    Unknown(String),
}

/// Why a read did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log was cut above this offset, or has not come to it. Never a reason to jump.
    #[error("offset {asked} is out of range: the log holds {oldest} to {end}")]
    OutOfRange {
        /// What was asked for.
        asked: Offset,
        /// The oldest that is kept.
        oldest: Offset,
        /// The next one to be written.
        end: Offset,
    },
    /// The log can't be read now.
    #[error("the journal can't be read now: {0}")]
    Unavailable(String),
}

/// An append under way.
pub type Appending = oneshot::Receiver<Result<(), AppendError>>;

/// The logs of all partitions, and a map beside them for checkpoints.
///
/// 1. When an append reports success, the records survive the loss of power.
/// 2. Offsets rise, and may have holes.
/// 3. Nothing is read that is not yet durable.
/// 4. After [`AppendError::Unknown`] nothing is known about the records until the log is read again; after
///    [`AppendError::Refused`] they are not there and never will be.
/// 5. Of one caller, what is appended first is first in the log, whether or not the caller waited.
/// 6. The records of one append are adjacent in their order, or a prefix of them is there.
/// 7. A read outside of what the log holds is an error, never a jump; at the end it waits.
/// 8. `trim` forgets what lies below, for all readers, and it stays forgotten.
/// 9. `append` never waits: where a queue is full, it refuses.
pub trait Journal: Send + Sync + 'static {
    /// How many partitions there are: fixed when the journal is made.
    fn partitions(&self) -> u16;

    /// Appends records, in their order.
    ///
    /// # Errors
    /// [`AppendError::Refused`] at once; later through what is returned.
    fn append(
        &self,
        partition: Partition,
        log: Log,
        records: Vec<Bytes>,
    ) -> Result<Appending, AppendError>;

    /// The records from `from` on, at least one and at most about `bytes`; waits at the end of the log.
    ///
    /// Dropping the future loses nothing.
    fn read(
        &self,
        partition: Partition,
        log: Log,
        from: Offset,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, ReadError>>;

    /// The next offset to be written, of what is durable.
    fn end(&self, partition: Partition, log: Log) -> Offset;

    /// The oldest offset that is kept.
    fn oldest(&self, partition: Partition, log: Log) -> Offset;

    /// Forgets all records below.
    fn trim(&self, partition: Partition, log: Log, below: Offset);

    /// Changes the map of checkpoints; durable when it returns.
    fn put_state(&self, batch: Batch) -> BoxFuture<'_, Result<(), AppendError>>;

    /// Entries of the map of checkpoints with `from <= key < to`, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`].
    fn state(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, ReadError>;

    /// Whether an append has a chance now.
    fn is_writable(&self) -> bool;

    /// Bytes on disk, or nearly.
    fn bytes(&self) -> u64;

    /// The most that is to be kept here, where that may be less than the operator allows.
    fn most_bytes(&self) -> u64 {
        u64::MAX
    }

    /// Ends what the journal runs on its own; appends after it are refused.
    fn close(&self) -> BoxFuture<'_, ()>;
}
