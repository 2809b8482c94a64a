//! Changes: the parts of an outcome, applied to the view one by one.

use bytes::Bytes;

use super::dead_letters;
use super::frame::framed;
use super::ids::{Partition, PersonId, RoomId, Sequence};
use super::keys;
use super::remembered;
use super::store::StoreError;
use super::view::View;
use crate::proto::log::v1::{
    self as log, Change, KeptEvent, NameState, PartitionState, RoomState, SessionState, TimerState,
    change,
};
use crate::proto::v1::server_frame::Frame;

/// What members get to see of an outcome.
#[derive(Debug, Default)]
pub struct Made {
    /// Events of rooms.
    pub events: Vec<RoomFrame>,
    /// Events for single persons.
    pub privates: Vec<PrivateFrame>,
    /// Both, as the floor will forget them.
    pub kept: Vec<KeptEvent>,
}

/// A room's event, framed.
#[derive(Debug, Clone)]
pub struct RoomFrame {
    /// Which room's.
    pub room: RoomId,
    /// Its number there.
    pub sequence: Sequence,
    /// The server frame.
    pub bytes: Bytes,
}

/// A person's event, framed.
#[derive(Debug, Clone)]
pub struct PrivateFrame {
    /// Whose.
    pub person: PersonId,
    /// Its number in this partition.
    pub number: Sequence,
    /// The server frame.
    pub bytes: Bytes,
}

/// Applies all changes of an outcome, in order.
///
/// # Errors
/// Where the store below fails.
pub fn apply_all(
    view: &mut View,
    partition: Partition,
    state: &mut PartitionState,
    changes: Vec<Change>,
) -> Result<Made, StoreError> {
    let mut made = Made::default();
    for change in changes {
        let Some(change) = change.change else {
            let unknown = "an outcome has a change that this host does not know; run a newer one";
            return Err(StoreError(unknown.into()));
        };
        match change {
            change::Change::RoomCreated(created) => room_created(view, partition, state, &created),
            change::Change::RoomEvent(event) => room_event(view, event, &mut made)?,
            change::Change::Private(event) => private(view, partition, event, &mut made),
            change::Change::TopicSet(set) => topic_set(view, set)?,
            change::Change::Attached(attached) => attached_name(view, partition, state, attached)?,
            change::Change::Detached(detached) => detached_name(view, partition, state, &detached)?,
            change::Change::RunBegun(run) => run_begun(view, partition, state, &run)?,
            change::Change::Muted(muted) => set_mute(view, &muted)?,
            change::Change::TimerSet(timer) => set_timer(view, timer)?,
            change::Change::TimerRemoved(timer) => {
                remove_timer(view, timer.room, &timer.plugin, &timer.key)?;
            }
            change::Change::PluginState(entry) => remembered::written(view, entry)?,
            change::Change::PluginStateStaged(piece) => {
                remembered::staged(view, state.time_ms, piece)?;
            }
            change::Change::PluginStateImported(import) => {
                remembered::imported(view, state.time_ms, import)?;
            }
            change::Change::PluginStateDeleted(deleted) => {
                remembered::deleted(view, partition, &deleted)?;
            }
            change::Change::PluginStateMigrated(migrated) => {
                remembered::migrated(view, migrated)?;
            }
            change::Change::DeadLetter(letter) => {
                dead_letters::add(view, partition, state, &letter)
            }
            change::Change::DeadLetterRetried(retried) => {
                dead_letters::retried(view, partition, retried)?;
            }
            change::Change::DeadLettersCleared(seen) => {
                dead_letters::clear(view, partition, &seen)?;
            }
        }
    }
    Ok(made)
}

fn room_created(
    view: &mut View,
    partition: Partition,
    state: &mut PartitionState,
    created: &log::RoomCreated,
) {
    let room = RoomId(created.room);
    state.next_room = state.next_room.max((created.room & 0xffff_ffff_ffff) + 1);
    state.rooms += 1;
    view.put(
        keys::room_by_name(partition, &created.name),
        Some(Bytes::copy_from_slice(&created.room.to_be_bytes())),
    );
    let room_state = RoomState {
        room: created.room,
        name: created.name.clone(),
        topic: String::new(),
        created_ms: state.time_ms,
        head: 0,
        oldest: 1,
    };
    view.write(keys::room(room), &room_state);
}

fn room_event(view: &mut View, event: log::RoomEvent, made: &mut Made) -> Result<(), StoreError> {
    let Some(shown) = event.event else {
        return Ok(());
    };
    let room = RoomId(event.room);
    let sequence = Sequence(shown.sequence);
    let key = keys::room(room);
    if let Some(mut state) = view.read::<RoomState>(&key)? {
        state.head = sequence.0;
        view.write(key, &state);
    }
    let bytes = framed(Frame::RoomEvent(shown));
    view.put(keys::event(room, sequence), Some(bytes.clone()));
    made.kept.push(KeptEvent {
        room: room.0,
        person: 0,
        number: sequence.0,
    });
    made.events.push(RoomFrame {
        room,
        sequence,
        bytes,
    });
    Ok(())
}

