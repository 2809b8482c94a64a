//! One thing in the message list.

use crate::proto::v1::{PrivateEvent, RoomEvent};

/// A thing that happened, as it is kept for the list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its own number, by which the view holds on to it.
    pub key: u64,
    /// When.
    pub time_ms: u64,
    /// What.
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An event of the room.
    Said {
        /// The event.
        event: RoomEvent,
        /// It is ours.
        own: bool,
    },
    /// For us only.
    Private(PrivateEvent),
    /// Ours, and not in the room.
    Kept {
        /// `withheld` or `not sent`.
        how: &'static str,
        /// What we had said.
        text: String,
        /// Why.
        reason: String,
    },
    /// Ours, and not yet in the room.
    Pending(String),
    /// What the client itself has to say.
    Note(String),
}
