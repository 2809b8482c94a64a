//! What plugins have read and written for the segment that is being decided, on top of what they remember.
//!
//! Counts as the fold will, so that it does not matter where segments are cut; but for what expires within a segment,
//! which counts until it is folded. A call that fails is taken back, write by
//! write. Knows entries and bounds; does not know where what is remembered lies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use prost::Message;

use crate::plugin::{MEMORY_BYTES, MEMORY_ENTRIES};
use crate::proto::log::v1::PluginState;
use crate::state::ids::RoomId;

/// Bytes that may be written for one message, so that its outcome stays a small record.
const MESSAGE_BYTES: usize = 256 * 1024;

/// An entry: none where there is none, and when it expires; 0: never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub value: Option<Bytes>,
    pub expires_ms: u64,
}

/// How much a plugin remembers in a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    pub entries: u64,
    pub bytes: u64,
}

/// A write of a plugin.
pub struct Write<'a> {
    /// For which message of the segment.
    pub item: usize,
    pub room: RoomId,
    pub plugin: &'a str,
    pub key: &'a str,
    pub entry: Entry,
    /// In which layout the plugin writes.
    pub layout: u32,
}

/// See the module.
#[derive(Default)]
pub struct Desks {
    rooms: HashMap<RoomId, Vec<Desk>, RandomState>,
    /// How to take back what this call has written, newest last.
    written: Vec<Undo>,
    /// What was written for each message; the end of it may be this call's.
    of_items: BTreeMap<usize, OfItem>,
}

/// One plugin in one room.
struct Desk {
    plugin: Arc<str>,
    /// What was written, and what was read below.
    entries: HashMap<Arc<str>, Entry, RandomState>,
    /// How much it remembers with what it has written; known once it writes.
    size: Option<Size>,
}

#[derive(Default)]
struct OfItem {
    changes: Vec<PluginState>,
    bytes: usize,
}

struct Undo {
    item: usize,
    room: RoomId,
    plugin: Arc<str>,
    key: Arc<str>,
    entry: Entry,
    size: Size,
}

impl Desks {
    fn desk(&mut self, plugin: &str, room: RoomId) -> Option<&mut Desk> {
        let desks = self.rooms.entry(room).or_default();
        // A room has few plugins that remember something.
        let place = desks.iter().position(|desk| *desk.plugin == *plugin);
        let place = place.unwrap_or_else(|| {
            desks.push(Desk {
                plugin: plugin.into(),
                entries: HashMap::default(),
                size: None,
            });
            desks.len() - 1
        });
        desks.get_mut(place)
    }

    /// What lies under a key, also where it has just expired; `below` is what is remembered.
    pub fn find(
        &mut self,
        plugin: &str,
        room: RoomId,
        key: &str,
        below: impl FnOnce() -> Entry,
    ) -> Entry {
        let Some(desk) = self.desk(plugin, room) else {
            return Entry::default();
        };
        if let Some(entry) = desk.entries.get(key) {
            return entry.clone();
        }
        let entry = below();
        desk.entries.insert(key.into(), entry.clone());
        entry
    }

    /// Writes or removes; `below` is what is remembered under the key, `size` how much in all.
    ///
    /// # Errors
    /// Which bound this would break, or what `size` says.
    pub fn write(
        &mut self,
        write: Write<'_>,
        below: impl FnOnce() -> Entry,
        size: impl FnOnce() -> Result<Size, String>,
    ) -> Result<(), String> {
        let change = PluginState {
            plugin: write.plugin.to_owned(),
            room: write.room.0,
            key: write.key.to_owned(),
            value: write.entry.value.clone(),
            expires_ms: write.entry.expires_ms,
            layout: write.layout,
        };
        let value = write.entry.value.as_ref();
        let of_item = self.of_items.get(&write.item).map_or(0, |of| of.bytes);
        if of_item + size_of(&change) > MESSAGE_BYTES {
            return Err(format!(
                "more than {MESSAGE_BYTES} bytes would be written for one message"
            ));
        }
        let Some(desk) = self.desk(write.plugin, write.room) else {
            return Ok(());
        };
        let before = match desk.size {
            Some(size) => size,
            None => size()?,
        };
        let (key, old) = match desk.entries.get_key_value(write.key) {
            Some((key, entry)) => (key.clone(), entry.clone()),
            None => (write.key.into(), below()),
        };
        let after = before.with(write.key, old.value.as_ref(), value);
        if value.is_some() {
            after.check(before)?;
        }
        desk.entries.insert(key.clone(), write.entry);
        desk.size = Some(after);
        let plugin = desk.plugin.clone();
        self.written.push(Undo {
            item: write.item,
            room: write.room,
            plugin,
            key,
            entry: old,
            size: before,
        });
        self.of_items.entry(write.item).or_default().add(change);
        Ok(())
    }

    /// What this call wrote counts.
    pub fn keep(&mut self) {
        self.written.clear();
    }

    /// What this call wrote never was.
    pub fn take_back(&mut self) {
        while let Some(undo) = self.written.pop() {
            if let Some(of_item) = self.of_items.get_mut(&undo.item) {
                of_item.drop_last();
            }
            if let Some(desk) = self.desk(&undo.plugin, undo.room) {
                desk.entries.insert(undo.key, undo.entry);
                desk.size = Some(undo.size);
            }
        }
    }

