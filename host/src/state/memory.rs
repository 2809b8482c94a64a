//! A store in memory: for `--memory` and the simulation.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;

use super::store::{Batch, Direction, Entries, Snapshot, Store, StoreError};

/// A map in memory. A clone is the same map: it can outlive a simulated host.
#[derive(Clone, Default)]
pub struct MemoryStore {
    map: Arc<RwLock<BTreeMap<Vec<u8>, Bytes>>>,
}

impl MemoryStore {
    /// A copy of what is there now: what a crash may bring back later.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            map: Arc::new(RwLock::new(self.map.read().clone())),
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.map.read().get(key).cloned())
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Entries, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let map = self.map.read();
        let range = map.range::<[u8], _>((
            std::ops::Bound::Included(from),
            std::ops::Bound::Excluded(to),
        ));
        let copy = |(key, value): (&Vec<u8>, &Bytes)| (Bytes::copy_from_slice(key), value.clone());
        Ok(match direction {
            Direction::Forward => range.take(limit).map(copy).collect(),
            Direction::Backward => range.rev().take(limit).map(copy).collect(),
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut map = self.map.write();
        for (key, value) in batch {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn range_later(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
        limit: usize,
        direction: Direction,
    ) -> BoxFuture<'static, Result<Entries, StoreError>> {
        let result = Store::range(self, &from, &to, limit, direction);
        Box::pin(std::future::ready(result))
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.copy()))
    }

    fn bytes(&self) -> u64 {
        let map = self.map.read();
        map.iter()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum()
    }
}

impl Snapshot for MemoryStore {
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        Store::range(self, from, to, limit, Direction::Forward)
    }
}
