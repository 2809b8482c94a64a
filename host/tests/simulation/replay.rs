//! The outcome log, folded afresh from its first record, and what the log says of itself on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_host::journal::{Entry, Log};
use chat_host::proto::log::v1::{
    IngressCause, Outcome, Record, Verdict, change, outcome::Cause, record,
};
use chat_host::proto::v1::{PrivateEvent, RoomEvent, server_frame::Frame};
use chat_host::state::fold::{Fold, Folded};
use chat_host::state::frame::unframed;
use chat_host::state::ids::Partition;
use chat_host::state::keys::Tag;
use chat_host::state::memory::MemoryStore;
use chat_host::state::store::{Direction, Store};
use chat_host::state::view::View;
use prost::Message;

use crate::journal::Disk;

/// Room, plugin, key.
pub type PluginKey = (u64, String, String);

/// The value, none where it was removed, and when it expires.
pub type PluginValue = (Option<Vec<u8>>, u64);

/// What a replay found.
#[derive(Default)]
pub struct Replay {
    /// The state at the end.
    pub store: MemoryStore,
    /// Every event of every room, also those that are no longer kept.
    pub rooms: BTreeMap<String, BTreeMap<u64, RoomEvent>>,
    /// Private events by person, then by partition.
    pub private: BTreeMap<u64, BTreeMap<u32, BTreeMap<u64, PrivateEvent>>>,
    /// Outcomes that counted, in each partition's order.
    pub outcomes: Vec<Counted>,
    /// What plugins remember, by the changes that counted.
    pub plugins: BTreeMap<PluginKey, PluginValue>,
    /// The last dead letter of each partition.
    letters: BTreeMap<Partition, u64>,
    /// Records that did not count, and that were no outcomes.
    pub dropped: u64,
    pub claims: u64,
    pub floors: u64,
    /// What is wrong with the log itself.
    pub wrong: Vec<String>,
}

/// An outcome that counted.
pub struct Counted {
    pub partition: Partition,
    pub cause: Option<IngressCause>,
    pub verdict: Verdict,
    pub reason: String,
    /// The first event it made.
    pub sequence: u64,
    pub timer: Option<(u64, String)>,
    /// Claims that had something to decide, and decided nothing, before it.
    pub fruitless: u32,
    pub time_ms: u64,
}

/// Folds all that ever landed.
pub fn replay(disk: &Disk, partitions: u16) -> Replay {
    let mut replay = Replay::default();
    for partition in (0..partitions).map(Partition) {
        let outcomes = disk.all((partition, Log::Outcomes));
        let ingress = disk.all((partition, Log::Ingress));
        replay.partition(partition, &outcomes, &ingress);
    }
    replay
}

impl Replay {
    /// Whether timers are still to fire.
    pub fn has_timers(&self) -> bool {
        let entries = Store::range(
            &self.store,
            &[],
            &[u8::MAX; 4],
            usize::MAX,
            Direction::Forward,
        );
        entries
            .unwrap()
            .iter()
            .any(|(key, _)| key.get(2) == Some(&(Tag::TimerDue as u8)))
    }

