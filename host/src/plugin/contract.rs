//! What a plugin is to the pipeline: the interface of `wit/` in the host's own types.
//!
//! Two implement it: components in the sandbox, and native functions in tests and the simulation. Knows neither.

use std::sync::Arc;
use std::time::Duration;

use super::fault;
use super::reach::Reach;
use super::shadow::Comparison;
use super::standing::Standing;

/// What a plugin says of itself, checked against the interface's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file's stem. It keys the plugin's state and outlives its versions.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// Empty without the role `commands`.
    pub commands: Vec<CommandInfo>,
    /// Order within a role: lower first, then by name.
    pub priority: i32,
    /// The largest batch it wants; 0 leaves it to the host.
    pub batch: u32,
    /// What it exports.
    pub roles: Roles,
}

/// A command, without its slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandInfo {
    /// 1–32 lower-case letters, digits and `-`.
    pub name: String,
    /// What may follow the name.
    pub usage: String,
    /// One line.
    pub summary: String,
}

/// Which roles a plugin exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // A set of five independent facts.
pub struct Roles {
    /// Judges messages.
    pub moderation: bool,
    /// Answers commands.
    pub commands: bool,
    /// Lays out bodies.
    pub formatting: bool,
    /// Judges what members would read.
    pub review: bool,
    /// Wants its timers called.
    pub timers: bool,
}

impl Roles {
    /// Whether every role of `other` is here too.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        (self.moderation || !other.moderation)
            && (self.commands || !other.commands)
            && (self.formatting || !other.formatting)
            && (self.review || !other.review)
            && (self.timers || !other.timers)
    }

    /// The names of the roles, in the order in which they are called.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.moderation, "moderation"),
            (self.commands, "commands"),
            (self.formatting, "formatting"),
            (self.review, "review"),
            (self.timers, "timers"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
    }
}

/// A message as a moderation or commands plugin sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The room's number.
    pub room: u64,
    /// The sender's number.
    pub sender: u64,
    /// Its position in the partition's log.
    pub sequence: u64,
    /// When the server took it, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// The text as it is now.
    pub text: String,
}

/// What a moderation or review plugin decided of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It passes with this text (moderation only).
    Revise(String),
    /// It is kept back; the sender reads why.
    Withhold(String),
    /// It is kept back in silence.
    Discard,
}

/// How a run looks: the bits of `chat.v1.Run.style`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style(pub u32);

impl Style {
    /// Bold.
    pub const STRONG: Self = Self(1);
    /// Italic.
    pub const EMPHASIS: Self = Self(2);
    /// Struck through.
    pub const STRIKE: Self = Self(4);
    /// Monospaced.
    pub const CODE: Self = Self(8);
    /// A paragraph of its own.
    pub const BLOCK: Self = Self(16);
    /// Quoted.
    pub const QUOTE: Self = Self(32);
}

/// Where a run leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    None,
    /// An absolute address: http, https or mailto.
    Url(String),
    /// The run's text is a person's name.
    Mention,
}

/// A stretch of text with one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Displayed text.
    pub text: String,
    /// How it looks.
    pub style: Style,
    /// Where it leads.
    pub target: Target,
}

/// A body: the decided text, or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextBody {
    /// As decided.
    Plain(String),
    /// As laid out.
    Styled(Vec<Run>),
}

/// What a formatting or review plugin sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatItem {
    /// The room's number.
    pub room: u64,
    /// The sender's number; 0 for a plugin's notice.
    pub sender: u64,
    /// The body as it is now.
    pub body: TextBody,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Its name among this plugin's timers of the room.
    pub key: String,
    /// How long after the cause.
    pub delay: Duration,
    /// Given back when it fires.
    pub data: Vec<u8>,
}

/// What a command or timer does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // Each is described in wit/1.0/plugin.wit.
pub enum Effect {
    Say(String),
    Act(String),
    Notice(String),
    Whisper { to: String, text: String },
    Reply(String),
    Topic(String),
    Mute { person: u64, duration: Duration },
    Schedule(Timer),
    Cancel(String),
}

/// The most entries that a plugin may keep in a room.
pub const MEMORY_ENTRIES: u64 = 10_000;
/// The most bytes of keys and values that a plugin may keep in a room.
pub const MEMORY_BYTES: u64 = 4 * 1024 * 1024;
/// The longest key of an entry.
pub const KEY_BYTES: usize = 256;
/// The largest value of an entry.
pub const VALUE_BYTES: usize = 64 * 1024;

/// An entry of what a plugin remembers in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// When it is forgotten, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: Option<u64>,
}

/// How serious a plugin's log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// What a call is about: a message or a timer, by a number that it has whenever it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseId(pub u128);

