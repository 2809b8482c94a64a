//! What the screen shows: the conversation, who is there, how the connection stands.
//!
//! Changes go in; `draw` reads it. Knows no terminal and no network.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::change::{Change, State};
use super::entry::{Entry, Kind};
use super::scroll::Place;
use crate::proto::v1::room_event::Event;
use crate::proto::v1::{Command, Joined, RoomEvent};

/// Entries kept; the oldest go first, and can be fetched again.
const KEPT: usize = 5000;

/// What is older than the oldest entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Older {
    /// There may be some.
    More,
    /// It is on its way.
    Fetching,
    /// It could not be fetched; the person may ask again.
    Failed,
    /// Nothing.
    None,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Ours.
    pub client_id: String,
    /// As an entry.
    pub entry: Entry,
}

/// All of it.
#[derive(Debug)]
pub struct Model {
    /// Our name, as the server writes it.
    pub name: String,
    /// The room.
    pub room: String,
    /// Its topic.
    pub topic: String,
    /// The connection.
    pub state: State,
    /// When the next attempt is, while there is no connection.
    pub again: Option<Instant>,
    /// How many are in the room.
    pub count: u32,
    /// Who, as far as the server tells.
    pub members: Vec<String>,
    /// The conversation.
    pub entries: VecDeque<Entry>,
    /// What we said that is not decided.
    pub pending: Vec<Pending>,
    /// Where the view is; none: at the end.
    pub place: Option<Place>,
    /// How many came while the view was elsewhere.
    pub unread: usize,
    /// What is older.
    pub older: Older,
    /// The plugins' commands.
    pub commands: Vec<Command>,
    /// The server's limit.
    pub message_bytes: usize,
    /// The person wants to see the members, or not; none: where there is room.
    pub panel: Option<bool>,
    /// A word to the person, until the next key.
    pub hint: Option<String>,
    /// No key was pressed yet.
    pub untouched: bool,
    /// The keys are shown in place of the conversation.
    pub shows_keys: bool,
    /// The person is leaving, as soon as all is sent.
    pub leaving: bool,
    person: u64,
    first: Option<u64>,
    last: u64,
    /// The newest number when we came in: until it is here, the beginning of the view is not its end.
    head: u64,
    next_key: u64,
}

impl Model {
    /// Before anything happened.
    #[must_use]
    pub fn new(name: &str, room: &str) -> Self {
        Self {
            name: name.into(),
            room: room.into(),
            topic: String::new(),
            state: State::Connecting,
            again: None,
            count: 0,
            members: Vec::new(),
            entries: VecDeque::new(),
            pending: Vec::new(),
            place: None,
            unread: 0,
            older: Older::None,
            commands: Vec::new(),
            message_bytes: usize::MAX,
            panel: None,
            hint: None,
            untouched: false,
            shows_keys: false,
            leaving: false,
            person: 0,
            first: None,
            last: 0,
            head: 0,
            next_key: 0,
        }
    }

    /// Takes news; `time_ms` is this moment on the calendar.
    pub fn apply(&mut self, change: Change, now: Instant, time_ms: u64) {
        match change {
            Change::State(state) => {
                self.again = match &state {
                    State::Waiting { delay, .. } => Some(now + *delay),
                    _ => None,
                };
                self.state = state;
            }
            Change::Welcome(welcome) => {
                self.name = welcome.name;
                self.person = welcome.person;
                self.commands = welcome.commands;
                self.message_bytes = usize::try_from(welcome.message_bytes).unwrap_or(usize::MAX);
            }
            Change::Joined(joined) => self.joined(joined),
            Change::Members(members) => {
                self.count = members.count;
                self.members = members.names;
            }
            Change::Said { event, own } => {
                if own {
                    self.settle(&event.client_id);
                }
                if let Some(Event::Topic(topic)) = &event.event {
                    self.topic.clone_from(&topic.topic);
                }
                self.first.get_or_insert(event.sequence);
                self.last = event.sequence;
                self.push(event.time_ms, Kind::Said { event, own });
            }
            Change::Private(event) => self.push(event.time_ms, Kind::Private(event)),
            Change::Pending { client_id, text } => {
                let entry = Entry {
                    key: self.key(),
                    time_ms,
                    kind: Kind::Pending(text),
                };
                self.pending.push(Pending { client_id, entry });
            }
            Change::Acknowledged { .. } => {}
            Change::Done { client_id } => self.settle(&client_id),
            Change::Withheld {
                client_id,
                text,
                reason,
                plugin: _,
            } => {
                self.settle(&client_id);
                self.push(
                    time_ms,
                    Kind::Kept {
                        how: "withheld",
                        text,
                        reason,
                    },
                );
            }
            Change::Failed {
                client_id,
                text,
                reason,
            } => {
                self.settle(&client_id);
                self.push(
                    time_ms,
                    Kind::Kept {
                        how: "not sent",
                        text,
                        reason,
                    },
                );
            }
            Change::Note(text) => self.push(time_ms, Kind::Note(text)),
        }
    }

