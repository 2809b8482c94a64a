//! What the operator sets.

use serde::Deserialize;

/// A domain stands for those below it too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Where links may lead, if it is not empty.
    pub(crate) allow: Vec<String>,
    /// Where they may not; goes before `allow`.
    pub(crate) deny: Vec<String>,
    /// Domains that others are not to look like; those of `allow` are protected anyway.
    pub(crate) protect: Vec<String>,
    /// Whether domains that look like others are withheld.
    pub(crate) look_alikes: bool,
    /// Whether links are withheld whose text names another domain than they lead to.
    pub(crate) other_names: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            allow: Vec::new(),
            deny: Vec::new(),
            protect: Vec::new(),
            look_alikes: true,
            other_names: true,
        }
    }
}
