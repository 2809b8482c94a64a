//! What the log itself decides of a message, before any plugin sees it: repeats, order, lateness, mutes.

use std::collections::{BTreeMap, BTreeSet};

use super::segment::{Draft, Item};
use crate::proto::log::v1::{Ingress, LaneState, Post, RoomState, Verdict};
use crate::state::fold::Fold;
use crate::state::ids::{PersonId, RoomId};
use crate::state::keys;
use crate::state::store::StoreError;
use crate::state::view::View;

/// A record that lands so much later than its stamp is not taken: its gateway has long given it up.
pub const LATE_MS: u64 = 60 * 60 * 1000;
/// Claims without an outcome between them before the next record, or timer, is withheld: it is what kills the owners.
pub const FRUITLESS_CLAIMS: u32 = 3;

/// What admission says of a record.
pub enum Admitted {
    /// It goes on to the plugins.
    Message(Box<Item>),
    /// It is decided.
    Decided(Draft),
    /// Its client id is that of a message still in this segment: decide those first, then ask again.
    AfterThis,
}

/// What the records of the segment so far have used up.
#[derive(Default)]
pub struct Used {
    lanes: BTreeMap<Vec<u8>, u64>,
    client_ids: BTreeSet<(u64, String)>,
}

/// Judges order and repeats: `None` if the record is new and next. `now_ms` is the log's time before it.
///
/// # Errors
/// Where the store fails.
pub fn order(
    fold: &Fold,
    view: &View,
    used: &mut Used,
    record: &Ingress,
    now_ms: u64,
) -> Result<Option<Admitted>, StoreError> {
    if record.time_ms.saturating_add(LATE_MS) < now_ms {
        let reason = "it reached the log more than an hour late; send it again";
        return Ok(Some(Admitted::Decided(Draft::only(
            Verdict::SendAgain,
            reason,
        ))));
    }
    if !record.lane.is_empty() {
        let last = match used.lanes.get(record.lane.as_ref()) {
            Some(last) => *last,
            None => view
                .read::<LaneState>(&keys::lane(fold.partition(), &record.lane))?
                .map_or(0, |lane| lane.last),
        };
        if record.lane_number > last + 1 {
            let reason = "what was sent before it is missing; send both again";
            return Ok(Some(Admitted::Decided(Draft::only(
                Verdict::SendAgain,
                reason,
            ))));
        }
        used.lanes
            .insert(record.lane.to_vec(), last.max(record.lane_number));
        if record.lane_number <= last && record.client_id.is_empty() {
            return Ok(Some(Admitted::Decided(Draft::only(Verdict::Repeat, ""))));
        }
        if record.lane_number <= last {
            return Ok(Some(repeat_in(used, record)));
        }
    }
    if record.client_id.is_empty() {
        return Ok(None);
    }
    let id = (record.person, record.client_id.clone());
    if used.client_ids.contains(&id) {
        return Ok(Some(Admitted::AfterThis));
    }
    let key = keys::retry(fold.partition(), PersonId(record.person), &record.client_id);
    if view.get(&key)?.is_some() {
        return Ok(Some(Admitted::Decided(Draft::only(Verdict::Repeat, ""))));
    }
    used.client_ids.insert(id);
    Ok(None)
}

/// A doubled record: what it repeats may be in this very segment.
fn repeat_in(used: &Used, record: &Ingress) -> Admitted {
    let id = (record.person, record.client_id.clone());
    if used.client_ids.contains(&id) {
        Admitted::AfterThis
    } else {
        Admitted::Decided(Draft::only(Verdict::Repeat, ""))
    }
}

/// Judges a message that is new and next.
///
/// # Errors
/// Where the store fails.
pub fn message(
    fold: &Fold,
    view: &View,
    item: Item,
    message_bytes: usize,
) -> Result<Admitted, StoreError> {
    if fold.state().fruitless_claims > FRUITLESS_CLAIMS {
        return Ok(withheld(
            &item,
            "the server failed at this message again and again",
        ));
    }
    if item.text.is_empty() || item.text.len() > message_bytes {
        let reason = format!(
            "the text has {} bytes; 1 to {message_bytes} are allowed",
            item.text.len()
        );
        return Ok(withheld(&item, &reason));
    }
    if let Some(until) = view.get(&keys::mute(item.room, item.person))? {
        let until_ms = keys::number_at(&until, 0);
        if until_ms > item.time_ms {
            let seconds = (until_ms - item.time_ms).div_ceil(1000);
            let reason = format!("you are muted in {} for {seconds} s", item.room_name);
            return Ok(withheld(&item, &reason));
        }
    }
    Ok(Admitted::Message(Box::new(item)))
}

/// The room a message is for, where there is one.
///
/// # Errors
/// Where the store fails.
pub fn room_of(fold: &Fold, view: &View, post: &Post) -> Result<Option<RoomState>, StoreError> {
    let Some(id) = view.get(&keys::room_by_name(fold.partition(), &post.room))? else {
        return Ok(None);
    };
    view.read(&keys::room(RoomId(keys::number_at(&id, 0))))
}

fn withheld(item: &Item, reason: &str) -> Admitted {
    Admitted::Decided(Draft::withheld(item, reason, ""))
}