    /// The number before which older events are wanted: the view has reached the oldest entry and there may be more.
    #[must_use]
    pub fn wants_older(&self, at_top: bool) -> Option<u64> {
        let wanted = at_top
            && self.last >= self.head
            && self.older == Older::More
            && self.entries.len() < KEPT;
        wanted.then_some(self.first?)
    }

    /// A page of older events has come, in rising order; `oldest` is the oldest that the server keeps.
    pub fn older(&mut self, events: Vec<RoomEvent>, oldest: u64) {
        let first = events.first().map(|e| e.sequence);
        for event in events.into_iter().rev() {
            if self.first.is_some_and(|first| event.sequence >= first) {
                continue;
            }
            let own = event.person != 0 && event.person == self.person;
            self.first = Some(event.sequence);
            let entry = Entry {
                key: self.key(),
                time_ms: event.time_ms,
                kind: Kind::Said { event, own },
            };
            self.entries.push_front(entry);
        }
        self.older = match first {
            Some(first) if first > oldest.max(1) => Older::More,
            _ => Older::None,
        };
    }

    /// Whether the members are shown, on a screen of so many columns.
    #[must_use]
    pub fn shows_panel(&self, columns: u16) -> bool {
        self.panel.unwrap_or(columns >= 80)
    }

    fn joined(&mut self, joined: Joined) {
        self.room = joined.room;
        self.topic = joined.topic;
        if let Some(members) = joined.members {
            self.count = members.count;
            self.members = members.names;
        }
        let begins_anew = joined.head < self.last;
        self.head = joined.head;
        if self.first.is_none() || begins_anew {
            // Delivery begins after this number, so it is the newest of the older ones.
            self.first = Some(joined.after + 1);
            self.last = joined.after;
            self.older = if joined.after >= joined.oldest.max(1) {
                Older::More
            } else {
                Older::None
            };
            if begins_anew && !self.entries.is_empty() {
                self.older = Older::None;
            }
        }
    }

    fn settle(&mut self, client_id: &str) {
        self.pending.retain(|p| p.client_id != client_id);
    }

    fn push(&mut self, time_ms: u64, kind: Kind) {
        let entry = Entry {
            key: self.key(),
            time_ms,
            kind,
        };
        self.entries.push_back(entry);
        if self.place.is_some() {
            self.unread += 1;
        } else if self.entries.len() > KEPT {
            self.entries.pop_front();
            self.first = self.entries.iter().find_map(sequence).or(self.first);
            self.older = Older::More;
        }
        // Whoever reads far above for long must not fill the memory: the view goes back to the end.
        if self.entries.len() > 2 * KEPT {
            self.place = None;
            self.unread = 0;
            self.entries.drain(..KEPT);
            self.first = self.entries.iter().find_map(sequence).or(self.first);
            self.older = Older::More;
        }
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

#[cfg(test)]
impl Model {
    /// As after having joined late.
    pub fn first_is(&mut self, sequence: u64) {
        self.first = Some(sequence);
    }
}

fn sequence(entry: &Entry) -> Option<u64> {
    match &entry.kind {
        Kind::Said { event, .. } => Some(event.sequence),
        _ => None,
    }
}
