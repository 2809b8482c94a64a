//! What time and the floor take away. Time is the log's: every host forgets at the same record.

use super::ids::{Offset, Partition, PersonId, RoomId, Sequence};
use super::keys::{self, HEAD, Key, Tag};
use super::remembered;
use super::store::StoreError;
use super::view::View;
use crate::proto::log::v1::{Kept, PartitionState, PluginStateValue, RoomState};

/// How long the fate of a client id is remembered.
pub const RETRY_MS: u64 = 24 * 60 * 60 * 1000;
/// How long a lane may rest. Longer than a gateway uses one (half an hour) plus the lateness of a record (an hour).
pub const LANE_MS: u64 = 2 * 60 * 60 * 1000;
/// How far a lane's age may lag behind its use.
pub const LANE_AGE_MS: u64 = 10 * 60 * 1000;
/// Expiry runs once in so much log time, not at every outcome.
const EVERY_MS: u64 = 1000;
/// At most so many entries of a kind go at once; the rest goes a second later.
const AT_ONCE: usize = 20_000;

/// Forgets what has expired by the log's time.
///
/// # Errors
/// Where the store below fails.
pub fn expire(
    view: &mut View,
    partition: Partition,
    state: &mut PartitionState,
) -> Result<(), StoreError> {
    let now = state.time_ms;
    if now < state.expired_ms.saturating_add(EVERY_MS) {
        return Ok(());
    }
    // Scans begin where the last one ended: what lies before is gone, and skipping its tombstones costs time.
    let since = state.expired_ms;
    let mut done = true;
    for (index, of, keep_ms) in [
        (Tag::LaneAge, Tag::Lane, LANE_MS),
        (Tag::RetryAge, Tag::Retry, RETRY_MS),
        (Tag::PluginExpiry, Tag::Plugin, 0),
        (Tag::MuteExpiry, Tag::Mute, 0),
    ] {
        let from = Key::of(partition, index)
            .number(since.saturating_sub(keep_ms))
            .end();
        let to = Key::of(partition, index)
            .number(now.saturating_sub(keep_ms))
            .end();
        let old = view.range(&from, &to, AT_ONCE)?;
        done &= old.len() < AT_ONCE;
        for (entry, _) in old {
            let key = keys::from_by_time(partition, of, &entry);
            if of == Tag::Plugin {
                shrink(view, partition, &key)?;
            }
            view.put(key, None);
            view.put(entry.to_vec(), None);
        }
    }
    if done {
        state.expired_ms = now;
    }
    Ok(())
}

/// Takes an entry that expires off its plugin's account.
fn shrink(view: &mut View, partition: Partition, key: &[u8]) -> Result<(), StoreError> {
    let Some(value) = view.read::<PluginStateValue>(key)? else {
        return Ok(());
    };
    let room = RoomId(keys::number_at(key, HEAD));
    let (plugin, name) = keys::plugin_and_rest(key);
    debug_assert_eq!(Partition::that_made(room.0), partition);
    let mut account = remembered::account(view, room, &plugin)?;
    account.entries = account.entries.saturating_sub(1);
    let bytes = name.len() + value.value.len();
    account.bytes = account.bytes.saturating_sub(bytes as u64);
    remembered::set_account(view, room, &plugin, account);
    Ok(())
}

/// Forgets the events that outcomes below the floor made.
///
/// # Errors
/// Where the store below fails.
pub fn forget(view: &mut View, partition: Partition, floor: Offset) -> Result<(), StoreError> {
    let from = Key::of(partition, Tag::Kept).end();
    let to = keys::kept(partition, floor);
    for (entry, value) in view.range(&from, &to, usize::MAX)? {
        let kept = <Kept as prost::Message>::decode(value)
            .map_err(|error| StoreError(format!("a `kept` entry is broken: {error}")))?;
        for event in kept.events {
            if event.room == 0 {
                let (person, number) = (PersonId(event.person), Sequence(event.number));
                view.put(keys::private(partition, person, number), None);
                continue;
            }
            let room = RoomId(event.room);
            view.put(keys::event(room, Sequence(event.number)), None);
            if let Some(mut state) = view.read::<RoomState>(&keys::room(room))? {
                state.oldest = state.oldest.max(event.number + 1);
                view.write(keys::room(room), &state);
            }
        }
        view.put(entry.to_vec(), None);
    }
    Ok(())
}
