//! Dead letters: messages at which plugins failed, kept for the operator within bounds.
//!
//! They are history: what the floor passes is forgotten, and no checkpoint has them.

use prost::Message as _;

use super::ids::{Offset, Partition};
use super::keys::{self, Key, Tag};
use super::store::StoreError;
use super::view::View;
use crate::proto::log::v1::{ClearDeadLetters, DeadLetter, DeadLetterRetried, PartitionState};

/// The newest that a partition keeps.
pub const KEPT: u64 = 1_000;

/// Keeps one more, and forgets the one that is too many.
pub(super) fn add(
    view: &mut View,
    partition: Partition,
    state: &mut PartitionState,
    letter: &DeadLetter,
) {
    state.dead_letters = letter.number;
    view.write(keys::dead_letter(partition, letter.number), letter);
    if let Some(too_old) = letter.number.checked_sub(KEPT) {
        view.put(keys::dead_letter(partition, too_old), None);
    }
}

/// Notes what became of one that was sent again; nothing where it is gone.
pub(super) fn retried(
    view: &mut View,
    partition: Partition,
    retried: DeadLetterRetried,
) -> Result<(), StoreError> {
    let key = keys::dead_letter(partition, retried.number);
    if let Some(mut letter) = view.read::<DeadLetter>(&key)? {
        letter.retried = Some(retried);
        view.write(key, &letter);
    }
    Ok(())
}

/// Forgets what the operator has seen.
pub(super) fn clear(
    view: &mut View,
    partition: Partition,
    seen: &ClearDeadLetters,
) -> Result<(), StoreError> {
    let from = Key::of(partition, Tag::DeadLetter).end();
    let to = keys::dead_letter(partition, seen.up_to.saturating_add(1));
    for (key, _) in view.range(&from, &to, usize::MAX)? {
        view.put(key.to_vec(), None);
    }
    Ok(())
}

/// Forgets those whose messages lie below the floor.
pub(super) fn forget(
    view: &mut View,
    partition: Partition,
    ingress: Offset,
) -> Result<(), StoreError> {
    let letters = Key::of(partition, Tag::DeadLetter).end();
    for (key, value) in view.prefixed(&letters, usize::MAX)? {
        let letter = DeadLetter::decode(value)
            .map_err(|error| StoreError(format!("a dead letter is broken: {error}")))?;
        // Their numbers rise with their offsets.
        if letter.offset >= ingress.0 {
            break;
        }
        view.put(key.to_vec(), None);
    }
    Ok(())
}
