//! What plugins reach while they are called: the partition's state, with what they have written in this segment on top.
//!
//! Writes of a call become visible to later calls when the call succeeds, and to the log with the message's outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::Directory;
use super::desks::{Desks, Entry, Size, Write};
use super::reached::Shown;
use crate::plugin::{Calls, CauseId, KEY_BYTES, Remembered, VALUE_BYTES};
use crate::proto::log::v1::change::Change;
use crate::proto::log::v1::{PluginEntry, PluginStateMigrated, PluginStateValue, RoomState};
use crate::state::ids::{PersonId, RoomId};
use crate::state::keys;
use crate::state::remembered;
use crate::state::store::StoreError;
use crate::state::view::View;

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
    desks: Desks,
    /// What plugins brought along in this segment: it takes the place of what the view has.
    brought: AllBrought,
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

impl Scope {
    /// Over this view.
    #[must_use]
    pub fn new(view: View, directory: Arc<dyn Directory>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                view,
                call: Vec::new(),
                desks: Desks::default(),
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
        inner.desks.forget(plugin, at.room);
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
        inner.desks.keep();
    }

    /// The call succeeded: what it wrote counts.
    pub fn keep(&self) {
        let mut inner = self.inner.lock();
        inner.desks.keep();
        inner.call.clear();
    }

    /// The call failed: what it wrote never was.
    pub fn drop_call(&self) {
        let mut inner = self.inner.lock();
        inner.desks.take_back();
        inner.call.clear();
    }

    /// Takes what was written for a message.
    pub fn take_changes(&self, item: usize) -> Vec<Change> {
        let mut inner = self.inner.lock();
        let migrated = inner.migrated.remove(&item).unwrap_or_default();
        let written = inner.desks.take(item);
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
        inner.desks.clear();
        inner.brought.clear();
        inner.migrated.clear();
        inner.call.clear();
    }
}

impl Inner {
    fn at(&self, at: u32) -> Option<At> {
        self.call.get(usize::try_from(at).ok()?).copied()
    }

    fn read(&mut self, plugin: &str, at: At, key: &str) -> Option<Bytes> {
        let (view, brought) = (&self.view, &self.brought);
        let below = || remembered_below(view, brought, plugin, at.room, key);
        let entry = self.desks.find(plugin, at.room, key, below);
        entry.value.filter(|_| lasts(entry.expires_ms, at))
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
        let bytes = value.as_ref().map_or(0, Vec::len);
        if bytes > VALUE_BYTES {
            return Err(format!(
                "the value has {bytes} bytes; at most {VALUE_BYTES} are allowed"
            ));
        }
        let expires_ms = ttl.map_or(0, |ttl| {
            let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            at.time_ms.saturating_add(ttl).max(1)
        });
        let write = Write {
            item: at.item,
            room: at.room,
            plugin,
            key,
            entry: Entry {
                value: value.map(Bytes::from),
                expires_ms,
            },
            layout: self.layouts.get(plugin).copied().unwrap_or(0),
        };
        let (view, brought) = (&self.view, &self.brought);
        let below = || remembered_below(view, brought, plugin, at.room, key);
        let size = || size_below(view, brought, plugin, at.room);
        self.desks.write(write, below, size)
    }
}

type AllBrought = BTreeMap<(String, RoomId), Brought>;

fn brought_to<'a>(all: &'a AllBrought, plugin: &str, room: RoomId) -> Option<&'a Brought> {
    if all.is_empty() {
        return None;
    }
    all.get(&(plugin.to_owned(), room))
}

/// What a plugin remembers under a key, without what it has written for this segment. A store that fails here fails the
/// whole attempt a moment later, when the outcome is anticipated.
fn remembered_below(
    view: &View,
    brought: &AllBrought,
    plugin: &str,
    room: RoomId,
    key: &str,
) -> Entry {
    if let Some(brought) = brought_to(brought, plugin, room) {
        let entry = brought.entries.get(key).cloned();
        return entry.map_or_else(Entry::default, |(value, expires_ms)| Entry {
            value: Some(value.into()),
            expires_ms,
        });
    }
    let stored = view.read::<PluginStateValue>(&keys::plugin(room, plugin, key));
    let stored = stored.ok().flatten();
    stored.map_or_else(Entry::default, |stored| Entry {
        value: Some(stored.value),
        expires_ms: stored.expires_ms,
    })
}

/// How much a plugin remembers in a room, alike.
fn size_below(
    view: &View,
    brought: &AllBrought,
    plugin: &str,
    room: RoomId,
) -> Result<Size, String> {
    if let Some(brought) = brought_to(brought, plugin, room) {
        return Ok(Size {
            entries: brought.entries.len() as u64,
            bytes: brought.bytes,
        });
    }
    let account = remembered::account(view, room, plugin).map_err(|error| error.to_string())?;
    Ok(Size {
        entries: account.entries,
        bytes: account.bytes,
    })
}

impl Calls for Scope {
    fn state_get(&self, plugin: &str, at: u32, key: &str) -> Option<Vec<u8>> {
        let mut inner = self.inner.lock();
        let place = inner.at(at)?;
        Some(inner.read(plugin, place, key)?.to_vec())
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
                bytes[..]
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
