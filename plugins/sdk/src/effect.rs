//! What a command or a timer does to its room.

use std::time::Duration;

use crate::PersonId;

/// One thing that happens, in the message's own room and in the order of the list (at most 32). Text is bounded like a
/// message, is formatted and reviewed, and is never parsed as a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To all, in the name of the message's sender (of the plugin, from a timer).
    Say(String),
    /// To all, as something that the sender does.
    Act(String),
    /// To all, in the plugin's name.
    Notice(String),
    /// To the named person only, from the message's sender. An unknown name is answered to the sender.
    Whisper {
        /// The person's name.
        to: String,
        /// What they are told.
        text: String,
    },
    /// To the message's sender only, in the plugin's name. From a timer: a failure.
    Reply(String),
    /// Sets the room's topic (at most 256 bytes).
    Topic(String),
    /// Withholds what this person sends to the room.
    Mute {
        /// Who is muted.
        person: PersonId,
        /// For how long; zero ends it.
        lasting: Duration,
    },
    /// Sets a timer.
    Schedule(Timer),
    /// Removes the timer of this key. None there: nothing happens.
    Cancel(String),
}

impl Effect {
    /// To all, in the name of the message's sender.
    #[must_use]
    pub fn say(text: impl Into<String>) -> Self {
        Effect::Say(text.into())
    }

    /// To all, as something that the sender does.
    #[must_use]
    pub fn act(text: impl Into<String>) -> Self {
        Effect::Act(text.into())
    }

    /// To all, in the plugin's name.
    #[must_use]
    pub fn notice(text: impl Into<String>) -> Self {
        Effect::Notice(text.into())
    }

    /// To the named person only.
    #[must_use]
    pub fn whisper(to: impl Into<String>, text: impl Into<String>) -> Self {
        Effect::Whisper {
            to: to.into(),
            text: text.into(),
        }
    }

    /// To the message's sender only.
    #[must_use]
    pub fn reply(text: impl Into<String>) -> Self {
        Effect::Reply(text.into())
    }

    /// Sets the room's topic.
    #[must_use]
    pub fn topic(text: impl Into<String>) -> Self {
        Effect::Topic(text.into())
    }

    /// Withholds what `person` sends to the room; zero ends it.
    #[must_use]
    pub fn mute(person: PersonId, lasting: Duration) -> Self {
        Effect::Mute { person, lasting }
    }

    /// Removes the timer of this key.
    #[must_use]
    pub fn cancel(key: impl Into<String>) -> Self {
        Effect::Cancel(key.into())
    }
}

/// Something to be reminded of. It fires once, `delay` after the message or timer that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Names it among this plugin's timers of the room (at most 128 bytes); the same key again replaces it.
    pub key: String,
    /// At most 366 days; kept in milliseconds.
    pub delay: Duration,
    /// What it fires with (at most 4,096 bytes).
    pub data: Vec<u8>,
}

impl Timer {
    /// A timer without data.
    #[must_use]
    pub fn new(key: impl Into<String>, delay: Duration) -> Self {
        Timer {
            key: key.into(),
            delay,
            data: Vec::new(),
        }
    }

    /// The timer, firing with `data`.
    #[must_use]
    pub fn with(self, data: impl Into<Vec<u8>>) -> Self {
        Timer {
            data: data.into(),
            ..self
        }
    }
}
