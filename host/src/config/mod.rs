//! What the operator sets: every key, its default, and its meaning.
//!
//! Plain data. How flags, variables and a file become one of these, and where each value came from, is in `sources`;
//! each key's name, rule and meaning is in `keys`, once for all three.

pub mod file;
pub mod flags;
pub mod grant;
pub mod keys;
pub mod preflight;
pub mod problem;
pub mod rule;
pub mod show;
pub mod sources;
pub mod units;
pub mod variables;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plugin::Policy;

/// All settings of `chat-host serve`. Defaults serve one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where the journal and the store live.
    pub data: PathBuf,
    /// Keep everything in memory instead: it is gone when the server stops.
    pub memory: bool,
    /// Where plugins are dropped in; none: no plugins.
    pub plugins: Option<PathBuf>,
    /// Human-readable lines or JSON.
    pub log: LogFormat,
    /// Which log lines are written: a level, or directives as in `RUST_LOG`.
    pub log_level: String,
    /// Where Prometheus metrics are served; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// How long a drain may take before it is cut short.
    pub drain: Duration,
    /// How long and how much is kept.
    pub retain: Retain,
    /// Partitions of a new data folder (1–64); an existing one keeps its own.
    pub partitions: u32,
    /// Bounds on what clients may do.
    pub limits: Limits,
    /// How plugins are run.
    pub plugin: PluginDefaults,
    /// Plugins that must be there: without one of them the server does not start.
    pub require: Vec<String>,
    /// Settings of single plugins, by name: the tables `[plugins.NAME]`.
    pub plugin_settings: BTreeMap<String, PluginConfig>,
}

impl Config {
    /// The defaults, with the data in `data`.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            data,
            memory: false,
            plugins: None,
            log: LogFormat::Human,
            log_level: "info".to_owned(),
            metrics: None,
            drain: Duration::from_secs(10),
            retain: Retain::default(),
            partitions: crate::journal::embedded::PARTITIONS.into(),
            limits: Limits::default(),
            plugin: PluginDefaults::default(),
            require: Vec::new(),
            plugin_settings: BTreeMap::new(),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; colour on a terminal.
    Human,
    /// One object a line.
    Json,
}

/// What is kept: the younger end of both bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retain {
    /// Events older than this are forgotten.
    pub age: Duration,
    /// Beyond so many bytes of logs the oldest events are forgotten.
    pub bytes: u64,
}

impl Default for Retain {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(90 * 24 * 60 * 60),
            bytes: 10 * 1024 * 1024 * 1024,
        }
    }
}

/// Bounds on what clients may do. Each refusal says which bound it met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest message text in bytes.
    pub message_bytes: usize,
    /// Sends a session may make each second, on average.
    pub sends_per_second: u32,
    /// Sends a session may make at once after a pause.
    pub send_burst: u32,
    /// Sends of a session that may wait for their acknowledgement.
    pub sends_in_flight: usize,
    /// Rooms in all.
    pub rooms: u64,
    /// Members of a room that this host serves.
    pub members_per_room: usize,
    /// Rooms a session may be in.
    pub rooms_per_session: usize,
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions from one address (an IPv6 /64 counts as one).
    pub sessions_per_address: usize,
    /// New names that one address may claim in a minute.
    pub new_names_per_minute: u32,
    /// Connections in all, sessions or not.
    pub connections: usize,
    /// Seconds within which a connection must have finished its handshake, and a session said hello.
    pub handshake_seconds: u64,
    /// Seconds for which a name stays taken after its last session.
    pub name_hold_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 4096,
            sends_per_second: 20,
            send_burst: 40,
            sends_in_flight: 256,
            rooms: 10_000,
            members_per_room: 10_000,
            rooms_per_session: 100,
            sessions: 20_000,
            sessions_per_address: 5_000,
            new_names_per_minute: 2_000,
            connections: 25_000,
            handshake_seconds: 5,
            name_hold_seconds: 60,
        }
    }
}

/// How plugins are run, unless their own table says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginDefaults {
    /// Milliseconds of computing a plugin has for one message; a batch has as many times that, at most 250.
    pub running_ms: u64,
    /// Milliseconds on the clock around the call, counted alike.
    pub wall_ms: u64,
    /// Milliseconds for `describe` and `start`.
    pub start_ms: u64,
    /// Memory of one instance in bytes.
    pub memory_bytes: usize,
    /// The most messages in one batch.
    pub batch: u32,
    /// Failures that put a plugin into quarantine; 0: it is never for these.
    pub quarantine_failures: u32,
    /// Within so many seconds.
    pub quarantine_seconds: u64,
    /// More than so many percent of a partition's time for two seconds do so too; 0: never.
    pub quarantine_percent: u32,
}

impl Default for PluginDefaults {
    fn default() -> Self {
        Self {
            running_ms: 50,
            wall_ms: 50,
            start_ms: 1000,
            memory_bytes: 64 * 1024 * 1024,
            batch: 64,
            quarantine_failures: 5,
            quarantine_seconds: 60,
            quarantine_percent: 20,
        }
    }
}

/// One plugin's table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PluginConfig {
    /// What its failure means; unset: withhold where it judges (moderation, review), allow elsewhere.
    pub on_failure: Option<Policy>,
    /// Order within a role; unset: the plugin's own.
    pub priority: Option<i32>,
    /// See [`PluginDefaults::running_ms`].
    pub running_ms: Option<u64>,
    /// See [`PluginDefaults::wall_ms`].
    pub wall_ms: Option<u64>,
    /// See [`PluginDefaults::memory_bytes`].
    pub memory_bytes: Option<usize>,
    /// See [`PluginDefaults::quarantine_percent`].
    pub quarantine_percent: Option<u32>,
    /// Lets a version replace one that has roles which it lacks.
    pub may_lose_roles: bool,
    /// Hosts that it may reach over HTTP; unset: it has no grant, and does not load where it imports `wasi:http`.
    pub http: Option<Vec<grant::Grant>>,
    /// Unset: true. Not loaded where it is false.
    pub enabled: Option<bool>,
    /// Patterns of the names of rooms in which it applies; none: all.
    pub rooms: Vec<String>,
    /// Run beside the version that serves, and decide nothing.
    pub shadow: bool,
    /// Given to the plugin as JSON.
    pub settings: toml::Table,
}
