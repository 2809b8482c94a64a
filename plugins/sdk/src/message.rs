//! A message as a plugin sees it: before formatting, with numbers for who and where.

use std::time::{Duration, SystemTime};

/// A room's number. It never changes meaning; [`crate::directory::room`] has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u64);

/// A person's number. It never changes meaning; [`crate::directory::name`] has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub u64);

/// A message's position in its partition's log. Rises; may have holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// What somebody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was sent.
    pub room: RoomId,
    /// Who sent it.
    pub sender: PersonId,
    /// Its place in the log.
    pub sequence: Sequence,
    /// When the server took it, in milliseconds since 1970-01-01 UTC. Use this rather than [`crate::now`]: it is the
    /// same when the message is decided again.
    pub time_ms: u64,
    /// At least 1 byte, no control characters but newline and tab.
    pub text: String,
}

impl Message {
    /// A message for tests: room 1, sender 1, the first of its log.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Message {
            room: RoomId(1),
            sender: PersonId(1),
            sequence: Sequence(0),
            time_ms: 0,
            text: text.into(),
        }
    }

    /// When the server took it.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.time_ms)
    }
}