/// What an instance may ask while it is called. The pipeline implements it for one partition and sets the scope (which
/// plugin, which messages) before each call, so `at` is an index into the batch of the current call.
///
/// An `Err` goes to the guest as text, except from [`Calls::state_get`] outside the batch, which the guest can't cause
/// without breaking the interface: an `at` out of range is answered `None`/`Err` and blamed by the caller.
pub trait Calls: Send + Sync {
    /// The value under `key` in the room of message `at`.
    fn state_get(&self, plugin: &str, at: u32, key: &str) -> Option<Vec<u8>>;
    /// Writes or removes.
    ///
    /// # Errors
    /// Which limit the write would break.
    fn state_put(
        &self,
        plugin: &str,
        at: u32,
        key: &str,
        value: Option<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<(), String>;
    /// Adds to a counter.
    ///
    /// # Errors
    /// Where the entry is no counter, the sum does not fit, or a limit would be broken.
    fn state_add(
        &self,
        plugin: &str,
        at: u32,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, String>;
    /// What message `at` is known by; none where nobody sent it (a version is tried), and then no service is asked.
    fn cause(&self, at: u32) -> Option<CauseId> {
        let _ = at;
        None
    }
    /// A person's name; empty where there is none.
    fn person_name(&self, person: u64) -> String;
    /// A room's name; empty where there is none.
    fn room_name(&self, room: u64) -> String;
    /// Who is in a room now.
    fn members(&self, room: u64, limit: u32) -> Vec<u64>;
    /// Every command of every loaded plugin: name, usage, summary; by name.
    fn commands(&self) -> Vec<(String, String, String)>;
}

/// One running plugin, owned by one partition. Its memory is a cache: it may be thrown away after any call.
///
/// 1. A call returns within the plugin's limits, plus a few milliseconds, whatever the plugin does.
/// 2. After an `Err` the instance is not called again.
/// 3. Answers have been checked against the interface: their number, sizes, and which verdicts a role may give.
/// 4. A role that the manifest lacks is answered with a fault of the host.
pub trait Instance: Send {
    /// Judges messages; as many answers as messages.
    ///
    /// # Errors
    /// A fault; nothing that the call did through [`Calls`] may be kept.
    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Fault>;
    /// Runs a command. The inner error is usage text for the sender.
    ///
    /// # Errors
    /// A fault, as above.
    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Fault>;
    /// Lays out bodies; as many answers as items.
    ///
    /// # Errors
    /// A fault, as above.
    fn format(&mut self, batch: &[FormatItem]) -> Result<Vec<Option<Vec<Run>>>, Fault>;
    /// Judges bodies; as many answers as items, none of them [`Verdict::Revise`].
    ///
    /// # Errors
    /// A fault, as above.
    fn review(&mut self, batch: &[FormatItem]) -> Result<Vec<Verdict>, Fault>;
    /// A timer is due.
    ///
    /// # Errors
    /// A fault, as above.
    fn fired(&mut self, room: u64, due: &Timer) -> Result<Vec<Effect>, Fault>;
    /// What is to be remembered in a room, of what a version of an older layout remembered. Calls nothing outside.
    ///
    /// # Errors
    /// A fault, as above; also where the plugin has only one layout.
    fn migrate(
        &mut self,
        _room: u64,
        _from: u32,
        _entries: &[Remembered],
    ) -> Result<Vec<Remembered>, Fault> {
        Err(Fault::host("the plugin does not migrate what it remembers"))
    }
}

/// What broke, and by whose doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{blame}: {}", self.whole())]
pub struct Fault {
    /// Whose fault it is.
    pub blame: Blame,
    /// What the host saw: one line, bounded.
    pub detail: String,
    /// The last lines that the guest wrote during the call, bounded; may be empty. They often quote the message, so
    /// they are for no log above debug.
    pub last_words: String,
}

impl Fault {
    /// What the host saw, and what the guest said last.
    #[must_use]
    pub fn whole(&self) -> String {
        if self.last_words.is_empty() {
            return self.detail.clone();
        }
        format!("{}; its last words: {}", self.detail, self.last_line())
    }

    /// The line of the last words that says most.
    #[must_use]
    pub fn last_line(&self) -> String {
        fault::last_line(&self.last_words, fault::LAST_LINE_BYTES)
    }
}

/// Who or what is to blame for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The guest trapped.
    Trap,
    /// The guest computed for too long.
    RunningTime,
    /// The guest waited for too long inside the host.
    WallClock,
    /// The guest asked for more memory, tables or instances than it may have.
    Memory,
    /// The guest's answer breaks the interface.
    Answer,
    /// The host failed; the guest did nothing wrong.
    Host,
}

impl Blame {
    /// The word used in logs, metrics and outcome records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::RunningTime => "running-time",
            Self::WallClock => "wall-clock",
            Self::Memory => "memory",
            Self::Answer => "answer",
            Self::Host => "host",
        }
    }
}

impl std::fmt::Display for Blame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What a failure of a plugin means for the message it failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The message passes as if the plugin were not there.
    Allow,
    /// The message is withheld.
    Withhold,
}

/// A plugin that is ready to serve.
pub trait Plugin: Send + Sync {
    /// What it is.
    fn manifest(&self) -> &Manifest;
    /// What its failure means in moderation and review (`true`) or in the other roles.
    fn policy(&self, judging: bool) -> Policy;
    /// Whether it is to be called; none: it always is.
    fn standing(&self) -> Option<&Standing> {
        None
    }
    /// The layout in which it writes what it remembers; 0 where it knows of none.
    fn layout(&self) -> u32 {
        0
    }
    /// In which rooms it is asked; none: in all.
    fn reach(&self) -> Option<&Reach> {
        None
    }
    /// Where it runs in the shadow of the one in force, or of none: it is asked the same, and what it answers and
    /// remembers is compared and forgotten.
    fn shadow(&self) -> Option<&Comparison> {
        None
    }
    /// An instance for a partition, from the spare one where there is one.
    ///
    /// # Errors
    /// A fault of the start.
    fn instance(&self, calls: Arc<dyn Calls>) -> Result<Box<dyn Instance>, Fault>;
}

/// The plugins in force, in the order in which they are called. Swapped as a whole, between two messages.
#[derive(Clone, Default)]
pub struct PluginSet {
    /// Rises with each swap.
    pub version: u64,
    /// By priority, then by name.
    pub plugins: Vec<Arc<dyn Plugin>>,
}
