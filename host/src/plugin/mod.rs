//! 4. By plugins: what the pipeline may ask of one, and what one may ask of the pipeline.
//!
//! ```text
//! folder ─▶ keeper ─▶ loader ─▶ version ─▶ guest          contract: what all others see of it
//! what is   what is   compiled, instances, calls, within
//! there     in force  tried     spares     limits, checked
//! ```
//!
//! Knows components, their limits and their life; does not know rooms, journals or who asks. `contract` is all that the
//! pipeline sees; [`Plugins`] is what the application opens and closes.

mod alone;
mod bindings;
mod cache;
mod captured;
mod check;
mod compiler;
mod component;
mod config;
mod contract;
mod convert;
mod decisions;
mod drive;
mod engine;
mod fault;
mod folder;
mod good;
mod guest;
mod keeper;
mod limits;
mod lines;
mod load_error;
mod loader;
mod manifest;
mod measured;
mod office;
mod orders;
mod outbound;
mod outside;
mod plugins;
mod probe;
mod reach;
mod secrets;
mod shadow;
mod spares;
mod standing;
mod stats;
mod ticker;
mod version;
pub mod words;

pub use alone::{Alone, AloneError, Facts, Room, Unstarted};
pub use compiler::{Beside, Compiler, SUBCOMMAND as COMPILE, compile_stdin};
pub use config::Config;
pub use contract::{
    Blame, Calls, CauseId, CommandInfo, Effect, Fault, FormatItem, Instance, KEY_BYTES, LogLevel,
    MEMORY_BYTES, MEMORY_ENTRIES, Manifest, Message, Plugin, PluginSet, Policy, Remembered, Roles,
    Run, Style, Target, TextBody, Timer, VALUE_BYTES, Verdict,
};
pub use engine::EngineError;
pub use load_error::{LoadError, Reason};
pub use manifest::is_name;
pub use orders::{Order, ShadowStatus, Status};
pub use outbound::Resolver;
pub use outside::Held;
pub use plugins::{OpenError, Orders, Plugins};
pub use reach::Reach;
pub use shadow::{Answer, Comparison, Example};
pub use standing::{Meter, Rule, Seen, SeenQuarantine, Standing};
pub use stats::{Counter, Failures, PluginStats, Requests, RoleStats, Stats};
