//! Where the folded state is kept: an ordered map of bytes that changes in batches.

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// What goes into the store at once: `None` removes.
pub type Batch = Vec<(Vec<u8>, Option<Bytes>)>;

/// Entries in order of their keys.
pub type Entries = Vec<(Bytes, Bytes)>;

/// The store could not do it. What is in it is as it was, or as it should be: never in between.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Rising keys.
    Forward,
    /// Falling keys, from the end.
    Backward,
}

/// An ordered map of bytes.
///
/// 1. `apply` does all of a batch or nothing, also across a crash.
/// 2. What was applied is read by every later call.
/// 3. After a crash the store holds what some prefix of the calls to `apply` made; it may be a short one.
pub trait Store: Send + Sync + 'static {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreError`] where the store is broken or closed.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// At most `limit` entries with `from <= key < to`.
    ///
    /// # Errors
    /// As above.
    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Entries, StoreError>;

    /// Applies a batch.
    ///
    /// # Errors
    /// As above; all of it or nothing is there.
    fn apply(&self, batch: Batch) -> Result<(), StoreError>;

    /// As [`Store::range`], off the executor's threads where it may wait for a disk.
    fn range_later(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
        limit: usize,
        direction: Direction,
    ) -> BoxFuture<'static, Result<Entries, StoreError>>;

    /// The store as it is now, whatever is applied later.
    ///
    /// # Errors
    /// As above.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Forgets what lies in `from..to`.
    ///
    /// # Errors
    /// As above.
    fn clear(&self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        loop {
            let entries = self.range(from, to, 4096, Direction::Forward)?;
            if entries.is_empty() {
                return Ok(());
            }
            self.apply(
                entries
                    .into_iter()
                    .map(|(key, _)| (key.to_vec(), None))
                    .collect(),
            )?;
        }
    }

    /// Brings a broken store back where it can be (a full disk that has room again).
    ///
    /// # Errors
    /// Why it can't be.
    fn heal(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Bytes on disk, or nearly.
    fn bytes(&self) -> u64;
}

/// A store as it was at one moment.
pub trait Snapshot: Send {
    /// At most `limit` entries with `from <= key < to`.
    ///
    /// # Errors
    /// [`StoreError`] where the store is broken.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError>;
}
