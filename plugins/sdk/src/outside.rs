//! What a plugin reaches outside of itself: the imports in a component, the installed [`crate::native::Host`] natively.
//!
//! Both sides have the same functions, and nothing else in this crate knows which of them it runs on.

#[cfg(not(target_family = "wasm"))]
#[path = "outside/installed.rs"]
mod side;
#[cfg(target_family = "wasm")]
#[path = "outside/imported.rs"]
mod side;

use std::time::{Duration, SystemTime};

pub(crate) use side::{commands, http, log, members, name, room, state_add, state_get, state_put};

/// The time now. A message's own time is steadier: it is the same when the message is decided again.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(side::now_ms())
}

/// 64 bits that nobody can foretell.
#[must_use]
pub fn random_u64() -> u64 {
    side::random_u64()
}
