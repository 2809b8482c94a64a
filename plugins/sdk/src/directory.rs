//! Names, members and commands, as the host that decides sees them.

use crate::{Command, PersonId, RoomId, outside};

/// The person's name, if there is such a person.
#[must_use]
pub fn name(person: PersonId) -> Option<String> {
    Some(outside::name(person)).filter(|name| !name.is_empty())
}

/// The room's name, if there is such a room.
#[must_use]
pub fn room(room: RoomId) -> Option<String> {
    Some(outside::room(room)).filter(|name| !name.is_empty())
}

/// Who is in a room now, in no order; at most `limit` and at most 1,000.
#[must_use]
pub fn members(room: RoomId, limit: u32) -> Vec<PersonId> {
    outside::members(room, limit)
}

/// Every command of every loaded plugin, by name.
#[must_use]
pub fn commands() -> Vec<Command> {
    outside::commands()
}
