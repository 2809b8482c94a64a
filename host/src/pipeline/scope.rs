//! What plugins reach while they are called: the partition's state, with what they have written in this segment on top.
//!
//! Writes of a call become visible to later calls when the call succeeds, and to the log with the message's outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Directory;
use super::reached::Shown;
use crate::plugin::{
    Calls, CauseId, KEY_BYTES, MEMORY_BYTES as BYTES, MEMORY_ENTRIES as ENTRIES, Remembered,
    VALUE_BYTES,
};
use crate::proto::log::v1::change::Change;
use crate::proto::log::v1::{
    PluginEntry, PluginState, PluginStateMigrated, PluginStateValue, RoomState,
};
use crate::state::ids::{PersonId, RoomId};
use crate::state::keys;
use crate::state::remembered;
use crate::state::store::StoreError;
use crate::state::view::View;

/// Bytes that may be written for one message, so that its outcome stays a small record.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Where message `at` of a call is, and when.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// The index of the message in the segment.
    pub item: usize,
    /// Its room.
    pub room: RoomId,
    /// The time that counts for expiry, in milliseconds.
    pub time_ms: u64,
    /// What it is known by, whenever it is decided.
    pub cause: CauseId,
}

/// Shared by a partition's instances; locked for the length of a call into it.
pub struct Scope {
    inner: Mutex<Inner>,
    directory: Arc<dyn Directory>,
    commands: Mutex<Arc<[Shown]>>,
}

struct Inner {
    view: View,
    call: Vec<At>,
    /// What this call has written, newest last.
    written: Vec<Write>,
    /// What earlier calls for this segment have written.
    settled: BTreeMap<(String, RoomId, String), Value>,
    /// The same, by message.
    by_item: BTreeMap<usize, Vec<PluginState>>,
    /// What plugins brought along in this segment: it takes the place of what the view has.
    brought: BTreeMap<(String, RoomId), Brought>,
    /// The same, by message.
    migrated: BTreeMap<usize, Vec<PluginStateMigrated>>,
    /// In which layout each plugin writes, where it is not 0.
    layouts: BTreeMap<String, u32>,
}

/// What a plugin remembers in a room after a migration that is not in the view yet.
struct Brought {
    entries: BTreeMap<String, (Vec<u8>, u64)>,
    bytes: u64,
    layout: u32,
}

type Value = (Option<Vec<u8>>, u64);

struct Write {
    item: usize,
    plugin: String,
    room: RoomId,
    key: String,
    value: Value,
}

