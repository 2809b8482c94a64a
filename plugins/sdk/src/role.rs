//! What a plugin may do: one trait a role.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{
    Effect, Item, Judgement, Manifest, Memory, Message, RoomId, Run, State, Timer, Verdict,
};

/// Required of every plugin. Its memory is a cache: it may be lost between any two calls, so what must be remembered
/// belongs in [`State`].
pub trait Plugin: Sized + Send + 'static {
    /// The plugin's settings. `{}` where the operator gave none, so give each field a default, and add
    /// `deny_unknown_fields` so that a slip of the pen is refused rather than ignored.
    type Settings: DeserializeOwned;

    /// What this plugin is. May call nothing outside; the same at every call.
    fn manifest() -> Manifest;

    /// Makes an instance. May only log.
    ///
    /// # Errors
    /// A text for the operator: which setting is wrong, and what would be right. This version is then not used.
    fn start(settings: Self::Settings) -> Result<Self, String>;
}

/// The settings of a plugin that has none. Refuses any.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Judges each message before it is a command or is formatted.
pub trait Moderation: Plugin {
    /// What becomes of `message`. `state` is that of its room.
    fn moderate(&mut self, message: &Message, state: State) -> Verdict;
}

/// A command somebody gave.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The command's name, without the slash: one of those in the manifest.
    pub name: &'a str,
    /// What follows the name, trimmed.
    pub arguments: &'a str,
    /// The message that is the command.
    pub by: &'a Message,
    /// The state of its room.
    pub state: State,
}

/// Answers messages that begin with one of the commands the manifest lists.
pub trait Commands: Plugin {
    /// What the command does.
    ///
    /// # Errors
    /// A usage text for the sender (at most 1,024 bytes); nothing else then happens.
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String>;
}

/// Lays out each message that will be delivered. Has no state.
pub trait Formatting: Plugin {
    /// The body as runs: at most 256, together at most four times the message limit. `None` leaves it as it is.
    fn format(&mut self, item: &Item) -> Option<Vec<Run>>;
}

/// Judges what members would read, after formatting.
pub trait Review: Plugin {
    /// What becomes of `item`. `state` is that of its room.
    fn review(&mut self, item: &Item, state: State) -> Judgement;
}

/// Called when a timer that this plugin set is due: once, in the room's order.
pub trait Timers: Plugin {
    /// What the timer does in `room`. `due.delay` is the delay it was set with.
    fn fired(&mut self, room: RoomId, due: &Timer, state: State) -> Vec<Effect>;
}

/// Brings along what an older version remembers. Beside a role: `export!(Polls: commands, migration)`.
///
/// ```
/// # use chat_plugin::{Manifest, Memory, Migration, NoSettings, Plugin};
/// # struct Polls;
/// # impl Plugin for Polls {
/// #     type Settings = NoSettings;
/// #     fn manifest() -> Manifest {
/// #         Manifest::new("polls", "2.0.0")
/// #     }
/// #     fn start(_: NoSettings) -> Result<Self, String> {
/// #         Ok(Polls)
/// #     }
/// # }
/// impl Migration for Polls {
///     const LAYOUT: u32 = 1;
///     fn migrate(&mut self, _from: u32, memory: &mut Memory) -> Result<(), String> {
///         // Until now there was one for each person; from now on they are counted.
///         let votes = memory.keys().into_iter().filter(|key| key.starts_with("vote/"));
///         let votes: Vec<String> = votes.collect();
///         memory.set_counter("votes", votes.len() as i64);
///         votes.iter().for_each(|key| drop(memory.remove(key)));
///         Ok(())
///     }
/// }
/// ```
pub trait Migration: Plugin {
    /// How this version writes what it remembers: 1 or more, and one more with each change. Versions without this trait
    /// write layout 0.
    const LAYOUT: u32;

    /// Makes what is remembered in a room, written in layout `from`, what this version reads. Once for each room, before
    /// anything else there. May only log.
    ///
    /// # Errors
    /// A text for the operator. It is a failure of the plugin, at each message of the room, until a version can do it.
    fn migrate(&mut self, from: u32, memory: &mut Memory) -> Result<(), String>;
}
