//! How a draft becomes an outcome: numbers are given out, the record is made, and the overlay moves on by it.

use prost::Message as _;

use super::attempt::{Attempt, Decisions, ulid};
use super::dead_letter;
use super::segment::{Draft, Item, Planned};
use crate::proto::log::v1::{
    self as log, Failure, Verdict, change, outcome::Cause, record::Record,
};
use crate::state::fold::{ENCODING, FoldError};
use crate::state::ids::{Partition, PersonId, RoomId, Sequence};
use crate::state::keys;
use crate::state::store::StoreError;
use crate::state::view::View;

/// A larger outcome is the failure of a plugin: it would not fit through every journal.
const OUTCOME_BYTES: usize = 512 * 1024;

impl Attempt {
    /// Gives out the numbers, records the outcome, and moves the overlay on by it. `item` is the message that went through
    /// the plugins, where it is about one.
    pub(super) fn conclude(
        &mut self,
        cause: Cause,
        time_ms: u64,
        draft: Draft,
        item: Option<&Item>,
        decisions: &mut Decisions,
    ) -> Result<(), FoldError> {
        let mut outcome = self.outcome(cause, time_ms, draft, item)?;
        if outcome.encoded_len() - migrations(&outcome.changes).1 > OUTCOME_BYTES {
            outcome = self.too_large(outcome, item)?;
        }
        let record = log::Record {
            version: ENCODING,
            record: Some(Record::Outcome(outcome)),
        };
        decisions.records.push(record.encode_to_vec().into());
        if let Some(Record::Outcome(outcome)) = record.record {
            let fold = &mut self.fold;
            self.scope
                .with_view(|view| fold.anticipate(view, outcome))?;
        }
        Ok(())
    }

    fn outcome(
        &self,
        cause: Cause,
        time_ms: u64,
        draft: Draft,
        item: Option<&Item>,
    ) -> Result<log::Outcome, StoreError> {
        let state = self.fold.state();
        let id = match &cause {
            Cause::Ingress(cause) => ulid(&cause.id),
            Cause::Timer(_) => String::new(),
        };
        let time_ms = time_ms.max(state.time_ms);
        let mut numbers = Numbers::default();
        let mut changes = Vec::with_capacity(draft.planned.len());
        for planned in draft.planned {
            let change = match planned {
                Planned::Plain(change) => change,
                Planned::Event { room, mut event } => {
                    let next = self
                        .scope
                        .with_view(|view| numbers.next_event(view, room))?;
                    event.sequence = next.0;
                    event.id.clone_from(&id);
                    event.time_ms = time_ms;
                    change::Change::RoomEvent(log::RoomEvent {
                        room: room.0,
                        event: Some(event),
                    })
                    .into()
                }
                Planned::Private { person, mut event } => {
                    let partition = self.fold.partition();
                    let next = self
                        .scope
                        .with_view(|view| numbers.next_private(view, partition, person))?;
                    event.partition = u32::from(partition.0);
                    event.number = next.0;
                    event.id.clone_from(&id);
                    event.time_ms = time_ms;
                    change::Change::Private(log::Private {
                        person: person.0,
                        event: Some(event),
                    })
                    .into()
                }
            };
            changes.push(change);
        }
        let mut outcome = log::Outcome {
            generation: state.generation,
            nonce: state.nonce.clone(),
            step: state.step + 1,
            time_ms,
            cause: Some(cause),
            verdict: draft.verdict.into(),
            reason: draft.reason,
            plugin: draft.plugin,
            changes,
            failures: draft.failures,
        };
        if let Some(item) = item {
            dead_letter::add(&mut outcome, item, state);
        }
        Ok(outcome)
    }

    /// What stands for an outcome that would be too large: nothing happens but that its failure is on record. What plugins
    /// brought along and wrote stays so, for what was decided after it was decided on it.
    fn too_large(
        &self,
        outcome: log::Outcome,
        item: Option<&Item>,
    ) -> Result<log::Outcome, StoreError> {
        let bytes = outcome.encoded_len();
        tracing::warn!(plugin = %outcome.plugin, bytes, "an outcome would be too large; withheld");
        let mut draft = Draft::only(
            Verdict::Withheld,
            "what the plugins made of it is too large",
        );
        let (migrated, _) = migrations(&outcome.changes);
        let wrote =
            |change: &&log::Change| matches!(change.change, Some(change::Change::PluginState(_)));
        let kept = migrated
            .into_iter()
            .chain(outcome.changes.iter().filter(wrote));
        draft.planned.extend(kept.cloned().map(Planned::Plain));
        draft.plugin.clone_from(&outcome.plugin);
        draft.failures.push(Failure {
            plugin: outcome.plugin,
            kind: "outcome-size".into(),
            detail: format!("{bytes} bytes; at most {OUTCOME_BYTES} are allowed"),
            policy: "withhold".into(),
            ..Failure::default()
        });
        let cause = outcome
            .cause
            .unwrap_or(Cause::Timer(log::TimerCause::default()));
        self.outcome(cause, outcome.time_ms, draft, item)
    }
}

/// The migrations among changes, and their size. It is not counted: a migration has the bounds of what a plugin may
/// remember in a room, and happens once.
fn migrations(changes: &[log::Change]) -> (Vec<&log::Change>, usize) {
    let is_migration = |change: &&log::Change| {
        matches!(change.change, Some(change::Change::PluginStateMigrated(_)))
    };
    let found: Vec<&log::Change> = changes.iter().filter(is_migration).collect();
    let bytes = found.iter().map(|change| change.encoded_len()).sum();
    (found, bytes)
}

/// Numbers given out within one outcome, which the view does not have yet.
#[derive(Default)]
struct Numbers {
    events: Vec<(RoomId, Sequence)>,
    privates: Vec<(PersonId, Sequence)>,
}

impl Numbers {
    fn next_event(&mut self, view: &View, room: RoomId) -> Result<Sequence, StoreError> {
        if let Some((_, last)) = self.events.iter_mut().find(|(r, _)| *r == room) {
            *last = last.next();
            return Ok(*last);
        }
        let state: Option<log::RoomState> = view.read(&keys::room(room))?;
        let next = Sequence(state.map_or(0, |s| s.head)).next();
        self.events.push((room, next));
        Ok(next)
    }

    fn next_private(
        &mut self,
        view: &View,
        partition: Partition,
        person: PersonId,
    ) -> Result<Sequence, StoreError> {
        if let Some((_, last)) = self.privates.iter_mut().find(|(p, _)| *p == person) {
            *last = last.next();
            return Ok(*last);
        }
        let head = view.get(&keys::private_head(partition, person))?;
        let next = Sequence(head.map_or(0, |h| keys::number_at(&h, 0))).next();
        self.privates.push((person, next));
        Ok(next)
    }
}

impl From<change::Change> for log::Change {
    fn from(change: change::Change) -> Self {
        Self {
            change: Some(change),
        }
    }
}
