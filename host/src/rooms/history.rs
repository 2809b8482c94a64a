//! Pages of a room's history, and the list of rooms, from the store.

use std::sync::Arc;

use super::Rooms;
use super::channel::Source;
use crate::proto::log::v1::RoomState;
use crate::proto::v1::{self, server_frame::Frame};
use crate::state::frame::unframed;
use crate::state::ids::{Partition, RoomId, Sequence};
use crate::state::keys::{self, Key, Tag};
use crate::state::store::{Direction, Store, StoreError};
use crate::state::view::View;

/// Which events of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// Those after a number, oldest first.
    After(Sequence),
    /// Those before a number, the newest of them.
    Before(Sequence),
}

/// Events of a room, rising, at most `limit`.
///
/// # Errors
/// Where the store fails.
pub async fn events(
    store: &Arc<dyn Store>,
    room: RoomId,
    page: Page,
    limit: usize,
) -> Result<Vec<v1::RoomEvent>, StoreError> {
    let source = Source::Room(room);
    let ((from, to), direction) = match page {
        Page::Newest => (
            source.range(Sequence(0), Sequence(u64::MAX)),
            Direction::Backward,
        ),
        Page::After(after) => (
            source.range(after.next(), Sequence(u64::MAX)),
            Direction::Forward,
        ),
        Page::Before(before) => (source.range(Sequence(0), before), Direction::Backward),
    };
    let mut entries = store.range_later(from, to, limit, direction).await?;
    if direction == Direction::Backward {
        entries.reverse();
    }
    Ok(entries
        .into_iter()
        .filter_map(|(_, bytes)| match unframed(&bytes) {
            Some(Frame::RoomEvent(event)) => Some(event),
            _ => None,
        })
        .collect())
}

impl Rooms {
    /// Rooms by name, after `after`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn list(&self, after: &str, limit: usize) -> Result<Vec<v1::Room>, StoreError> {
        let view = View::of(self.store().clone());
        let mut found: Vec<RoomState> = Vec::new();
        for partition in (0..self.partitions()).map(Partition) {
            let prefix = Key::of(partition, Tag::RoomByName).end();
            let mut from = keys::room_by_name(partition, after);
            if !after.is_empty() {
                from.push(0);
            }
            for (_, id) in view.range(&from, &keys::after(&prefix), limit)? {
                found.extend(view.read::<RoomState>(&keys::room(RoomId(keys::number_at(&id, 0))))?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.truncate(limit);
        Ok(found.into_iter().map(|room| self.shown(room)).collect())
    }

    /// A room as it is listed.
    #[must_use]
    pub fn shown(&self, room: RoomState) -> v1::Room {
        let members = self
            .open_channel(Source::Room(RoomId(room.room)))
            .map_or(0, |channel| channel.members("", 0).1);
        v1::Room {
            name: room.name,
            topic: room.topic,
            members: u32::try_from(members).unwrap_or(u32::MAX),
            head: room.head,
            created_ms: room.created_ms,
        }
    }
}
