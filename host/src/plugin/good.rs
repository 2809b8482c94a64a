//! The last versions of each plugin that worked, the newest first: they serve at a start where the files in the folder
//! are broken, and after a rollback.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::cache::{make_private, put};

/// Versions kept of each plugin.
const VERSIONS: usize = 3;

/// The folder, or none where nothing is kept.
pub(super) struct Good {
    folder: Option<PathBuf>,
}

/// A version that worked. Its component is in a file beside, named by the hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Of the component.
    pub(super) hash: String,
    /// What the plugin calls it.
    pub(super) version: String,
    /// The names of its roles.
    pub(super) roles: Vec<String>,
    /// The text of the `NAME.toml` under which it started.
    pub(super) settings: Option<String>,
}

impl Good {
    /// Opens or makes the folder. Where it is not private, nothing is kept, and a warning says so.
    pub(super) fn open(folder: Option<PathBuf>) -> Self {
        let folder = folder.filter(|folder| match make_private(folder) {
            Ok(()) => true,
            Err(error) => {
                warn!(folder = %folder.display(), %error, "the last good versions of plugins are not kept");
                false
            }
        });
        Self { folder }
    }

    /// Keeps a version as the newest, the one that served `before` it next; the oldest goes.
    pub(super) fn keep(&self, name: &str, kept: Kept, component: &[u8], before: Option<&str>) {
        let Some(folder) = &self.folder else { return };
        let mut versions = self.versions(name);
        if versions.first() == Some(&kept) {
            return;
        }
        let folder = folder.join(name);
        versions.retain(|version| version.hash != kept.hash);
        versions.sort_by_key(|version| Some(version.hash.as_str()) != before);
        let hash = kept.hash.clone();
        versions.insert(0, kept);
        let dropped = versions.split_off(versions.len().min(VERSIONS));
        let written = make_private(&folder)
            .and_then(|()| put(&folder.join(format!("{hash}.wasm")), component))
            .and_then(|()| serde_json::to_vec_pretty(&versions).map_err(Error::from))
            // The list last: what it names is there.
            .and_then(|list| put(&folder.join("versions.json"), &list));
        if let Err(error) = written {
            warn!(plugin = name, %error, "the last good version of a plugin is not kept");
            return;
        }
        for old in dropped {
            // One that stays costs space alone.
            std::fs::remove_file(folder.join(format!("{}.wasm", old.hash))).ok();
        }
    }

    /// What is kept, the newest first.
    pub(super) fn versions(&self, name: &str) -> Vec<Kept> {
        let Some(bytes) = self.read(name, "versions.json") else {
            return Vec::new();
        };
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            warn!(plugin = name, %error, "the list of a plugin's last good versions can't be read");
            Vec::new()
        })
    }

    /// The component of a kept version.
    pub(super) fn component(&self, name: &str, hash: &str) -> Option<Vec<u8>> {
        self.read(name, &format!("{hash}.wasm"))
    }

    fn read(&self, name: &str, file: &str) -> Option<Vec<u8>> {
        let folder = self.folder.as_ref()?;
        match std::fs::read(folder.join(name).join(file)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                warn!(plugin = name, file, %error, "a kept version of a plugin can't be read");
                None
            }
        }
    }

    /// Forgets a plugin that was removed.
    pub(super) fn forget(&self, name: &str) {
        let Some(folder) = &self.folder else { return };
        match std::fs::remove_dir_all(folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                warn!(plugin = name, %error, "the last good versions of a removed plugin stay");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(hash: &str) -> Kept {
        Kept {
            hash: hash.into(),
            version: format!("{hash}.0.0"),
            roles: vec!["review".into()],
            settings: None,
        }
    }

    #[test]
    fn the_last_three_versions_are_given_back_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let good = Good::open(Some(dir.path().join("good")));
        for hash in ["1", "2", "3", "2", "4"] {
            good.keep("a", kept(hash), hash.as_bytes(), None);
        }
        let hashes: Vec<String> = good.versions("a").into_iter().map(|v| v.hash).collect();
        assert_eq!(hashes, ["4", "2", "3"]);
        assert_eq!(good.component("a", "2").as_deref(), Some(&b"2"[..]));
        assert_eq!(good.component("a", "1"), None, "the oldest is gone");
        assert!(good.versions("b").is_empty());

        // Rolled back to 3, and then there is a 5.
        good.keep("a", kept("5"), b"5", Some("3"));
        let hashes: Vec<String> = good.versions("a").into_iter().map(|v| v.hash).collect();
        assert_eq!(hashes, ["5", "3", "4"]);

        good.forget("a");
        assert!(good.versions("a").is_empty());
    }
}
