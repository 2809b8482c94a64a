//! State as a fold sees it: a store with changes on top that are not in it yet.
//!
//! The tail puts one batch of changes on top and then commits it; a partition's owner keeps what it decided ahead on
//! top until the tail has folded it. Knows steps only as labels; does not know what the entries mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::ids::Step;
use super::keys;
use super::store::{Batch, Direction, Entries, Store, StoreError};

/// A store with changes on top.
pub struct View {
    base: Arc<dyn Store>,
    top: BTreeMap<Vec<u8>, Change>,
    label: Step,
}

struct Change {
    value: Option<Bytes>,
    label: Step,
}

impl View {
    /// The store as it is.
    #[must_use]
    pub fn of(base: Arc<dyn Store>) -> Self {
        Self {
            base,
            top: BTreeMap::new(),
            label: Step(0),
        }
    }

    /// The store below.
    #[must_use]
    pub fn base(&self) -> &Arc<dyn Store> {
        &self.base
    }

    /// Changes from now on belong to this step.
    pub fn label(&mut self, step: Step) {
        self.label = step;
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreError`] from the store below.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.top.get(key) {
            Some(change) => Ok(change.value.clone()),
            None => self.base.get(key),
        }
    }

    /// The value under `key`, decoded; what can't be decoded is a broken store.
    ///
    /// # Errors
    /// [`StoreError`] from the store below, or where the value is not one of `T`.
    pub fn read<T: Message + Default>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        match self.get(key)? {
            Some(bytes) => T::decode(bytes).map(Some).map_err(|error| {
                StoreError(format!("the value of key {key:02x?} is broken: {error}"))
            }),
            None => Ok(None),
        }
    }

    /// Sets or removes.
    pub fn put(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        let label = self.label;
        self.top.insert(key, Change { value, label });
    }

    /// Sets to an encoded message.
    pub fn write<T: Message>(&mut self, key: Vec<u8>, value: &T) {
        self.put(key, Some(value.encode_to_vec().into()));
    }

    /// The first `limit` entries with this prefix, from `from` on.
    ///
    /// # Errors
    /// [`StoreError`] from the store below.
    pub fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        // Removed entries on top hide at most so many below.
        let bounds = (
            std::ops::Bound::Included(from),
            std::ops::Bound::Excluded(to),
        );
        let hidden = self
            .top
            .range::<[u8], _>(bounds)
            .filter(|(_, change)| change.value.is_none())
            .count();
        let below = self
            .base
            .range(from, to, limit.saturating_add(hidden), Direction::Forward)?;
        let mut merged: BTreeMap<Bytes, Option<Bytes>> = below
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        for (key, change) in self.top.range::<[u8], _>(bounds) {
            merged.insert(Bytes::copy_from_slice(key), change.value.clone());
        }
        Ok(merged
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .take(limit)
            .collect())
    }

    /// All entries with this prefix, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] from the store below.
    pub fn prefixed(&self, prefix: &[u8], limit: usize) -> Result<Entries, StoreError> {
        self.range(prefix, &keys::after(prefix), limit)
    }

    /// Takes all changes off, to be committed.
    pub fn take(&mut self) -> Batch {
        std::mem::take(&mut self.top)
            .into_iter()
            .map(|(key, change)| (key, change.value))
            .collect()
    }

    /// Takes off what the store below has by now: the changes of all steps up to this one.
    pub fn settle(&mut self, folded: Step) {
        self.top.retain(|_, change| change.label > folded);
    }

    /// How many changes are on top.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.top.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    fn view(entries: &[(&[u8], &'static [u8])]) -> View {
        let store = MemoryStore::default();
        let batch = entries
            .iter()
            .map(|(k, v)| (k.to_vec(), Some(Bytes::from_static(v))))
            .collect();
        store.apply(batch).unwrap();
        View::of(Arc::new(store))
    }

    #[test]
    fn a_range_sees_what_is_on_top_and_not_what_it_hides() {
        let mut view = view(&[(b"a1", b"x"), (b"a2", b"y"), (b"b", b"z")]);
        view.put(b"a1".to_vec(), None);
        view.put(b"a3".to_vec(), Some(Bytes::from_static(b"w")));
        let found = view.prefixed(b"a", 10).unwrap();
        let keys: Vec<_> = found.iter().map(|(k, _)| k.as_ref()).collect();
        assert_eq!(keys, [b"a2", b"a3"]);
        assert_eq!(view.prefixed(b"a", 1).unwrap().len(), 1);
    }

    #[test]
    fn settling_keeps_later_steps() {
        let mut view = view(&[]);
        view.label(Step(1));
        view.put(b"k".to_vec(), Some(Bytes::from_static(b"1")));
        view.label(Step(2));
        view.put(b"l".to_vec(), Some(Bytes::from_static(b"2")));
        view.settle(Step(1));
        assert_eq!(view.get(b"k").unwrap(), None);
        assert_eq!(view.get(b"l").unwrap(), Some(Bytes::from_static(b"2")));
    }
}
