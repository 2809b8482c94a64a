//! The outside of a native plugin: the host that [`crate::native::with_host`] installed on this thread.
//!
//! Where none is, the answers are those of an empty host that refuses to remember.

use crate::http::{Error, Request, Response};
use crate::log::Level;
use crate::native::{Host, installed};
use crate::{Command, PersonId, RoomId};

const NOBODY: &str = "no host is installed; call the plugin inside `native::with_host`";

pub(crate) fn state_get(at: u32, key: &str) -> Option<Vec<u8>> {
    installed(|host| host.state_get(at, key)).flatten()
}

pub(crate) fn state_put(
    at: u32,
    key: &str,
    value: Option<&[u8]>,
    ttl_ms: Option<u64>,
) -> Result<(), String> {
    installed(|host| host.state_put(at, key, value, ttl_ms)).unwrap_or_else(|| Err(NOBODY.into()))
}

pub(crate) fn state_add(at: u32, key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, String> {
    installed(|host| host.state_add(at, key, by, ttl_ms)).unwrap_or_else(|| Err(NOBODY.into()))
}

pub(crate) fn name(person: PersonId) -> String {
    installed(|host| host.name(person)).unwrap_or_default()
}

pub(crate) fn room(room: RoomId) -> String {
    installed(|host| host.room(room)).unwrap_or_default()
}

pub(crate) fn members(room: RoomId, limit: u32) -> Vec<PersonId> {
    installed(|host| host.members(room, limit)).unwrap_or_default()
}

pub(crate) fn commands() -> Vec<Command> {
    installed(Host::commands).unwrap_or_default()
}

pub(crate) fn log(level: Level, text: &str) {
    installed(|host| host.log(level, text));
}

pub(crate) fn http(request: Request) -> Result<Response, Error> {
    installed(|host| host.http(request)).unwrap_or_else(|| Err(Error::Unreachable(NOBODY.into())))
}

pub(crate) fn now_ms() -> u64 {
    installed(Host::now_ms).unwrap_or_default()
}

pub(crate) fn random_u64() -> u64 {
    installed(Host::random_u64).unwrap_or_default()
}
