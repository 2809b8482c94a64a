//! A store is held against the log at each start: another log, or another outcome where this store folded one, means
//! that the store is made again from the newest checkpoint; another *ingress* record means that somebody changed what
//! was acknowledged, and the host stops and says so.

use std::sync::Arc;

use prost::Message;
use tracing::{info, warn};

use crate::journal::{Entry, Journal, Log, ReadError, checkpoint};
use crate::proto::log::v1::{CheckpointManifest, Ingress, RoomState};
use crate::state::fold::{Fold, hash};
use crate::state::ids::{Offset, Partition};
use crate::state::keys::{self, Key, Tag};
use crate::state::store::{Store, StoreError};
use crate::state::view::View;

/// Checks, and rebuilds where that helps.
///
/// # Errors
/// What the operator must know: nothing is served then.
pub async fn check(
    partition: Partition,
    journal: &dyn Journal,
    store: &Arc<dyn Store>,
) -> Result<(), String> {
    let fold = Fold::load(partition, &View::of(store.clone())).map_err(|e| e.to_string())?;
    check_ingress(partition, journal, &fold).await?;
    let oldest = journal.oldest(partition, Log::Outcomes);
    let end = journal.end(partition, Log::Outcomes);
    let next = fold.next_outcome();
    let reason = if next == Offset(0) && oldest == Offset(0) {
        return Ok(());
    } else if next < oldest {
        format!("the store stands at {next}, and the log begins at {oldest}")
    } else if next > end {
        format!("the store stands at {next}, and the log ends at {end}")
    } else if next > oldest && !is_same(partition, journal, &fold).await? {
        format!("the outcome before {next} is another one")
    } else {
        return Ok(());
    };
    warn!(%partition, %reason, "the store does not fit the log; making it again");
    rebuild(partition, journal, store, oldest).await
}

async fn is_same(partition: Partition, journal: &dyn Journal, fold: &Fold) -> Result<bool, String> {
    let last = Offset(fold.state().next_outcome.saturating_sub(1));
    let found = record_at(journal, partition, Log::Outcomes, last).await?;
    Ok(found.is_some_and(|entry| hash(&entry.bytes) == fold.state().last_outcome_hash))
}

async fn check_ingress(
    partition: Partition,
    journal: &dyn Journal,
    fold: &Fold,
) -> Result<(), String> {
    let state = fold.state();
    let last = Offset(state.next_ingress.saturating_sub(1));
    if state.next_ingress == 0 || last < journal.oldest(partition, Log::Ingress) {
        return Ok(());
    }
    let found = record_at(journal, partition, Log::Ingress, last).await?;
    let id = found
        .and_then(|entry| Ingress::decode(entry.bytes).ok())
        .map(|record| record.id)
        .unwrap_or_default();
    if id == state.last_ingress_id {
        return Ok(());
    }
    Err(format!(
        "the ingress log of partition {partition} holds another record at {last} than the one that was decided: it was \
         cut or changed; restore it from a backup, or move the data folder away to begin anew"
    ))
}

/// The record at exactly this offset, where it is there.
async fn record_at(
    journal: &dyn Journal,
    partition: Partition,
    log: Log,
    offset: Offset,
) -> Result<Option<Entry>, String> {
    if offset < journal.oldest(partition, log) || offset >= journal.end(partition, log) {
        return Ok(None);
    }
    match journal.read(partition, log, offset, 1).await {
        Ok(entries) => Ok(entries.into_iter().find(|entry| entry.offset == offset)),
        Err(ReadError::OutOfRange { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

async fn rebuild(
    partition: Partition,
    journal: &dyn Journal,
    store: &Arc<dyn Store>,
    oldest: Offset,
) -> Result<(), String> {
    let from = partition.0.to_be_bytes();
    store
        .clear(&from, &keys::after(&from))
        .map_err(|error| error.to_string())?;
    if oldest == Offset(0) {
        return Ok(());
    }
    // The floor is a checkpoint's position, so one that the log can go on from is there.
    let manifests = checkpoint::list(journal, partition).map_err(|error| error.to_string())?;
    let end = journal.end(partition, Log::Outcomes);
    // The oldest of them, so that the history above the floor is made again too.
    let usable = |m: &&CheckpointManifest| (oldest..=end).contains(&Offset(m.outcomes));
    let Some(manifest) = manifests.iter().find(usable) else {
        return Err(format!(
            "the outcome log of partition {partition} begins at {oldest}, and no checkpoint reaches it; restore the \
             data folder from a backup"
        ));
    };
    for number in 0..manifest.chunks {
        let chunk = checkpoint::chunk(journal, partition, &manifest.id, number)
            .map_err(|error| error.to_string())?;
        let entries = chunk.entries.into_iter();
        store
            .apply(entries.map(|e| (e.key.to_vec(), Some(e.value))).collect())
            .map_err(|error| error.to_string())?;
    }
    begin_history(partition, store).map_err(|error| error.to_string())?;
    info!(%partition, outcomes = manifest.outcomes, "state restored from a checkpoint");
    Ok(())
}

/// A checkpoint holds no history, so that of each room begins after its position: as on the hosts that reached the floor
/// with theirs.
fn begin_history(partition: Partition, store: &Arc<dyn Store>) -> Result<(), StoreError> {
    let mut view = View::of(store.clone());
    let rooms = Key::of(partition, Tag::Room).end();
    for (key, value) in view.prefixed(&rooms, usize::MAX)? {
        let mut room = RoomState::decode(value)
            .map_err(|error| StoreError(format!("a room's state is broken: {error}")))?;
        room.oldest = room.head + 1;
        view.write(key.to_vec(), &room);
    }
    store.apply(view.take())
}
