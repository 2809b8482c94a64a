//! 4. By plugins: what the pipeline may ask of one, and what one may ask of the pipeline.
//!
//! Knows components, their limits and their life; does not know rooms, journals or who asks.

mod contract;

pub use contract::{
    Blame, Calls, CommandInfo, Effect, Fault, FormatItem, Instance, LogLevel, Manifest, Message,
    Plugin, PluginSet, Policy, Roles, Run, Style, Target, TextBody, Timer, Verdict,
};
