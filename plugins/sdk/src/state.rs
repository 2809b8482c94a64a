//! What a plugin remembers of a room, kept by the host.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::outside;

/// This plugin's memory of the room of the message at hand. What is written commits with that message's outcome, or
/// not at all. A key has at most 256 bytes, a value at most 64 KiB of JSON.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Which message of the batch the change belongs to.
    at: u32,
}

/// Why the state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The host refused; the text names the limit.
    #[error("the state of `{key}` was refused: {reason}")]
    Refused {
        /// The key.
        key: String,
        /// The host's reason.
        reason: String,
    },
    /// What is there is not what was asked for, or the value does not fit into JSON.
    #[error("the state of `{key}` does not have the shape asked for: {reason}")]
    Shape {
        /// The key.
        key: String,
        /// What did not fit.
        reason: String,
    },
}

impl State {
    pub(crate) fn at(at: u32) -> Self {
        State { at }
    }

    /// What is under `key`, if anything is.
    ///
    /// # Errors
    /// [`StateError::Shape`] where it is not a `T`: an older version wrote it, or it is a counter.
    pub fn get<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>, StateError> {
        match outside::state_get(self.at, key) {
            None => Ok(None),
            Some(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| shape(key, &error.to_string())),
        }
    }

    /// Puts `value` under `key`, until it is removed.
    ///
    /// # Errors
    /// [`StateError::Refused`] where it would break a limit.
    pub fn put<T: Serialize>(self, key: &str, value: &T) -> Result<(), StateError> {
        self.write(key, value, None)
    }

    /// Puts `value` under `key`, and forgets it `ttl` after the message's time.
    ///
    /// # Errors
    /// [`StateError::Refused`] where it would break a limit.
    pub fn put_for<T: Serialize>(
        self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<(), StateError> {
        self.write(key, value, Some(ttl))
    }

    /// Removes what is under `key`.
    ///
    /// # Errors
    /// [`StateError::Refused`] where the key breaks a limit.
    pub fn remove(self, key: &str) -> Result<(), StateError> {
        outside::state_put(self.at, key, None, None).map_err(|reason| refused(key, reason))
    }

    /// Adds to the counter `key`, which begins at 0, and returns the sum.
    ///
    /// # Errors
    /// [`StateError::Refused`] where it is not a counter, the sum does not fit, or it would break a limit.
    pub fn add(self, key: &str, by: i64) -> Result<i64, StateError> {
        outside::state_add(self.at, key, by, None).map_err(|reason| refused(key, reason))
    }

    /// Adds to the counter `key`, and forgets it `ttl` after the message's time.
    ///
    /// # Errors
    /// As [`State::add`].
    pub fn add_for(self, key: &str, by: i64, ttl: Duration) -> Result<i64, StateError> {
        outside::state_add(self.at, key, by, Some(millis(ttl)))
            .map_err(|reason| refused(key, reason))
    }

    /// The counter `key`; 0 where there is none.
    ///
    /// # Errors
    /// [`StateError::Shape`] where it is not a counter.
    pub fn counter(self, key: &str) -> Result<i64, StateError> {
        match outside::state_get(self.at, key) {
            None => Ok(0),
            Some(bytes) => <[u8; 8]>::try_from(bytes.as_slice())
                .map(i64::from_le_bytes)
                .map_err(|_| shape(key, "it is not a counter")),
        }
    }

    pub(crate) fn write<T: Serialize>(
        self,
        key: &str,
        value: &T,
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(value).map_err(|error| shape(key, &error.to_string()))?;
        self.write_bytes(key, &bytes, ttl)
    }

    pub(crate) fn bytes(self, key: &str) -> Option<Vec<u8>> {
        outside::state_get(self.at, key)
    }

    pub(crate) fn write_bytes(
        self,
        key: &str,
        bytes: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        outside::state_put(self.at, key, Some(bytes), ttl.map(millis))
            .map_err(|reason| refused(key, reason))
    }
}

fn refused(key: &str, reason: String) -> StateError {
    StateError::Refused {
        key: key.into(),
        reason,
    }
}

pub(crate) fn shape(key: &str, reason: &str) -> StateError {
    StateError::Shape {
        key: key.into(),
        reason: reason.into(),
    }
}

/// A duration as the interface has it. Half a billion years is for ever.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
