//! A plugin without its sandbox: for unit tests, and for the host's simulation.
//!
//! [`crate::export!`] gives each plugin a `native()` that makes a [`NativePlugin`]. It runs the code that the component
//! runs; only what lies outside of the plugin is another: the [`Host`] that [`with_host`] installs.

#[cfg(not(target_family = "wasm"))]
mod host;
#[cfg(not(target_family = "wasm"))]
mod memory;

use crate::{Effect, Item, Judgement, Manifest, Memory, Message, RoomId, Run, Timer, Verdict};

#[cfg(not(target_family = "wasm"))]
pub(crate) use host::installed;
#[cfg(not(target_family = "wasm"))]
pub use host::{Host, SharedHost, with_host};
#[cfg(not(target_family = "wasm"))]
pub use memory::MemoryHost;

bitflags::bitflags! {
    /// What a plugin may be asked.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Roles: u8 {
        /// [`crate::Moderation`]
        const MODERATION = 1;
        /// [`crate::Commands`]
        const COMMANDS = 1 << 1;
        /// [`crate::Formatting`]
        const FORMATTING = 1 << 2;
        /// [`crate::Review`]
        const REVIEW = 1 << 3;
        /// [`crate::Timers`]
        const TIMERS = 1 << 4;
    }
}

/// Why a call has no answer. The host drops what the call changed, and the instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was called before `start`, after `start` refused, or after it failed.
    #[error("the plugin was not started, or failed since; start a new instance")]
    NotStarted,
    /// It was asked for a role that it does not have.
    #[error("the plugin does not have this role; see `roles`")]
    NoRole,
    /// It panicked. In a component this is a trap.
    #[error("the plugin panicked: {0}")]
    Panicked(String),
}

/// A plugin as its host sees it: one instance, called in batches.
///
/// 1. `describe` and `roles` are the same at every call, and call nothing outside.
/// 2. `start` is called once, before any role.
/// 3. A role answers as many times as it was given messages, in their order.
/// 4. How messages are cut into batches changes no answer.
/// 5. After a [`Failure`] every role answers [`Failure::NotStarted`].
pub trait NativePlugin: Send {
    /// What the plugin is.
    fn describe(&self) -> Manifest;

    /// What it may be asked.
    fn roles(&self) -> Roles;

    /// Makes it ready, with its settings as a JSON object.
    ///
    /// # Errors
    /// A text for the operator.
    fn start(&mut self, settings: &str) -> Result<(), String>;

    /// What becomes of each message.
    ///
    /// # Errors
    /// See [`Failure`].
    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Failure>;

    /// What a command does, or the usage text for its sender.
    ///
    /// # Errors
    /// See [`Failure`].
    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Failure>;

    /// Each body as runs, or as it is.
    ///
    /// # Errors
    /// See [`Failure`].
    fn format(&mut self, batch: &[Item]) -> Result<Vec<Option<Vec<Run>>>, Failure>;

    /// What becomes of each body.
    ///
    /// # Errors
    /// See [`Failure`].
    fn review(&mut self, batch: &[Item]) -> Result<Vec<Judgement>, Failure>;

    /// What a timer does.
    ///
    /// # Errors
    /// See [`Failure`].
    fn fired(&mut self, room: RoomId, due: &Timer) -> Result<Vec<Effect>, Failure>;

    /// The layout it migrates to; 0 where it does not.
    fn layout(&self) -> u32 {
        0
    }

    /// What it remembers in a room, of what a version of layout `from` did; the inner error is its own text.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NoRole`] where it does not migrate.
    fn migrate(&mut self, _from: u32, _memory: Memory) -> Result<Result<Memory, String>, Failure> {
        Err(Failure::NoRole)
    }
}
