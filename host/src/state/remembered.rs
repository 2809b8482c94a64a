//! What plugins remember: the entries, the account of them, and what an operator or a new version makes of all at once.
//!
//! The account says how much there is, and in which layout; where nothing is left there is none, and the next version
//! to write says its own. Does not know plugins: whether a change keeps the bounds is decided before it is recorded.

use bytes::Bytes;

use super::change::remove_timer;
use super::ids::{Partition, RoomId};
use super::keys::{self, HEAD, Key, Tag};
use super::store::StoreError;
use super::view::View;
use crate::proto::log::v1::{
    PluginEntry, PluginState, PluginStateDeleted, PluginStateImported, PluginStateMigrated,
    PluginStateStaged, PluginStateValue, StagedImport,
};

/// How much a plugin remembers in a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// How many entries.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// In which all of it is written.
    pub layout: u32,
}

impl Account {
    /// Out of the store.
    #[must_use]
    pub fn read(value: &[u8]) -> Self {
        // Checkpoints of earlier hosts have no layout here: what wrote them knew none.
        let layout = value.get(16..20).and_then(|bytes| bytes.try_into().ok());
        Self {
            entries: keys::number_at(value, 0),
            bytes: keys::number_at(value, 8),
            layout: layout.map_or(0, u32::from_be_bytes),
        }
    }

    fn written(self) -> Bytes {
        let mut value = self.entries.to_be_bytes().to_vec();
        value.extend_from_slice(&self.bytes.to_be_bytes());
        value.extend_from_slice(&self.layout.to_be_bytes());
        value.into()
    }
}

/// How much a plugin remembers in a room.
///
/// # Errors
/// Where the store below fails.
pub fn account(view: &View, room: RoomId, plugin: &str) -> Result<Account, StoreError> {
    let value = view.get(&keys::plugin_size(room, plugin))?;
    Ok(value.map_or_else(Account::default, |value| Account::read(&value)))
}

pub(super) fn set_account(view: &mut View, room: RoomId, plugin: &str, account: Account) {
    let value = (account.entries > 0).then(|| account.written());
    view.put(keys::plugin_size(room, plugin), value);
}

/// All that a plugin remembers in a room, what has just expired included.
///
/// # Errors
/// Where the store below fails.
pub fn entries(
    view: &View,
    room: RoomId,
    plugin: &str,
) -> Result<Vec<(String, PluginStateValue)>, StoreError> {
    decoded(view.prefixed(&keys::plugin_entries(room, plugin), usize::MAX)?)
}

/// Entries under keys that have room, plugin and their own key after the tag.
///
/// # Errors
/// Where one is broken.
pub fn decoded(
    found: super::store::Entries,
) -> Result<Vec<(String, PluginStateValue)>, StoreError> {
    let one = |(key, value): (Bytes, Bytes)| {
        let value = <PluginStateValue as prost::Message>::decode(value)
            .map_err(|error| StoreError(format!("an entry of a plugin is broken: {error}")))?;
        Ok((keys::plugin_and_rest(&key).1, value))
    };
    found.into_iter().map(one).collect()
}

/// A plugin wrote an entry, or removed it.
pub(super) fn written(view: &mut View, change: PluginState) -> Result<(), StoreError> {
    let entry = PluginEntry {
        key: change.key,
        value: change.value,
        expires_ms: change.expires_ms,
    };
    put(
        view,
        RoomId(change.room),
        &change.plugin,
        change.layout,
        entry,
    )
}

/// A new version brought everything along.
pub(super) fn migrated(view: &mut View, change: PluginStateMigrated) -> Result<(), StoreError> {
    let room = RoomId(change.room);
    for entry in change.entries {
        put(view, room, &change.plugin, change.layout, entry)?;
    }
    // Where no entry differs, the layout does.
    let mut account = account(view, room, &change.plugin)?;
    account.layout = change.layout;
    set_account(view, room, &change.plugin, account);
    Ok(())
}

fn put(
    view: &mut View,
    room: RoomId,
    plugin: &str,
    layout: u32,
    entry: PluginEntry,
) -> Result<(), StoreError> {
    let partition = Partition::that_made(room.0);
    let key = keys::plugin(room, plugin, &entry.key);
    let expiry = |expires_ms: u64| keys::by_time(partition, Tag::PluginExpiry, expires_ms, &key);
    let mut account = account(view, room, plugin)?;
    account.layout = layout;
    if let Some(old) = view.read::<PluginStateValue>(&key)? {
        account.entries = account.entries.saturating_sub(1);
        let bytes = (entry.key.len() + old.value.len()) as u64;
        account.bytes = account.bytes.saturating_sub(bytes);
        if old.expires_ms > 0 {
            view.put(expiry(old.expires_ms), None);
        }
    }
    match entry.value {
        Some(value) => {
            account.entries += 1;
            account.bytes += (entry.key.len() + value.len()) as u64;
            if entry.expires_ms > 0 {
                view.put(expiry(entry.expires_ms), Some(Bytes::new()));
            }
            let value = PluginStateValue {
                value,
                expires_ms: entry.expires_ms,
            };
            view.write(key, &value);
        }
        None => view.put(key, None),
    }
    set_account(view, room, plugin, account);
    Ok(())
}

