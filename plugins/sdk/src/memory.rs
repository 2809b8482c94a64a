//! What a plugin remembers in one room, all of it at once: for a new version that writes it in another way.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StateError;
use crate::state::shape;

/// All that a plugin remembers in a room. Changed in place by [`crate::Migration::migrate`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    entries: BTreeMap<String, Remembered>,
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// JSON, or a counter: 8 bytes, little-endian, signed.
    pub value: Vec<u8>,
    /// When it is forgotten, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: Option<u64>,
}

impl Memory {
    /// Every key, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// What is under `key`, if anything is.
    ///
    /// # Errors
    /// [`StateError::Shape`] where it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(entry) => serde_json::from_slice(&entry.value)
                .map(Some)
                .map_err(|error| shape(key, &error.to_string())),
        }
    }

    /// Puts `value` under `key`. Where something is there, it is forgotten when that would be.
    ///
    /// # Errors
    /// [`StateError::Shape`] where it does not fit into JSON.
    pub fn put<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), StateError> {
        let value = serde_json::to_vec(value).map_err(|error| shape(key, &error.to_string()))?;
        self.set(key, value);
        Ok(())
    }

    /// The counter `key`; 0 where there is none.
    ///
    /// # Errors
    /// [`StateError::Shape`] where it is not a counter.
    pub fn counter(&self, key: &str) -> Result<i64, StateError> {
        match self.entries.get(key) {
            None => Ok(0),
            Some(entry) => <[u8; 8]>::try_from(entry.value.as_slice())
                .map(i64::from_le_bytes)
                .map_err(|_| shape(key, "it is not a counter")),
        }
    }

    /// Sets the counter `key`.
    pub fn set_counter(&mut self, key: &str, number: i64) {
        self.set(key, number.to_le_bytes().to_vec());
    }

    /// Removes what is under `key`, and gives it back.
    pub fn remove(&mut self, key: &str) -> Option<Remembered> {
        self.entries.remove(key)
    }

    /// Moves what is under `from` to `to`; nothing where nothing is there.
    pub fn rename(&mut self, from: &str, to: impl Into<String>) {
        if let Some(entry) = self.entries.remove(from) {
            self.entries.insert(to.into(), entry);
        }
    }

    /// Puts an entry as it is kept.
    pub fn insert(&mut self, key: impl Into<String>, entry: Remembered) {
        self.entries.insert(key.into(), entry);
    }

    fn set(&mut self, key: &str, value: Vec<u8>) {
        let expires_ms = self.entries.get(key).and_then(|entry| entry.expires_ms);
        let entry = Remembered { value, expires_ms };
        self.entries.insert(key.into(), entry);
    }
}

impl IntoIterator for Memory {
    type Item = (String, Remembered);
    type IntoIter = std::collections::btree_map::IntoIter<String, Remembered>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl FromIterator<(String, Remembered)> for Memory {
    fn from_iter<I: IntoIterator<Item = (String, Remembered)>>(entries: I) -> Self {
        Memory {
            entries: entries.into_iter().collect(),
        }
    }
}
