//! The plugin's log. Lines over 1 KiB are cut; more than the host's bound are dropped and counted.

use crate::outside;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who writes the plugin.
    Debug,
    /// What happened.
    Info,
    /// What somebody should look at.
    Warn,
    /// What did not work.
    Error,
}

/// Writes a line for who writes the plugin.
pub fn debug(text: impl AsRef<str>) {
    outside::log(Level::Debug, text.as_ref());
}

/// Writes what happened.
pub fn info(text: impl AsRef<str>) {
    outside::log(Level::Info, text.as_ref());
}

/// Writes what somebody should look at.
pub fn warn(text: impl AsRef<str>) {
    outside::log(Level::Warn, text.as_ref());
}

/// Writes what did not work.
pub fn error(text: impl AsRef<str>) {
    outside::log(Level::Error, text.as_ref());
}
