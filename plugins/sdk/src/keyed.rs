//! State as typed values: each names its key, its shape and how long it lasts in one constant, so that no two places of a
//! plugin disagree about them.
//!
//! ```
//! use chat_plugin::{Counter, Message, State, StateError, Value};
//! use std::time::Duration;
//!
//! const MESSAGES: Counter = Counter::new("messages");
//! /// A person's last words.
//! const LAST: Value<String> = Value::new("last").lasting(Duration::from_secs(3_600));
//!
//! fn note(message: &Message, state: State) -> Result<Option<String>, StateError> {
//!     MESSAGES.add(state, 1)?;
//!     let last = LAST.of(message.sender);
//!     let before = last.get(state)?;
//!     last.put(state, &message.text)?;
//!     Ok(before)
//! }
//! ```

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{PersonId, State, StateError};

/// A place in the state of a room: `name`, or `name/17` for person 17.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    name: &'static str,
    person: Option<PersonId>,
    lasting: Option<Duration>,
}

impl Key {
    const fn new(name: &'static str) -> Self {
        Key {
            name,
            person: None,
            lasting: None,
        }
    }

    const fn lasting(self, lasting: Duration) -> Self {
        Key {
            lasting: Some(lasting),
            ..self
        }
    }

    const fn of(self, person: PersonId) -> Self {
        Key {
            person: Some(person),
            ..self
        }
    }

    fn text(&self) -> Cow<'static, str> {
        match self.person {
            None => Cow::Borrowed(self.name),
            Some(PersonId(person)) => Cow::Owned(keyed(self.name, person)),
        }
    }

    fn put<T: Serialize>(self, state: State, value: &T) -> Result<(), StateError> {
        state.write(&self.text(), value, self.lasting)
    }
}

/// `name/17`. By hand, because `format!` takes longer than the rest of many a call.
fn keyed(name: &str, person: u64) -> String {
    let mut digits = Vec::with_capacity(20);
    let mut left = person;
    loop {
        digits.push(char::from(b'0' + (left % 10) as u8));
        left /= 10;
        if left == 0 {
            break;
        }
    }
    let mut key = String::with_capacity(name.len() + 1 + digits.len());
    key.push_str(name);
    key.push('/');
    key.extend(digits.iter().rev());
    key
}

/// One value of a room, or one for each person there.
#[derive(Debug, PartialEq, Eq)]
pub struct Value<T> {
    key: Key,
    of: PhantomData<fn() -> T>,
}

// By hand, because what is only named need not be `Clone` itself.
impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Value<T> {}

impl<T> Value<T> {
    /// The value under `key`, kept until it is removed.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Value {
            key: Key::new(key),
            of: PhantomData,
        }
    }

    /// Forgotten so long after the time of the message that wrote it last.
    #[must_use]
    pub const fn lasting(self, lasting: Duration) -> Self {
        Value {
            key: self.key.lasting(lasting),
            of: PhantomData,
        }
    }

    /// The person's own.
    #[must_use]
    pub const fn of(self, person: PersonId) -> Self {
        Value {
            key: self.key.of(person),
            of: PhantomData,
        }
    }

    /// Removes it.
    ///
    /// # Errors
    /// As [`State::remove`].
    pub fn remove(self, state: State) -> Result<(), StateError> {
        state.remove(&self.key.text())
    }
}

impl<T: Serialize + DeserializeOwned> Value<T> {
    /// What is there, if anything is.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn get(self, state: State) -> Result<Option<T>, StateError> {
        state.get(&self.key.text())
    }

    /// Puts `value` there.
    ///
    /// # Errors
    /// As [`State::put`].
    pub fn put(self, state: State, value: &T) -> Result<(), StateError> {
        self.key.put(state, value)
    }
}

/// Bytes of a room, or of each person there, in an encoding of the plugin's own: for what is read and written at every
/// message, where JSON would cost more than all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    key: Key,
}

