//! A segment: messages that are decided together, and the drafts of their outcomes.
//!
//! A segment ends before a command, so within one nothing but moderation state passes from message to message.

use crate::plugin::CauseId;
use crate::proto::log::v1::{Change, Failure, IngressCause, Verdict, change};
use crate::proto::v1::{self, private_event, room_event};
use crate::state::ids::{PersonId, RoomId};

/// A message for a room, on its way through the plugins.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it came from.
    pub cause: IngressCause,
    /// Who sends.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Where to.
    pub room: RoomId,
    /// Its name.
    pub room_name: String,
    /// The text as it is now.
    pub text: String,
    /// The log's time for it.
    pub time_ms: u64,
    /// The dead letter that this sends again.
    pub dead_letter: Option<u64>,
}

impl Item {
    /// The number that it was given when it was taken.
    pub fn known_by(&self) -> CauseId {
        let id: Option<[u8; 16]> = self.cause.id.as_ref().try_into().ok();
        CauseId(id.map_or_else(|| self.cause.offset.into(), u128::from_be_bytes))
    }
}

/// What is to become of a cause, before numbers are given out.
#[derive(Debug, Default)]
pub struct Draft {
    /// What is decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Whose decision.
    pub plugin: String,
    /// What happens, in order.
    pub planned: Vec<Planned>,
    /// Who failed.
    pub failures: Vec<Failure>,
}

/// A change whose numbers are not given out yet.
#[derive(Debug)]
pub enum Planned {
    /// An event of the room; sequence, id and time are filled in.
    Event {
        /// Which room's.
        room: RoomId,
        /// The rest of it.
        event: v1::RoomEvent,
    },
    /// An event for one person; number, id and time are filled in.
    Private {
        /// Whose.
        person: PersonId,
        /// The rest of it.
        event: v1::PrivateEvent,
    },
    /// As it is.
    Plain(Change),
}

impl Planned {
    /// As it is.
    pub fn plain(change: change::Change) -> Self {
        Self::Plain(Change {
            change: Some(change),
        })
    }
}

impl Draft {
    /// Nothing but a verdict.
    pub fn only(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self {
            verdict,
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// A message that is kept back; its sender reads why.
    pub fn withheld(item: &Item, reason: impl Into<String>, plugin: impl Into<String>) -> Self {
        let (reason, plugin) = (reason.into(), plugin.into());
        let mut draft = Self {
            verdict: Verdict::Withheld,
            reason: reason.clone(),
            plugin: plugin.clone(),
            ..Self::default()
        };
        draft.tell_sender(
            item,
            private_event::Event::Withheld(v1::Withheld {
                client_id: item.cause.client_id.clone(),
                reason,
                plugin,
            }),
        );
        draft
    }

    /// Adds a private event for the message's sender.
    pub fn tell_sender(&mut self, item: &Item, event: private_event::Event) {
        self.tell(item.person, &item.room_name, event);
    }

    /// Adds a private event.
    pub fn tell(&mut self, person: PersonId, room_name: &str, event: private_event::Event) {
        // Nobody asked (a timer): nobody to tell.
        if person.0 == 0 {
            return;
        }
        self.planned.push(Planned::Private {
            person,
            event: v1::PrivateEvent {
                room: room_name.to_owned(),
                event: Some(event),
                ..v1::PrivateEvent::default()
            },
        });
    }

    /// Adds an event of the item's room.
    pub fn show(&mut self, item: &Item, sender: bool, plugin: &str, event: room_event::Event) {
        let mut shown = v1::RoomEvent {
            room: item.room_name.clone(),
            plugin: plugin.to_owned(),
            event: Some(event),
            ..v1::RoomEvent::default()
        };
        if sender {
            shown.sender.clone_from(&item.name);
            shown.person = item.person.0;
            shown.client_id.clone_from(&item.cause.client_id);
        }
        self.planned.push(Planned::Event {
            room: item.room,
            event: shown,
        });
    }
}