fn private(view: &mut View, partition: Partition, event: log::Private, made: &mut Made) {
    let Some(shown) = event.event else {
        return;
    };
    let person = PersonId(event.person);
    let number = Sequence(shown.number);
    view.put(
        keys::private_head(partition, person),
        Some(Bytes::copy_from_slice(&number.0.to_be_bytes())),
    );
    let bytes = framed(Frame::PrivateEvent(shown));
    view.put(
        keys::private(partition, person, number),
        Some(bytes.clone()),
    );
    made.kept.push(KeptEvent {
        room: 0,
        person: person.0,
        number: number.0,
    });
    made.privates.push(PrivateFrame {
        person,
        number,
        bytes,
    });
}

fn topic_set(view: &mut View, set: log::TopicSet) -> Result<(), StoreError> {
    let key = keys::room(RoomId(set.room));
    if let Some(mut room) = view.read::<RoomState>(&key)? {
        room.topic = set.topic;
        view.write(key, &room);
    }
    Ok(())
}

fn attached_name(
    view: &mut View,
    partition: Partition,
    state: &mut PartitionState,
    attached: log::Attached,
) -> Result<(), StoreError> {
    let name_key = super::name::PersonName::parse(&attached.name)
        .map_or_else(|_| attached.name.clone(), |name| name.key());
    let key = keys::name(partition, &name_key);
    let mut name = match view.read::<NameState>(&key)? {
        Some(name) if name.person == attached.person => name,
        _ => NameState {
            name: attached.name.clone(),
            person: attached.person,
            token_hash: attached.token_hash,
            ..NameState::default()
        },
    };
    name.sessions.push(SessionState {
        session: attached.session,
        run: attached.run,
    });
    state.next_person = state
        .next_person
        .max((attached.person & 0xffff_ffff_ffff) + 1);
    view.put(
        keys::person(PersonId(attached.person)),
        Some(Bytes::from(name.name.clone())),
    );
    view.write(key, &name);
    Ok(())
}

fn detached_name(
    view: &mut View,
    partition: Partition,
    state: &PartitionState,
    detached: &log::Detached,
) -> Result<(), StoreError> {
    let name_key = super::name::PersonName::parse(&detached.name)
        .map_or_else(|_| detached.name.clone(), |name| name.key());
    let key = keys::name(partition, &name_key);
    if let Some(mut name) = view.read::<NameState>(&key)? {
        let before = name.sessions.len();
        name.sessions
            .retain(|held| held.session != detached.session);
        if name.sessions.is_empty() && before > 0 {
            name.idle_since_ms = state.time_ms;
        }
        view.write(key, &name);
    }
    Ok(())
}

/// Sessions of other runs are no more. (One host: with many, this becomes the end of one host's runs.)
fn run_begun(
    view: &mut View,
    partition: Partition,
    state: &PartitionState,
    run: &log::RunBegun,
) -> Result<(), StoreError> {
    let prefix = keys::Key::of(partition, keys::Tag::Name).end();
    for (key, _) in view.prefixed(&prefix, usize::MAX)? {
        if let Some(mut name) = view.read::<NameState>(&key)? {
            let before = name.sessions.len();
            name.sessions.retain(|held| held.run == run.run);
            if name.sessions.len() != before {
                if name.sessions.is_empty() {
                    name.idle_since_ms = state.time_ms;
                }
                view.write(key.to_vec(), &name);
            }
        }
    }
    Ok(())
}

fn set_mute(view: &mut View, muted: &log::Muted) -> Result<(), StoreError> {
    let room = RoomId(muted.room);
    let partition = Partition::that_made(room.0);
    let key = keys::mute(room, PersonId(muted.person));
    let ends = |until_ms| keys::by_time(partition, keys::Tag::MuteExpiry, until_ms, &key);
    if let Some(old) = view.get(&key)? {
        view.put(ends(keys::number_at(&old, 0)), None);
    }
    let until = (muted.until_ms > 0).then(|| Bytes::copy_from_slice(&muted.until_ms.to_be_bytes()));
    if until.is_some() {
        view.put(ends(muted.until_ms), Some(Bytes::new()));
    }
    view.put(key, until);
    Ok(())
}

fn set_timer(view: &mut View, timer: log::TimerSet) -> Result<(), StoreError> {
    remove_timer(view, timer.room, &timer.plugin, &timer.key)?;
    let room = RoomId(timer.room);
    view.put(
        keys::timer_due(timer.due_ms, room, &timer.plugin, &timer.key),
        Some(Bytes::new()),
    );
    let state = TimerState {
        due_ms: timer.due_ms,
        delay_ms: timer.delay_ms,
        data: timer.data,
    };
    view.write(keys::timer(room, &timer.plugin, &timer.key), &state);
    Ok(())
}

/// Removes a timer where it is there.
///
/// # Errors
/// Where the store below fails.
pub fn remove_timer(view: &mut View, room: u64, plugin: &str, key: &str) -> Result<(), StoreError> {
    let room = RoomId(room);
    let at = keys::timer(room, plugin, key);
    if let Some(old) = view.read::<TimerState>(&at)? {
        view.put(keys::timer_due(old.due_ms, room, plugin, key), None);
        view.put(at, None);
    }
    Ok(())
}
