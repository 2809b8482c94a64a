//! Environment variables as settings: `CHAT_HOST_LISTEN`, `CHAT_HOST_LIMITS_MESSAGE_BYTES`.
//!
//! A variable that begins like ours and is none is an error, for a slip would otherwise pass in silence. An empty one
//! counts as not set: that is what compose files make of one that is missing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::keys::{self, Key, PREFIX};
use super::problem::Problem;

/// Ours, and no keys: those of the tests and tools, of the client, and of the build, which cargo hands on to what it
/// runs.
const OTHERS: [&str; 8] = [
    "CHAT_HOST_CONFIG",
    "CHAT_HOST_SOAK",
    "CHAT_HOST_SKIPPED",
    "CHAT_HOST_KILLS",
    "CHAT_HOST_SERVER",
    "CHAT_HOST_COMMIT",
    "CHAT_HOST_TARGET",
    "CHAT_HOST_RUSTC",
];

/// The environment that counts, taken once at the start.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(std::env::vars_os())
    }

    /// Those given. Bytes that are no UTF-8 are replaced: no value of ours may hold them, so they are refused later.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| {
                    (
                        name.to_string_lossy().into_owned(),
                        value.to_string_lossy().into_owned(),
                    )
                })
                .collect(),
        )
    }

    /// A value that is not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// What is set: key, variable, value. `RUST_LOG` is the log level where ours is not set.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static Key, String, &str)> {
        keys::all().filter_map(|key| {
            let name = key.variable();
            if let Some(value) = self.get(&name) {
                return Some((key, name, value));
            }
            let value = (key.name == "log_level").then(|| self.get("RUST_LOG"))??;
            Some((key, "RUST_LOG".to_owned(), value))
        })
    }

    /// Those that begin like ours and mean nothing.
    pub(super) fn unknown(&self) -> impl Iterator<Item = Problem> {
        self.0
            .keys()
            .filter(|name| name.starts_with(PREFIX))
            .filter(|name| !OTHERS.contains(&name.as_str()) && !name.starts_with("CHAT_HOST_TEST_"))
            .filter(|name| !is_service_link(name))
            .filter(|name| keys::all().all(|key| key.variable() != **name))
            .map(|name| {
                // Without what all share, which would make anything look near.
                let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
                let known: Vec<String> = keys::all().map(|key| bare(&key.variable())).collect();
                let nearest = keys::nearest(&bare(name), known.iter().map(String::as_str));
                Problem::UnknownVariable {
                    name: name.clone(),
                    nearest: nearest.map(|near| format!("{PREFIX}{near}")),
                }
            })
    }

    /// Where data goes if nobody says: `$XDG_DATA_HOME/chat-host`, or below the home.
    #[must_use]
    pub fn data_home(&self) -> Option<PathBuf> {
        // The XDG specification: a relative path there is to be ignored.
        let absolute = |name| {
            self.get(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local").join("share")))
            .map(|dir| dir.join("chat-host"))
    }
}

/// Kubernetes sets these in every pod beside a service named `chat-host` or `chat-host-…`:
/// `CHAT_HOST_SERVICE_HOST`, `CHAT_HOST_PORT`, `CHAT_HOST_PORT_8081_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}
