//! Requests that are not messages: rooms are made, names are claimed and let go.

use super::Config;
use super::segment::{Draft, Planned};
use crate::proto::log::v1::{
    self as log, Attach, CreateRoom, Detach, NameState, RunStarted, Verdict, change,
};
use crate::state::fold::Fold;
use crate::state::ids::Partition;
use crate::state::keys;
use crate::state::name::{PersonName, RoomName};
use crate::state::store::StoreError;
use crate::state::view::View;

/// Sessions that may share a name.
const SESSIONS_PER_NAME: usize = 64;

/// Makes a room, where it is missing and there is room for one.
///
/// # Errors
/// Where the store fails.
pub fn create_room(
    fold: &Fold,
    view: &View,
    config: &Config,
    partitions: u16,
    request: &CreateRoom,
) -> Result<Draft, StoreError> {
    let name = match RoomName::parse(&request.room) {
        Ok(name) => name,
        Err(error) => return Ok(Draft::only(Verdict::Refused, error.to_string())),
    };
    if view
        .get(&keys::room_by_name(fold.partition(), name.as_str()))?
        .is_some()
    {
        return Ok(Draft::only(Verdict::Handled, "it is there already"));
    }
    // Rooms spread evenly enough; a partition may hold twice its share.
    let share = config.rooms.div_ceil(u64::from(partitions.max(1))) * 2;
    if u64::from(fold.state().rooms) >= share.min(config.rooms) {
        let reason = format!(
            "there are {} rooms already, as many as this server allows; join one of them",
            config.rooms
        );
        return Ok(Draft::only(Verdict::Refused, reason));
    }
    let room = fold.partition().id(fold.state().next_room.max(1));
    let mut draft = Draft::only(Verdict::Handled, "");
    draft
        .planned
        .push(Planned::plain(change::Change::RoomCreated(
            log::RoomCreated {
                room,
                name: name.as_str().to_owned(),
            },
        )));
    Ok(draft)
}

/// Gives a name to a session: a new one, one that is free, or one that its token proves.
///
/// # Errors
/// Where the store fails.
pub fn attach(
    fold: &Fold,
    view: &View,
    config: &Config,
    now_ms: u64,
    request: Attach,
) -> Result<Draft, StoreError> {
    let name = match PersonName::parse(&request.name) {
        Ok(name) => name,
        Err(error) => return Ok(Draft::only(Verdict::Refused, error.to_string())),
    };
    let state: Option<NameState> = view.read(&keys::name(fold.partition(), &name.key()))?;
    let next = fold.partition().id(fold.state().next_person.max(1));
    let hold_ms = u64::try_from(config.name_hold.as_millis()).unwrap_or(u64::MAX);
    let person = match state {
        None => next,
        Some(state) if state.token_hash == request.token_hash => {
            if state.sessions.len() >= SESSIONS_PER_NAME {
                let reason = format!(
                    "the name `{}` has {SESSIONS_PER_NAME} sessions already; end one of them",
                    name.as_str()
                );
                return Ok(Draft::only(Verdict::Refused, reason));
            }
            state.person
        }
        Some(state)
            if state.sessions.is_empty()
                && state.idle_since_ms.saturating_add(hold_ms) <= now_ms =>
        {
            next
        }
        Some(_) => {
            let reason = format!(
                "the name `{}` is taken; choose another, or use the token that it was given",
                name.as_str()
            );
            return Ok(Draft::only(Verdict::Refused, reason));
        }
    };
    let mut draft = Draft::only(Verdict::Handled, "");
    draft
        .planned
        .push(Planned::plain(change::Change::Attached(log::Attached {
            name: name.as_str().to_owned(),
            person,
            token_hash: request.token_hash,
            session: request.session,
            run: request.run,
        })));
    Ok(draft)
}

/// Lets go of a name.
pub fn detach(request: Detach) -> Draft {
    let mut draft = Draft::only(Verdict::Handled, "");
    draft
        .planned
        .push(Planned::plain(change::Change::Detached(log::Detached {
            name: request.name,
            session: request.session,
        })));
    draft
}

/// Ends the sessions of earlier runs.
pub fn run_started(request: RunStarted) -> Draft {
    let mut draft = Draft::only(Verdict::Handled, "");
    draft
        .planned
        .push(Planned::plain(change::Change::RunBegun(log::RunBegun {
            run: request.run,
        })));
    draft
}

/// Who has this name now, wherever its partition is.
///
/// # Errors
/// Where the store fails.
pub fn person_named(
    view: &View,
    partitions: u16,
    name: &PersonName,
) -> Result<Option<NameState>, StoreError> {
    let key = name.key();
    view.read(&keys::name(Partition::of(&key, partitions), &key))
}