/// A piece of an import waits for the last one.
pub(super) fn staged(
    view: &mut View,
    now_ms: u64,
    piece: PluginStateStaged,
) -> Result<(), StoreError> {
    let room = RoomId(piece.room);
    let key = keys::staged_import(room, &piece.plugin);
    let mut import = view.read::<StagedImport>(&key)?.unwrap_or_default();
    if piece.piece == 0 {
        unstage(view, room, &piece.plugin)?;
        import = StagedImport::default();
    }
    import.import = piece.import;
    import.pieces = piece.piece + 1;
    for entry in lasting(piece.entries, now_ms) {
        let value = entry.value.unwrap_or_default();
        import.entries += 1;
        import.bytes += (entry.key.len() + value.len()) as u64;
        let at = keys::staged(room, &piece.plugin, &entry.key);
        let value = PluginStateValue {
            value,
            expires_ms: entry.expires_ms,
        };
        view.write(at, &value);
    }
    view.write(key, &import);
    Ok(())
}

/// An import is complete.
pub(super) fn imported(
    view: &mut View,
    now_ms: u64,
    import: PluginStateImported,
) -> Result<(), StoreError> {
    let room = RoomId(import.room);
    if import.replace {
        forget(view, room, &import.plugin)?;
    }
    // Without pieces before it, what waits is of an import that was given up.
    let waiting = match import.pieces {
        0 => Vec::new(),
        _ => view.prefixed(&keys::staged(room, &import.plugin, ""), usize::MAX)?,
    };
    let waited = decoded(waiting)?;
    let waited = waited.into_iter().map(|(key, value)| PluginEntry {
        key,
        value: Some(value.value),
        expires_ms: value.expires_ms,
    });
    let all: Vec<PluginEntry> = waited.chain(import.entries).collect();
    unstage(view, room, &import.plugin)?;
    for entry in lasting(all, now_ms) {
        put(view, room, &import.plugin, import.layout, entry)?;
    }
    Ok(())
}

/// Without what has expired already: the index of what expires is only read forward, and would not come to it.
fn lasting(entries: Vec<PluginEntry>, now_ms: u64) -> impl Iterator<Item = PluginEntry> {
    let lasts = move |entry: &PluginEntry| entry.expires_ms == 0 || entry.expires_ms > now_ms;
    entries.into_iter().filter(lasts)
}

/// The operator deleted what a plugin remembers, and its timers.
pub(super) fn deleted(
    view: &mut View,
    partition: Partition,
    deleted: &PluginStateDeleted,
) -> Result<(), StoreError> {
    let plugin = &*deleted.plugin;
    let rooms = match deleted.room {
        0 => rooms_of(view, partition, plugin)?,
        room => vec![RoomId(room)],
    };
    for room in rooms {
        forget(view, room, plugin)?;
        unstage(view, room, plugin)?;
        for (key, _) in view.prefixed(&keys::timers_of(room, plugin), usize::MAX)? {
            let (_, timer) = keys::plugin_and_rest(&key);
            remove_timer(view, room.0, plugin, &timer)?;
        }
    }
    Ok(())
}

/// The rooms of a partition in which a plugin has entries, timers, or a part of an import.
fn rooms_of(view: &View, partition: Partition, plugin: &str) -> Result<Vec<RoomId>, StoreError> {
    let mut rooms = std::collections::BTreeSet::new();
    for tag in [Tag::PluginSize, Tag::Timer, Tag::StagedImport] {
        for (key, _) in view.prefixed(&Key::of(partition, tag).end(), usize::MAX)? {
            if keys::plugin_and_rest(&key).0 == plugin {
                rooms.insert(RoomId(keys::number_at(&key, HEAD)));
            }
        }
    }
    Ok(rooms.into_iter().collect())
}

fn forget(view: &mut View, room: RoomId, plugin: &str) -> Result<(), StoreError> {
    let partition = Partition::that_made(room.0);
    for (key, value) in view.prefixed(&keys::plugin_entries(room, plugin), usize::MAX)? {
        let value = <PluginStateValue as prost::Message>::decode(value)
            .map_err(|error| StoreError(format!("an entry of a plugin is broken: {error}")))?;
        if value.expires_ms > 0 {
            let expiry = keys::by_time(partition, Tag::PluginExpiry, value.expires_ms, &key);
            view.put(expiry, None);
        }
        view.put(key.to_vec(), None);
    }
    set_account(view, room, plugin, Account::default());
    Ok(())
}

fn unstage(view: &mut View, room: RoomId, plugin: &str) -> Result<(), StoreError> {
    for (key, _) in view.prefixed(&keys::staged(room, plugin, ""), usize::MAX)? {
        view.put(key.to_vec(), None);
    }
    view.put(keys::staged_import(room, plugin), None);
    Ok(())
}
