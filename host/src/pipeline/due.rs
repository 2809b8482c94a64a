//! Timers: what is due is fired once, in the partition's order, as an outcome of its own.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::admission::FRUITLESS_CLAIMS;
use super::attempt::{Attempt, Decisions};
use super::effects::{self, By};
use super::judged::Silent;
use super::scope::At;
use super::segment::{Draft, Item, Planned};
use crate::plugin::{CauseId, Timer};
use crate::proto::log::v1::{self as log, IngressCause, Verdict, change, outcome::Cause};
use crate::state::fold::FoldError;
use crate::state::ids::{Partition, PersonId, RoomId};
use crate::state::keys::{self, HEAD, Key, Tag};
use crate::state::store::StoreError;
use crate::state::view::View;

/// The timer that is due next.
///
/// # Errors
/// Where the store fails.
pub(super) fn next_timer(view: &View, partition: Partition) -> Result<Option<Due>, StoreError> {
    let prefix = Key::of(partition, Tag::TimerDue).end();
    Ok(view.prefixed(&prefix, 1)?.first().map(|(key, _)| due(key)))
}

impl Attempt {
    pub(super) fn next_timer(&self) -> Result<Option<Due>, StoreError> {
        let partition = self.fold.partition();
        self.scope.with_view(|view| next_timer(view, partition))
    }

    pub(super) fn fire(
        &mut self,
        due: Due,
        now_ms: u64,
        decisions: &mut Decisions,
    ) -> Result<(), FoldError> {
        let key = keys::timer(due.room, &due.plugin, &due.key);
        let (state, room) = self.scope.with_view(|view| {
            let state = view.read::<log::TimerState>(&key)?.unwrap_or_default();
            let room = view.read::<log::RoomState>(&keys::room(due.room))?;
            Ok::<_, StoreError>((state, room.unwrap_or_default()))
        })?;
        let time_ms = now_ms.max(self.fold.state().time_ms);
        let at = At {
            item: 0,
            room: due.room,
            time_ms,
            cause: due.known_by(),
        };
        let item = Item {
            cause: IngressCause::default(),
            person: PersonId(0),
            name: String::new(),
            room: due.room,
            room_name: room.name,
            text: String::new(),
            time_ms,
            dead_letter: None,
        };
        let timer = Timer {
            key: due.key.clone(),
            delay: Duration::from_millis(state.delay_ms),
            data: state.data.to_vec(),
        };
        let kills = self.fold.state().fruitless_claims > FRUITLESS_CLAIMS;
        let fired = (!kills).then(|| self.chain.fired(&due.plugin, at, &timer));
        let mut draft = match fired {
            None => given_up(&due.plugin),
            Some(None) => Draft::only(Verdict::Handled, "its plugin is not loaded"),
            Some(Some(Ok(effects))) => {
                let by = By {
                    plugin: &due.plugin,
                    person: false,
                };
                effects::draft(
                    &mut self.chain,
                    &self.scope,
                    self.partitions,
                    &item,
                    at,
                    by,
                    effects,
                )?
            }
            Some(Some(Err(Silent::Quarantined(left)))) => later(&due, &state, time_ms, left),
            Some(Some(Err(Silent::Failed(failure)))) => {
                let mut draft = Draft::only(Verdict::Handled, "its plugin failed");
                draft.failures.push(*failure);
                draft
            }
        };
        let remembered = self.scope.take_changes(0);
        draft
            .planned
            .extend(remembered.into_iter().map(Planned::plain));
        self.scope.end_segment();
        let cause = Cause::Timer(log::TimerCause {
            plugin: due.plugin,
            room: due.room.0,
            key: due.key,
            due_ms: due.due_ms,
        });
        self.conclude(cause, time_ms, draft, None, decisions)
    }
}

/// What stands for a timer that ends its owners: it is over, and on record.
fn given_up(plugin: &str) -> Draft {
    let reason = "the server failed at this timer again and again";
    let mut draft = Draft::only(Verdict::Handled, reason);
    draft.failures.push(log::Failure {
        plugin: plugin.to_owned(),
        role: "timers".into(),
        kind: "host".into(),
        detail: reason.into(),
        policy: "withhold".into(),
        ..log::Failure::default()
    });
    draft
}

/// How long a timer waits at most before it is asked again whether its plugin is still in quarantine.
const AGAIN: Duration = Duration::from_secs(60);

/// A timer whose plugin is in quarantine is set again, to when that is over: it is late, and not lost.
fn later(due: &Due, state: &log::TimerState, now_ms: u64, left: Duration) -> Draft {
    // No later than that it is asked again: a quarantine may be ended before its time, or have none.
    let left_ms = u64::try_from(left.min(AGAIN).as_millis()).unwrap_or(u64::MAX);
    let mut draft = Draft::only(Verdict::Handled, "its plugin is in quarantine; put off");
    draft
        .planned
        .push(Planned::plain(change::Change::TimerSet(log::TimerSet {
            plugin: due.plugin.clone(),
            room: due.room.0,
            key: due.key.clone(),
            due_ms: now_ms.saturating_add(left_ms.max(1)),
            delay_ms: state.delay_ms,
            data: state.data.clone(),
        })));
    draft
}

/// A timer's place in the index.
pub(super) struct Due {
    pub(super) due_ms: u64,
    room: RoomId,
    plugin: String,
    key: String,
}

impl Due {
    /// A number of its own: a timer is set by plugin, room and key, and due once at a time.
    fn known_by(&self) -> CauseId {
        let mut hash = Sha256::new();
        hash.update(self.due_ms.to_be_bytes());
        hash.update(self.room.0.to_be_bytes());
        for part in [&self.plugin, "\0", &self.key] {
            hash.update(part);
        }
        let digest = hash.finalize();
        let half = digest.first_chunk().copied().unwrap_or_default();
        CauseId(u128::from_be_bytes(half))
    }
}

fn due(key: &[u8]) -> Due {
    let rest = key.get(HEAD + 16..).unwrap_or_default();
    let (plugin, name) = match rest.iter().position(|b| *b == 0) {
        Some(end) => rest.split_at(end),
        None => (rest, Default::default()),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Due {
        due_ms: keys::number_at(key, HEAD),
        room: RoomId(keys::number_at(key, HEAD + 8)),
        plugin: text(plugin),
        key: text(name.get(1..).unwrap_or_default()),
    }
}
