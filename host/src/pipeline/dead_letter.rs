//! What an outcome leaves for the operator where plugins failed at its message, and where it sent a dead letter again.

use super::segment::Item;
use crate::proto::log::v1::{
    self as log, Change, DeadLetterRetried, PartitionState, Verdict, change, outcome::Cause,
};

/// How much of what the plugins wrote a letter keeps, of all that failed together.
const OUTPUT_BYTES: usize = 8 * 1024;

/// Adds these changes to the outcome about `item`.
pub(super) fn add(outcome: &mut log::Outcome, item: &Item, state: &PartitionState) {
    if let Some(number) = item.dead_letter {
        let id = match &outcome.cause {
            Some(Cause::Ingress(cause)) => cause.id.clone(),
            _ => bytes::Bytes::new(),
        };
        let retried = DeadLetterRetried {
            number,
            id,
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
        };
        let change = Change::from(change::Change::DeadLetterRetried(retried));
        outcome.changes.push(change);
    }
    if !outcome.failures.is_empty() {
        let letter = letter(outcome, item, state);
        let change = Change::from(change::Change::DeadLetter(letter));
        outcome.changes.push(change);
        // Once is enough.
        for failure in &mut outcome.failures {
            failure.output.clear();
        }
    }
}

fn letter(outcome: &log::Outcome, item: &Item, state: &PartitionState) -> log::DeadLetter {
    let mut failures = outcome.failures.clone();
    let mut left = OUTPUT_BYTES;
    for failure in &mut failures {
        match left.checked_sub(failure.output.len()) {
            Some(rest) => left = rest,
            None => failure.output.clear(),
        }
    }
    log::DeadLetter {
        number: state.dead_letters + 1,
        offset: item.cause.offset,
        id: item.cause.id.clone(),
        time_ms: outcome.time_ms,
        room: item.room.0,
        room_name: item.room_name.clone(),
        person: item.person.0,
        name: item.name.clone(),
        text: item.text.clone(),
        verdict: outcome.verdict,
        reason: outcome.reason.clone(),
        failures,
        retried: None,
    }
}

/// What stands for the request to forget what was seen.
pub(super) fn cleared(seen: log::ClearDeadLetters) -> super::segment::Draft {
    let mut draft = super::segment::Draft::only(Verdict::Handled, "");
    let change = change::Change::DeadLettersCleared(seen);
    draft.planned.push(super::segment::Planned::plain(change));
    draft
}
