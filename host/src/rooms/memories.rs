//! What plugins remember, as the operator asks for it: how much there is where, or all of one room.

use std::collections::BTreeMap;

use super::Rooms;
use crate::proto::log::v1::{PartitionState, PluginStateValue, RoomState};
use crate::state::fold::Fold;
use crate::state::ids::{Partition, RoomId};
use crate::state::keys::{self, HEAD, Key, Tag};
use crate::state::remembered::{self, Account};
use crate::state::store::{Direction, Entries, StoreError};
use crate::state::view::View;

/// Keys that are read at once.
const PAGE: usize = 4096;

/// How much a plugin remembers in a room.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The room's name.
    pub room: String,
    /// What there is.
    pub account: Account,
    /// How many timers it has set.
    pub timers: u64,
}

/// All that a plugin remembers in a room, as it was at one moment.
#[derive(Debug)]
pub struct Contents {
    /// The layout in which it is written.
    pub layout: u32,
    /// By key.
    pub entries: Vec<(String, PluginStateValue)>,
    /// Where the partition was.
    pub position: PartitionState,
}

impl Rooms {
    /// Who remembers how much where: by plugin and room.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn memories(&self) -> Result<BTreeMap<(String, RoomId), Memory>, StoreError> {
        let mut found: BTreeMap<(String, RoomId), Memory> = BTreeMap::new();
        for partition in (0..self.partitions()).map(Partition) {
            for tag in [Tag::PluginSize, Tag::Timer] {
                self.each(partition, tag, |key, value| {
                    let room = RoomId(keys::number_at(key, HEAD));
                    let of = found.entry((keys::plugin_and_rest(key).0, room));
                    let memory = of.or_default();
                    if tag == Tag::Timer {
                        memory.timers += 1;
                    } else {
                        memory.account = Account::read(value);
                    }
                })?;
            }
        }
        let view = View::of(self.store().clone());
        for ((_, room), memory) in &mut found {
            let state: Option<RoomState> = view.read(&keys::room(*room))?;
            memory.room = state.unwrap_or_default().name;
        }
        Ok(found)
    }

    fn each(
        &self,
        partition: Partition,
        tag: Tag,
        mut take: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let mut from = Key::of(partition, tag).end();
        let to = keys::after(&from);
        loop {
            let page: Entries = self.store().range(&from, &to, PAGE, Direction::Forward)?;
            for (key, value) in &page {
                take(key, value);
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => {
                    from = last.to_vec();
                    from.push(0);
                }
                _ => return Ok(()),
            }
        }
    }

    /// All that a plugin remembers in a room, without what has expired.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn contents(&self, room: RoomId, plugin: &str) -> Result<Contents, StoreError> {
        let snapshot = self.store().snapshot()?;
        let position = Fold::position_in(Partition::that_made(room.0), &*snapshot)?;
        let size = keys::plugin_size(room, plugin);
        let account = snapshot.range(&size, &keys::after(&size), 1)?;
        // Another plugin's name may begin with this one's.
        let account = account.into_iter().find(|(key, _)| *key == size);
        let prefix = keys::plugin_entries(room, plugin);
        let entries = snapshot.range(&prefix, &keys::after(&prefix), usize::MAX)?;
        let mut entries = remembered::decoded(entries)?;
        entries.retain(|(_, value)| value.expires_ms == 0 || value.expires_ms > position.time_ms);
        Ok(Contents {
            layout: account.map_or(0, |(_, value)| Account::read(&value).layout),
            entries,
            position,
        })
    }
}