impl Scope {
    /// Over this view.
    #[must_use]
    pub fn new(view: View, directory: Arc<dyn Directory>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                view,
                call: Vec::new(),
                written: Vec::new(),
                settled: BTreeMap::new(),
                by_item: BTreeMap::new(),
                brought: BTreeMap::new(),
                migrated: BTreeMap::new(),
                layouts: BTreeMap::new(),
            }),
            directory,
            commands: Mutex::default(),
        }
    }

    /// Works on the view between calls.
    pub fn with_view<T>(&self, work: impl FnOnce(&mut View) -> T) -> T {
        work(&mut self.inner.lock().view)
    }

    /// What `/help` lists from now on.
    pub fn set_commands(&self, commands: Arc<[Shown]>) {
        *self.commands.lock() = commands;
    }

    /// In which layout each plugin writes from now on.
    pub fn set_layouts(&self, layouts: BTreeMap<String, u32>) {
        self.inner.lock().layouts = layouts;
    }

    /// In which layout a plugin's memory of a room is written; none where it remembers nothing there, or has only
    /// begun to in this segment.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn layout_of(&self, plugin: &str, room: RoomId) -> Result<Option<u32>, StoreError> {
        let inner = self.inner.lock();
        if let Some(brought) = inner.brought.get(&(plugin.to_owned(), room)) {
            return Ok(Some(brought.layout));
        }
        let account = remembered::account(&inner.view, room, plugin)?;
        Ok((account.entries > 0).then_some(account.layout))
    }

    /// All that a plugin remembers in a room, without what has expired.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn memory(&self, plugin: &str, at: At) -> Result<Vec<Remembered>, StoreError> {
        let entries = remembered::entries(&self.inner.lock().view, at.room, plugin)?;
        let lasting = entries
            .into_iter()
            .filter(|(_, value)| lasts(value.expires_ms, at));
        let remembered = lasting.map(|(key, value)| Remembered {
            key,
            value: value.value.to_vec(),
            expires_ms: (value.expires_ms > 0).then_some(value.expires_ms),
        });
        Ok(remembered.collect())
    }

    /// From this message on a plugin remembers this in its room, in this layout.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn bring(
        &self,
        plugin: &str,
        at: At,
        layout: u32,
        memory: Vec<Remembered>,
    ) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let before = remembered::entries(&inner.view, at.room, plugin)?;
        let entries: BTreeMap<String, (Vec<u8>, u64)> = memory
            .into_iter()
            .map(|entry| (entry.key, (entry.value, entry.expires_ms.unwrap_or(0))))
            .filter(|(_, (_, expires_ms))| lasts(*expires_ms, at))
            .collect();
        let removed = before
            .iter()
            .filter(|(key, _)| !entries.contains_key(key))
            .map(|(key, _)| PluginEntry {
                key: key.clone(),
                ..PluginEntry::default()
            });
        let old: BTreeMap<&str, &PluginStateValue> =
            before.iter().map(|(key, old)| (&**key, old)).collect();
        let changed = entries
            .iter()
            .filter(|(key, (value, expires_ms))| {
                let old = old.get(key.as_str());
                old.is_none_or(|old| old.value != *value || old.expires_ms != *expires_ms)
            })
            .map(|(key, (value, expires_ms))| PluginEntry {
                key: key.clone(),
                value: Some(value.clone().into()),
                expires_ms: *expires_ms,
            });
        let change = PluginStateMigrated {
            plugin: plugin.to_owned(),
            room: at.room.0,
            layout,
            entries: removed.chain(changed).collect(),
        };
        let size = |(key, (value, _)): (&String, &(Vec<u8>, u64))| (key.len() + value.len()) as u64;
        let bytes = entries.iter().map(size).sum();
        inner.migrated.entry(at.item).or_default().push(change);
        let brought = Brought {
            entries,
            bytes,
            layout,
        };
        inner.brought.insert((plugin.to_owned(), at.room), brought);
        Ok(())
    }

    /// A room's name; empty where there is none.
    pub fn name_of(&self, room: RoomId) -> String {
        let inner = self.inner.lock();
        let state = inner.view.read::<RoomState>(&keys::room(room));
        state.ok().flatten().map_or_else(String::new, |s| s.name)
    }

    /// The next call is about these messages.
    pub fn begin(&self, call: Vec<At>) {
        let mut inner = self.inner.lock();
        inner.call = call;
        inner.written.clear();
    }

    /// The call succeeded: what it wrote counts.
    pub fn keep(&self) {
        let mut inner = self.inner.lock();
        for write in std::mem::take(&mut inner.written) {
            let change = PluginState {
                plugin: write.plugin.clone(),
                room: write.room.0,
                key: write.key.clone(),
                value: write.value.0.clone().map(Into::into),
                expires_ms: write.value.1,
                layout: inner.layouts.get(&write.plugin).copied().unwrap_or(0),
            };
            inner.by_item.entry(write.item).or_default().push(change);
            inner
                .settled
                .insert((write.plugin, write.room, write.key), write.value);
        }
        inner.call.clear();
    }

    /// The call failed: what it wrote never was.
    pub fn drop_call(&self) {
        let mut inner = self.inner.lock();
        inner.written.clear();
        inner.call.clear();
    }

    /// Takes what was written for a message.
    pub fn take_changes(&self, item: usize) -> Vec<Change> {
        let mut inner = self.inner.lock();
        let migrated = inner.migrated.remove(&item).unwrap_or_default();
        let written = inner.by_item.remove(&item).unwrap_or_default();
        // What a plugin brings along is there before it writes.
        migrated
            .into_iter()
            .map(Change::PluginStateMigrated)
            .chain(written.into_iter().map(Change::PluginState))
            .collect()
    }

    /// The segment is decided: its writes are in the view, or given up.
    pub fn end_segment(&self) {
        let mut inner = self.inner.lock();
        inner.settled.clear();
        inner.by_item.clear();
        inner.brought.clear();
        inner.migrated.clear();
        inner.call.clear();
        inner.written.clear();
    }
}

impl Inner {
    fn at(&self, at: u32) -> Option<At> {
        self.call.get(usize::try_from(at).ok()?).copied()
    }

    fn read(&self, plugin: &str, at: At, key: &str) -> Option<Vec<u8>> {
        let written = self
            .written
            .iter()
            .rev()
            .find(|w| w.room == at.room && w.key == key && w.plugin == plugin)
            .map(|w| &w.value)
            .or_else(|| {
                self.settled
                    .get(&(plugin.to_owned(), at.room, key.to_owned()))
            });
        let brought = self.brought.get(&(plugin.to_owned(), at.room));
        let (value, expires_ms) = match (written, brought) {
            (Some((value, expires_ms)), _) => (value.clone()?, *expires_ms),
            (None, Some(brought)) => brought.entries.get(key)?.clone(),
            (None, None) => {
                // A store that fails here fails the whole attempt a moment later, when the outcome is anticipated.
                let stored = self
                    .view
                    .read::<PluginStateValue>(&keys::plugin(at.room, plugin, key))
                    .ok()??;
                (stored.value.to_vec(), stored.expires_ms)
            }
        };
        lasts(expires_ms, at).then_some(value)
    }

