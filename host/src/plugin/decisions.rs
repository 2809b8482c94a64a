//! What the operator has decided about single plugins while the host ran; it outlives restarts.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::cache::put;

/// What was decided about one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decision {
    /// Goes before its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
    /// Set by a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pinned: Option<Pinned>,
    /// In quarantine until it is released.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) held: bool,
}

/// A kept version serves instead of the file, until the file has another content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pinned {
    /// Hash of the file's content that is passed over.
    pub(super) instead_of: String,
    /// Hash of the kept version that serves.
    pub(super) serves: String,
}

/// All of them, by plugin.
pub(super) struct Decisions {
    /// None where nothing is kept.
    path: Option<PathBuf>,
    of: BTreeMap<String, Decision>,
}

impl Decisions {
    /// Reads them. A file that can't be read is said, and counts as none.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let read = path.as_deref().map(std::fs::read);
        let of = match read {
            Some(Ok(bytes)) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                warn!(path = ?path, %error, "the decisions about plugins can't be read; all files count again");
                BTreeMap::new()
            }),
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => {
                warn!(path = ?path, %error, "the decisions about plugins can't be read; all files count again");
                BTreeMap::new()
            }
            _ => BTreeMap::new(),
        };
        Self { path, of }
    }

    /// What was decided about a plugin.
    pub(super) fn of(&self, name: &str) -> Decision {
        self.of.get(name).cloned().unwrap_or_default()
    }

    /// Decides, and keeps it.
    ///
    /// # Errors
    /// Where it can't be kept: then nothing is decided.
    pub(super) fn decide(&mut self, name: &str, decision: Decision) -> std::io::Result<()> {
        let mut all = self.of.clone();
        if decision == Decision::default() {
            all.remove(name);
        } else {
            all.insert(name.to_owned(), decision);
        }
        if let Some(path) = &self.path {
            put(path, &serde_json::to_vec_pretty(&all)?)?;
        }
        self.of = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_outlives_the_host_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = Some(dir.path().join("decisions.json"));
        let off = Decision {
            enabled: Some(false),
            ..Decision::default()
        };
        Decisions::open(path.clone())
            .decide("a", off.clone())
            .unwrap();
        let mut later = Decisions::open(path.clone());
        assert_eq!(later.of("a"), off);
        assert_eq!(later.of("b"), Decision::default());
        later.decide("a", Decision::default()).unwrap();
        assert_eq!(Decisions::open(path).of("a"), Decision::default());
    }
}