    fn partition(&mut self, partition: Partition, outcomes: &[Entry], ingress: &[Entry]) {
        let base = Arc::new(self.store.clone());
        let mut fold = Fold::load(partition, &View::of(base.clone())).unwrap();
        let mut unanswered = ingress.iter();
        for entry in outcomes {
            let mut view = View::of(base.clone());
            let fruitless = fold.state().fruitless_claims;
            let folded = match fold.apply(&mut view, entry.offset, &entry.bytes) {
                Ok(folded) => folded,
                Err(error) => {
                    self.wrong.push(error.to_string());
                    return;
                }
            };
            fold.save(&mut view);
            Store::apply(base.as_ref(), view.take()).unwrap();
            let decided = match folded {
                Folded::Decided(decided) => decided,
                Folded::Dropped => {
                    self.dropped += 1;
                    continue;
                }
                Folded::Claimed => {
                    self.claims += 1;
                    continue;
                }
                Folded::Floored { .. } => {
                    self.floors += 1;
                    continue;
                }
            };
            for frame in decided.made.events {
                if let Some(Frame::RoomEvent(event)) = unframed(&frame.bytes) {
                    self.room_event(event);
                }
            }
            for frame in decided.made.privates {
                if let Some(Frame::PrivateEvent(event)) = unframed(&frame.bytes) {
                    self.private_event(frame.person.0, event);
                }
            }
            let Ok(Some(record::Record::Outcome(outcome))) =
                Record::decode(entry.bytes.clone()).map(|record| record.record)
            else {
                continue;
            };
            self.changes(partition, &outcome);
            let mut counted = Counted {
                partition,
                cause: None,
                verdict: decided.answer.verdict,
                reason: decided.answer.reason,
                sequence: decided.answer.sequence.0,
                timer: None,
                fruitless,
                time_ms: outcome.time_ms,
            };
            if outcome.verdict == i32::from(Verdict::Repeat) {
                counted.verdict = Verdict::Repeat;
            }
            match outcome.cause {
                Some(Cause::Ingress(cause)) => {
                    match unanswered.next() {
                        Some(next) if next.offset.0 == cause.offset => {}
                        other => self.wrong.push(format!(
                            "partition {partition}: the outcome at {} answers the record at {}, and the next one is {:?}",
                            entry.offset,
                            cause.offset,
                            other.map(|next| next.offset)
                        )),
                    }
                    counted.cause = Some(cause);
                }
                Some(Cause::Timer(timer)) => counted.timer = Some((timer.room, timer.key)),
                None => {}
            }
            self.outcomes.push(counted);
        }
        let left = unanswered.count();
        if left > 0 {
            self.wrong.push(format!(
                "partition {partition}: {left} ingress records were never decided"
            ));
        }
    }

    fn room_event(&mut self, event: RoomEvent) {
        let room = self.rooms.entry(event.room.clone()).or_default();
        let last = room.last_key_value().map_or(0, |(number, _)| *number);
        if event.sequence != last + 1 {
            self.wrong.push(format!(
                "{}: event {} follows {last} in the log",
                event.room, event.sequence
            ));
        }
        room.insert(event.sequence, event);
    }

    fn private_event(&mut self, person: u64, event: PrivateEvent) {
        let partitions = self.private.entry(person).or_default();
        let events = partitions.entry(event.partition).or_default();
        let last = events.last_key_value().map_or(0, |(number, _)| *number);
        if event.number != last + 1 {
            self.wrong.push(format!(
                "person {person}: private event {} follows {last} in the log",
                event.number
            ));
        }
        events.insert(event.number, event);
    }

    fn changes(&mut self, partition: Partition, outcome: &Outcome) {
        let mut letters = 0;
        for change in &outcome.changes {
            if let Some(change::Change::DeadLetter(letter)) = &change.change {
                letters += 1;
                let last = self.letters.entry(partition).or_default();
                *last += 1;
                if letter.number != *last {
                    self.wrong.push(format!(
                        "partition {partition}: dead letter {} is the {last}th",
                        letter.number
                    ));
                }
            }
            if let Some(change::Change::PluginStateMigrated(migrated)) = &change.change {
                for entry in &migrated.entries {
                    let key = (migrated.room, migrated.plugin.clone(), entry.key.clone());
                    let value = entry.value.as_ref().map(|value| value.to_vec());
                    self.plugins.insert(key, (value, entry.expires_ms));
                }
            }
            if let Some(change::Change::PluginState(state)) = &change.change {
                let key = (state.room, state.plugin.clone(), state.key.clone());
                let value = state.value.as_ref().map(|value| value.to_vec());
                self.plugins.insert(key, (value, state.expires_ms));
            }
        }
        let is_message = matches!(outcome.cause, Some(Cause::Ingress(_)));
        if letters != usize::from(is_message && !outcome.failures.is_empty()) {
            self.wrong.push(format!(
                "partition {partition}: {letters} dead letters of an outcome with {} failures",
                outcome.failures.len()
            ));
        }
    }
}