impl Packed {
    /// The bytes under `key`, kept until they are removed.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Packed { key: Key::new(key) }
    }

    /// Forgotten so long after the time of the message that wrote them last.
    #[must_use]
    pub const fn lasting(self, lasting: Duration) -> Self {
        Packed {
            key: self.key.lasting(lasting),
        }
    }

    /// The person's own.
    #[must_use]
    pub const fn of(self, person: PersonId) -> Self {
        Packed {
            key: self.key.of(person),
        }
    }

    /// What is there, if anything is.
    #[must_use]
    pub fn get(self, state: State) -> Option<Vec<u8>> {
        state.bytes(&self.key.text())
    }

    /// Puts `bytes` there.
    ///
    /// # Errors
    /// As [`State::put`].
    pub fn put(self, state: State, bytes: &[u8]) -> Result<(), StateError> {
        state.write_bytes(&self.key.text(), bytes, self.key.lasting)
    }

    /// Removes them.
    ///
    /// # Errors
    /// As [`State::remove`].
    pub fn remove(self, state: State) -> Result<(), StateError> {
        state.remove(&self.key.text())
    }
}

/// A number of a room, or one for each person there. Begins at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    key: Key,
}

impl Counter {
    /// The counter under `key`, kept until it is removed.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Counter { key: Key::new(key) }
    }

    /// Forgotten, so back at 0, so long after the time of the message that added to it last.
    #[must_use]
    pub const fn lasting(self, lasting: Duration) -> Self {
        Counter {
            key: self.key.lasting(lasting),
        }
    }

    /// The person's own.
    #[must_use]
    pub const fn of(self, person: PersonId) -> Self {
        Counter {
            key: self.key.of(person),
        }
    }

    /// How far it has come.
    ///
    /// # Errors
    /// As [`State::counter`].
    pub fn get(self, state: State) -> Result<i64, StateError> {
        state.counter(&self.key.text())
    }

    /// Adds to it, and returns the sum.
    ///
    /// # Errors
    /// As [`State::add`].
    pub fn add(self, state: State, by: i64) -> Result<i64, StateError> {
        match self.key.lasting {
            None => state.add(&self.key.text(), by),
            Some(lasting) => state.add_for(&self.key.text(), by, lasting),
        }
    }

    /// Removes it, so that it begins at 0 again.
    ///
    /// # Errors
    /// As [`State::remove`].
    pub fn remove(self, state: State) -> Result<(), StateError> {
        state.remove(&self.key.text())
    }
}

/// A few different values, together at most 64 KiB of JSON: every change writes them all.
#[derive(Debug, PartialEq, Eq)]
pub struct Set<T> {
    all: Value<BTreeSet<T>>,
}

impl<T> Clone for Set<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Set<T> {}

impl<T> Set<T> {
    /// The set under `key`, kept until it is removed.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Set {
            all: Value::new(key),
        }
    }

    /// Forgotten as a whole so long after the time of the message that changed it last.
    #[must_use]
    pub const fn lasting(self, lasting: Duration) -> Self {
        Set {
            all: self.all.lasting(lasting),
        }
    }

    /// The person's own.
    #[must_use]
    pub const fn of(self, person: PersonId) -> Self {
        Set {
            all: self.all.of(person),
        }
    }

    /// Empties it.
    ///
    /// # Errors
    /// As [`State::remove`].
    pub fn clear(self, state: State) -> Result<(), StateError> {
        self.all.remove(state)
    }
}

impl<T: Ord + Serialize + DeserializeOwned> Set<T> {
    /// What is in it.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn all(self, state: State) -> Result<BTreeSet<T>, StateError> {
        Ok(self.all.get(state)?.unwrap_or_default())
    }

    /// Puts `value` in; false where it was there.
    ///
    /// # Errors
    /// As [`State::get`] and [`State::put`].
    pub fn insert(self, state: State, value: T) -> Result<bool, StateError> {
        let mut all = self.all(state)?;
        let new = all.insert(value);
        if new {
            self.all.put(state, &all)?;
        }
        Ok(new)
    }

    /// Takes `value` out; false where it was not there.
    ///
    /// # Errors
    /// As [`State::get`] and [`State::put`].
    pub fn remove(self, state: State, value: &T) -> Result<bool, StateError> {
        let mut all = self.all(state)?;
        let was_there = all.remove(value);
        if all.is_empty() {
            self.all.remove(state)?;
        } else if was_there {
            self.all.put(state, &all)?;
        }
        Ok(was_there)
    }
}

#[cfg(test)]
mod tests {
    use super::keyed;

    #[test]
    fn a_persons_key_ends_with_their_number() {
        for person in [0, 7, 10, 907, u64::MAX] {
            assert_eq!(keyed("sender", person), format!("sender/{person}"));
        }
    }
}
