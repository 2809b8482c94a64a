//! What a person sees happen: the session's news, for whichever view shows them.

use std::time::Duration;

use crate::proto::v1::{Joined, Members, PrivateEvent, RoomEvent, Welcome};

/// One piece of news. Texts come from others as they are: a view cleans them before it shows them.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The connection.
    State(State),
    /// The server knows us. The token is left out.
    Welcome(Welcome),
    /// We are in the room, for the first time or again.
    Joined(Joined),
    /// Who is in the room.
    Members(Members),
    /// An event of the room: each once, in order.
    Said {
        /// The event.
        event: RoomEvent,
        /// It is ours.
        own: bool,
    },
    /// A whisper, an answer to a command, or a message withheld that another session of ours sent.
    Private(PrivateEvent),
    /// Taken from the person; not yet acknowledged.
    Pending {
        /// Ours.
        client_id: String,
        /// What is to be sent.
        text: String,
    },
    /// It is durable.
    Acknowledged {
        /// Ours.
        client_id: String,
    },
    /// It is decided, and nothing is left to show of it.
    Done {
        /// Ours.
        client_id: String,
    },
    /// It is kept back.
    Withheld {
        /// Ours.
        client_id: String,
        /// What we had sent.
        text: String,
        /// Why.
        reason: String,
        /// Who decided it; empty for the server.
        plugin: String,
    },
    /// The server does not take it, and sending it again would not help.
    Failed {
        /// Ours.
        client_id: String,
        /// What we had sent.
        text: String,
        /// The server's words.
        reason: String,
    },
    /// What the client itself has to say.
    Note(String),
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// On the way.
    Connecting,
    /// In the room.
    Online,
    /// The next attempt comes after so long.
    Waiting {
        /// How long.
        delay: Duration,
        /// What happened.
        why: String,
    },
}

/// Why a session ended for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Somebody else has the name.
    #[error("{0}")]
    NameTaken(String),
    /// The server will not have us as we are.
    #[error("{0}")]
    Refused(String),
}
