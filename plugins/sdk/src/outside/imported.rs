//! The outside of a component: its imports.

#[path = "requests.rs"]
mod requests;

use std::time::SystemTime;

use crate::guest::imports::chat::plugin as wit;
use crate::log::Level;
use crate::state::millis;
use crate::{Command, PersonId, RoomId};

pub(crate) use requests::http;

pub(crate) fn state_get(at: u32, key: &str) -> Option<Vec<u8>> {
    wit::state::get(at, key)
}

pub(crate) fn state_put(
    at: u32,
    key: &str,
    value: Option<&[u8]>,
    ttl_ms: Option<u64>,
) -> Result<(), String> {
    wit::state::put(at, key, value, ttl_ms)
}

pub(crate) fn state_add(at: u32, key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, String> {
    wit::state::add(at, key, by, ttl_ms)
}

pub(crate) fn name(person: PersonId) -> String {
    wit::directory::name(person.0)
}

pub(crate) fn room(room: RoomId) -> String {
    wit::directory::room(room.0)
}

pub(crate) fn members(room: RoomId, limit: u32) -> Vec<PersonId> {
    wit::directory::members(room.0, limit)
        .into_iter()
        .map(PersonId)
        .collect()
}

pub(crate) fn commands() -> Vec<Command> {
    wit::directory::commands()
        .into_iter()
        .map(|(name, usage, summary)| Command {
            name,
            usage,
            summary,
        })
        .collect()
}

pub(crate) fn log(level: Level, text: &str) {
    let level = match level {
        Level::Debug => wit::log::Level::Debug,
        Level::Info => wit::log::Level::Info,
        Level::Warn => wit::log::Level::Warn,
        Level::Error => wit::log::Level::Error,
    };
    wit::log::write(level, text);
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, millis)
}

pub(crate) fn random_u64() -> u64 {
    // wasi:random cannot fail; what getrandom could report on this target is that it is not implemented.
    getrandom::u64().unwrap_or_default()
}