    fn write(
        &mut self,
        plugin: &str,
        at: At,
        key: &str,
        value: Option<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(format!(
                "the key has {} bytes; 1 to {KEY_BYTES} are allowed",
                key.len()
            ));
        }
        let added = value.as_ref().map_or(0, Vec::len);
        if added > VALUE_BYTES {
            return Err(format!(
                "the value has {added} bytes; at most {VALUE_BYTES} are allowed"
            ));
        }
        let of_message = self
            .by_item
            .get(&at.item)
            .into_iter()
            .flatten()
            .map(|c| c.key.len() + c.value.as_ref().map_or(0, bytes::Bytes::len))
            .sum::<usize>()
            + self
                .written
                .iter()
                .filter(|w| w.item == at.item)
                .map(|w| w.key.len() + w.value.0.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
        if of_message + key.len() + added > MESSAGE_BYTES {
            return Err(format!(
                "more than {MESSAGE_BYTES} bytes would be written for one message"
            ));
        }
        if value.is_some() {
            self.has_room(plugin, at, key, added)?;
        }
        let expires_ms = ttl.map_or(0, |ttl| {
            let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            at.time_ms.saturating_add(ttl).max(1)
        });
        self.written.push(Write {
            item: at.item,
            plugin: plugin.to_owned(),
            room: at.room,
            key: key.to_owned(),
            value: (value, expires_ms),
        });
        Ok(())
    }

    /// Whether an entry more would break the plugin's bounds in this room. What replaces an entry is counted as one
    /// more until it is folded: the bounds are a little early within a segment, and never late.
    fn has_room(&self, plugin: &str, at: At, key: &str, added: usize) -> Result<(), String> {
        let failed = |error: StoreError| error.to_string();
        let account = remembered::account(&self.view, at.room, plugin).map_err(failed)?;
        let (count, bytes) = match self.brought.get(&(plugin.to_owned(), at.room)) {
            Some(brought) => (brought.entries.len() as u64, brought.bytes),
            None => (account.entries, account.bytes),
        };
        let settled = self
            .settled
            .iter()
            .filter(|((p, room, _), (value, _))| p == plugin && *room == at.room && value.is_some())
            .map(|((_, _, key), (value, _))| key.len() + value.as_ref().map_or(0, Vec::len));
        let written = self
            .written
            .iter()
            .filter(|w| w.plugin == plugin && w.room == at.room)
            .map(|w| w.key.len() + w.value.0.as_ref().map_or(0, Vec::len));
        let (mut new_count, mut new_bytes) = (count, bytes);
        for size in settled.chain(written) {
            new_count += 1;
            new_bytes += size as u64;
        }
        let is_new = self.read(plugin, at, key).is_none();
        if is_new && new_count >= ENTRIES {
            return Err(format!(
                "the plugin keeps {count} entries in this room; at most {ENTRIES} are allowed"
            ));
        }
        if new_bytes + (key.len() + added) as u64 > BYTES {
            return Err(format!(
                "the plugin keeps {bytes} bytes in this room; at most {BYTES} are allowed"
            ));
        }
        Ok(())
    }
}

impl Calls for Scope {
    fn state_get(&self, plugin: &str, at: u32, key: &str) -> Option<Vec<u8>> {
        let inner = self.inner.lock();
        inner.read(plugin, inner.at(at)?, key)
    }

    fn state_put(
        &self,
        plugin: &str,
        at: u32,
        key: &str,
        value: Option<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        let mut inner = self.inner.lock();
        let at = inner.at(at).ok_or_else(|| no_message(at))?;
        inner.write(plugin, at, key, value, ttl)
    }

    fn state_add(
        &self,
        plugin: &str,
        at: u32,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, String> {
        let mut inner = self.inner.lock();
        let at = inner.at(at).ok_or_else(|| no_message(at))?;
        let old = match inner.read(plugin, at, key) {
            Some(bytes) => i64::from_le_bytes(
                bytes
                    .try_into()
                    .map_err(|_| format!("the entry `{key}` is not a counter"))?,
            ),
            None => 0,
        };
        let sum = old
            .checked_add(by)
            .ok_or_else(|| format!("the counter `{key}` would overflow"))?;
        inner.write(plugin, at, key, Some(sum.to_le_bytes().to_vec()), ttl)?;
        Ok(sum)
    }

    fn cause(&self, at: u32) -> Option<CauseId> {
        self.inner.lock().at(at).map(|at| at.cause)
    }

    fn person_name(&self, person: u64) -> String {
        let inner = self.inner.lock();
        let name = inner.view.get(&keys::person(PersonId(person)));
        name.ok().flatten().map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }

    fn room_name(&self, room: u64) -> String {
        self.name_of(RoomId(room))
    }

    fn members(&self, room: u64, limit: u32) -> Vec<u64> {
        let limit = usize::try_from(limit.min(1000)).unwrap_or(1000);
        let members = self.directory.members(room, limit);
        members.into_iter().map(|person| person.0).collect()
    }

    fn commands(&self) -> Vec<(String, String, String)> {
        self.commands.lock().to_vec()
    }
}

/// Whether an entry is still there at a message.
fn lasts(expires_ms: u64, at: At) -> bool {
    expires_ms == 0 || expires_ms > at.time_ms
}

fn no_message(at: u32) -> String {
    format!("there is no message {at} in this call")
}
