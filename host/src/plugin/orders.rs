//! What the operator asks of the plugins of a running host, and what is answered.

use serde::{Deserialize, Serialize};

use super::Example;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Every plugin and how it does.
    List,
    /// Load it, whatever its settings say.
    Enable(String),
    /// Take it out, and leave it out.
    Disable(String),
    /// Load its files again now, also those that a rollback passed over.
    Reload(String),
    /// Serve the version before, and pass over its file until that changes.
    Rollback(String),
    /// Put it into quarantine until it is released.
    Quarantine(String),
    /// End its quarantine now.
    Release(String),
}

/// How a plugin does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What the plugin calls the version that serves; empty where none does.
    pub version: String,
    /// `serving`, `rolled back`, `quarantined`, `in the shadow`, `loading`, `disabled` or `refused`.
    pub state: String,
    /// Why it is in quarantine, and for how long yet; empty where it is not.
    pub quarantine: String,
    /// The names of its roles.
    pub roles: Vec<String>,
    /// Its place within a role, the smallest first.
    pub priority: i32,
    /// Patterns of the names of the rooms in which it applies; none: all.
    pub rooms: Vec<String>,
    /// The version in its shadow, and what that came to.
    pub shadow: Option<ShadowStatus>,
    /// Why its newest files do not serve; empty where they do.
    pub refused: String,
    /// The versions that a rollback can go to, the newest first.
    pub kept: Vec<String>,
    /// Messages, bodies, commands and timers that it was given.
    pub messages: u64,
    /// Calls and starts that failed.
    pub failures: u64,
    /// What it was granted, such as `http: api.example.com`.
    pub grants: Vec<String>,
    /// Requests to services outside: made, answered, refused.
    pub requests: [u64; 3],
    /// Microseconds of a call, at most, in half of all calls and in 99 of 100; 0 before the first.
    pub p50_us: u64,
    /// See `p50_us`.
    pub p99_us: u64,
    /// Linear memory of one instance, as last seen.
    pub memory_bytes: u64,
}

/// What a version in the shadow came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowStatus {
    /// What the plugin calls that version.
    pub version: String,
    /// Messages, bodies, commands and timers that both versions were asked about.
    pub compared: u64,
    /// How many of them it would have answered otherwise.
    pub otherwise: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Why it is in quarantine, and for how long yet; empty where it is not.
    pub quarantine: String,
    /// Microseconds of a call, as in [`Status`].
    pub p50_us: u64,
    /// As above.
    pub p99_us: u64,
    /// The newest first; they quote messages.
    pub examples: Vec<Example>,
}
