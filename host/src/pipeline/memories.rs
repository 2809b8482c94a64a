//! What the operator does to a plugin's memory, judged: an import that keeps the bounds, a deletion.
//!
//! An import comes in pieces, for a record is bounded; they wait in the fold, and the last one makes all of them count
//! at one point of the log.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::segment::{Draft, Planned};
use crate::plugin::{KEY_BYTES, MEMORY_BYTES as BYTES, MEMORY_ENTRIES as ENTRIES, VALUE_BYTES};
use crate::proto::log::v1::{
    DeletePluginState, ImportPluginState, Ingress, PluginEntry, PluginStateDeleted,
    PluginStateImported, PluginStateStaged, PluginStateValue, StagedImport, Verdict, change,
    ingress::Request,
};
use crate::state::fold::Fold;
use crate::state::ids::RoomId;
use crate::state::store::StoreError;
use crate::state::view::View;
use crate::state::{keys, remembered};

/// Whose memory a record is about, where it is about one.
pub(super) fn plugin_of(record: &Ingress) -> Option<&str> {
    match &record.request {
        Some(Request::ImportPluginState(import)) => Some(&import.plugin),
        Some(Request::DeletePluginState(request)) => Some(&request.plugin),
        _ => None,
    }
}

/// Deletes, in one room or in all of the partition.
///
/// # Errors
/// Where the store fails.
pub(super) fn delete(
    fold: &Fold,
    view: &View,
    request: DeletePluginState,
) -> Result<Draft, StoreError> {
    let room = if request.room.is_empty() {
        RoomId(0)
    } else {
        match room(fold, view, &request.room)? {
            Ok(room) => room,
            Err(refused) => return Ok(refused),
        }
    };
    Ok(handled(change::Change::PluginStateDeleted(
        PluginStateDeleted {
            plugin: request.plugin,
            room: room.0,
        },
    )))
}

/// Takes a piece of an import; with the last one all of it counts.
///
/// # Errors
/// Where the store fails.
pub(super) fn import(
    fold: &Fold,
    view: &View,
    piece: ImportPluginState,
) -> Result<Draft, StoreError> {
    let room = match room(fold, view, &piece.room)? {
        Ok(room) => room,
        Err(refused) => return Ok(refused),
    };
    if let Some(reason) = piece.entries.iter().find_map(breach) {
        return Ok(refused(reason));
    }
    let waiting = match piece.piece {
        0 => StagedImport::default(),
        number => {
            let staged: Option<StagedImport> =
                view.read(&keys::staged_import(room, &piece.plugin))?;
            match staged {
                Some(staged) if staged.import == piece.import && staged.pieces == number => staged,
                _ => {
                    return Ok(refused(
                        "another import, or a deletion, came between its pieces; import it again",
                    ));
                }
            }
        }
    };
    let size = |entry: &PluginEntry| entry.key.len() + value_of(entry).len();
    let bytes: usize = piece.entries.iter().map(size).sum();
    let mut entries_all = waiting.entries + piece.entries.len() as u64;
    let mut bytes_all = waiting.bytes + bytes as u64;
    if piece.last && !piece.replace {
        let account = remembered::account(view, room, &piece.plugin)?;
        if account.entries > 0 && account.layout != piece.layout {
            return Ok(refused(format!(
                "what is there has layout {}, and what is imported has layout {}: they don't mix; import it with --replace, or delete what is there first",
                account.layout, piece.layout
            )));
        }
        let (entries, bytes) = replaced(view, room, &piece)?;
        entries_all = (entries_all + account.entries).saturating_sub(entries);
        bytes_all = (bytes_all + account.bytes).saturating_sub(bytes);
    }
    if entries_all > ENTRIES || bytes_all > BYTES {
        return Ok(refused(format!(
            "the plugin would keep {entries_all} entries and {bytes_all} bytes in this room; at most {ENTRIES} and {BYTES} are allowed"
        )));
    }
    Ok(handled(if piece.last {
        change::Change::PluginStateImported(PluginStateImported {
            plugin: piece.plugin,
            room: room.0,
            replace: piece.replace,
            layout: piece.layout,
            entries: piece.entries,
            pieces: piece.piece,
        })
    } else {
        change::Change::PluginStateStaged(PluginStateStaged {
            plugin: piece.plugin,
            room: room.0,
            import: piece.import,
            piece: piece.piece,
            entries: piece.entries,
        })
    }))
}

/// How many entries, and how many bytes, of what is there the whole import takes the place of.
fn replaced(view: &View, room: RoomId, last: &ImportPluginState) -> Result<(u64, u64), StoreError> {
    let mut keys: BTreeSet<String> = last.entries.iter().map(|entry| entry.key.clone()).collect();
    if last.piece > 0 {
        let waiting = view.prefixed(&keys::staged(room, &last.plugin, ""), usize::MAX)?;
        let waited = remembered::decoded(waiting)?.into_iter();
        keys.extend(waited.map(|(key, _)| key));
    }
    let (mut entries, mut bytes) = (0, 0);
    for key in keys {
        let old: Option<PluginStateValue> = view.read(&keys::plugin(room, &last.plugin, &key))?;
        if let Some(old) = old {
            entries += 1;
            bytes += (key.len() + old.value.len()) as u64;
        }
    }
    Ok((entries, bytes))
}

fn value_of(entry: &PluginEntry) -> &Bytes {
    static NONE: Bytes = Bytes::new();
    entry.value.as_ref().unwrap_or(&NONE)
}

/// What is wrong with an entry.
fn breach(entry: &PluginEntry) -> Option<String> {
    let key = entry.key.len();
    if key == 0 || key > KEY_BYTES {
        return Some(format!(
            "the key `{}` has {key} bytes; 1 to {KEY_BYTES} are allowed",
            entry.key
        ));
    }
    let value = value_of(entry).len();
    (value > VALUE_BYTES).then(|| {
        format!(
            "the value of `{}` has {value} bytes; at most {VALUE_BYTES} are allowed",
            entry.key
        )
    })
}

fn room(fold: &Fold, view: &View, name: &str) -> Result<Result<RoomId, Draft>, StoreError> {
    let id = view.get(&keys::room_by_name(fold.partition(), name))?;
    Ok(match id {
        Some(id) => Ok(RoomId(keys::number_at(&id, 0))),
        None => Err(refused(format!(
            "there is no room `{name}` on this server; who joins it makes it"
        ))),
    })
}

fn refused(reason: impl Into<String>) -> Draft {
    Draft::only(Verdict::Refused, reason)
}

fn handled(change: change::Change) -> Draft {
    let mut draft = Draft::only(Verdict::Handled, "");
    draft.planned.push(Planned::plain(change));
    draft
}
