//! 3. It is decided: once, by the partition's owner, and what was decided is recorded.
//!
//! Knows the journal, the fold and the plugins' contract; does not know gRPC, sessions or rooms.

mod admission;
mod attempt;
mod body;
mod callee;
mod chain;
mod checkpoints;
mod command;
mod conclude;
mod dead_letter;
mod desks;
mod due;
mod effects;
mod executor;
mod judged;
mod link;
mod memories;
mod migration;
mod owner;
mod reached;
mod requests;
mod scope;
mod segment;
mod since;

use std::sync::Arc;
use std::time::Duration;

pub use chain::Chain;
pub use owner::{Owner, Surroundings};
pub use scope::{At, Scope};

use crate::state::ids::PersonId;

/// How decisions are made.
#[derive(Debug, Clone)]
pub struct Config {
    /// The largest message text in bytes.
    pub message_bytes: usize,
    /// The most messages that plugins get at once.
    pub batch: usize,
    /// Rooms in all; a partition has its share.
    pub rooms: u64,
    /// How long a name stays taken after its last session.
    pub name_hold: Duration,
    /// Outcomes that may be decided ahead of what has been read back.
    pub window: usize,
    /// How long an outcome may take to be read back before the attempt is given up.
    pub read_back: Duration,
    /// What is kept.
    pub retain_age: Duration,
    /// What is kept, over all partitions.
    pub retain_bytes: u64,
    /// Whether guests get a thread of their own (they do, except in a simulation).
    pub own_thread: bool,
}

/// Who is where now: a view that plugins may ask for.
pub trait Directory: Send + Sync {
    /// Members of a room that are here, at most `limit`.
    fn members(&self, room: u64, limit: usize) -> Vec<PersonId>;
}

/// What the pipeline tells of its work, for metrics. Calls are cheap and frequent.
pub trait Observer: Send + Sync {
    /// So many records are decided durably, so long after the first of them was durable itself.
    fn decided(&self, records: usize, time: Duration);
}

/// An observer that looks away.
pub struct Unobserved;

impl Observer for Unobserved {
    fn decided(&self, _: usize, _: Duration) {}
}

/// A shared observer.
pub type Observing = Arc<dyn Observer>;