    /// What a plugin remembers in a room is another from now on.
    pub fn forget(&mut self, plugin: &str, room: RoomId) {
        if let Some(desks) = self.rooms.get_mut(&room) {
            desks.retain(|desk| *desk.plugin != *plugin);
        }
    }

    /// Takes what was written for a message.
    pub fn take(&mut self, item: usize) -> Vec<PluginState> {
        self.of_items.remove(&item).unwrap_or_default().changes
    }

    /// The segment is decided.
    pub fn clear(&mut self) {
        self.rooms.clear();
        self.written.clear();
        self.of_items.clear();
    }
}

impl OfItem {
    fn add(&mut self, change: PluginState) {
        self.bytes += size_of(&change);
        self.changes.push(change);
    }

    fn drop_last(&mut self) {
        if let Some(change) = self.changes.pop() {
            self.bytes -= size_of(&change);
        }
    }
}

/// As it will be in the log.
fn size_of(change: &PluginState) -> usize {
    change.encoded_len()
}

impl Size {
    /// With this under `key` instead of what was there.
    fn with(self, key: &str, old: Option<&Bytes>, new: Option<&Bytes>) -> Self {
        let bytes = |value: Option<&Bytes>| value.map_or(0, |v| (key.len() + v.len()) as u64);
        Self {
            entries: self.entries.saturating_sub(old.is_some().into()) + u64::from(new.is_some()),
            bytes: self.bytes.saturating_sub(bytes(old)) + bytes(new),
        }
    }

    /// Whether a plugin may remember so much. What does not make it more is never too much.
    fn check(self, before: Self) -> Result<(), String> {
        if self.entries > MEMORY_ENTRIES && self.entries > before.entries {
            let entries = before.entries;
            return Err(format!(
                "the plugin keeps {entries} entries in this room; at most {MEMORY_ENTRIES} are allowed"
            ));
        }
        if self.bytes > MEMORY_BYTES && self.bytes > before.bytes {
            let bytes = before.bytes;
            return Err(format!(
                "the plugin keeps {bytes} bytes in this room; at most {MEMORY_BYTES} are allowed"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);

    fn entry(value: &[u8]) -> Entry {
        Entry {
            value: Some(Bytes::copy_from_slice(value)),
            expires_ms: 0,
        }
    }

    /// Puts a value of so many bytes for a message, on top of `full` entries of which none is under this key.
    fn put(
        desks: &mut Desks,
        item: usize,
        key: &str,
        bytes: usize,
        full: Size,
    ) -> Result<(), String> {
        let write = Write {
            item,
            room: ROOM,
            plugin: "poll",
            key,
            entry: entry(&vec![7; bytes]),
            layout: 0,
        };
        desks.write(write, Entry::default, || Ok(full))
    }

    fn find(desks: &mut Desks, key: &str) -> usize {
        let found = desks.find("poll", ROOM, key, Entry::default);
        found.value.map_or(0, |value| value.len())
    }

    #[test]
    fn what_is_replaced_is_counted_once() {
        let mut desks = Desks::default();
        let full = Size {
            entries: MEMORY_ENTRIES - 1,
            bytes: 100,
        };
        for item in 0..64 {
            put(&mut desks, item, "a", item, full).unwrap();
        }
        let told = put(&mut desks, 64, "b", 1, full).unwrap_err();
        assert!(told.contains("10000 entries"), "{told}");
        desks.keep();
        assert_eq!(find(&mut desks, "a"), 63);
        assert_eq!(desks.take(0).len(), 1);
        assert_eq!(desks.take(64).len(), 0);
    }

    #[test]
    fn a_call_that_failed_leaves_nothing() {
        let mut desks = Desks::default();
        put(&mut desks, 0, "a", 5, Size::default()).unwrap();
        desks.keep();
        for bytes in [6, 7] {
            put(&mut desks, 1, "a", bytes, Size::default()).unwrap();
            put(&mut desks, 1, "b", bytes, Size::default()).unwrap();
        }
        desks.take_back();
        assert_eq!((find(&mut desks, "a"), find(&mut desks, "b")), (5, 0));
        assert_eq!((desks.take(0).len(), desks.take(1).len()), (1, 0));
        let desk = desks.desk("poll", ROOM).unwrap();
        assert_eq!(
            desk.size,
            Some(Size {
                entries: 1,
                bytes: 6
            })
        );
    }

    #[test]
    fn the_bytes_of_a_message_and_of_a_room_are_bounded() {
        let mut desks = Desks::default();
        for key in ["a", "b", "c"] {
            put(&mut desks, 0, key, 65_536, Size::default()).unwrap();
        }
        let told = put(&mut desks, 0, "d", 65_536, Size::default()).unwrap_err();
        assert!(told.contains("for one message"), "{told}");
        let mut desks = Desks::default();
        let full = Size {
            entries: 1,
            bytes: MEMORY_BYTES - 10,
        };
        put(&mut desks, 0, "a", 9, full).unwrap();
        let told = put(&mut desks, 1, "b", 0, full).unwrap_err();
        assert!(told.contains("bytes in this room"), "{told}");
        put(&mut desks, 2, "a", 9, full).unwrap();
    }
}
