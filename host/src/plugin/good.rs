//! The last version of each plugin that worked: it serves at a start where the file in the folder is broken.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use tracing::warn;

use super::Roles;
use super::cache::{make_private, put};

/// The folder, or none where nothing is kept.
pub(super) struct Good {
    folder: Option<PathBuf>,
}

/// A version that worked.
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    pub(super) roles: Roles,
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

    /// Keeps a version in the place of the one before it.
    pub(super) fn keep(&self, name: &str, bytes: &[u8], roles: Roles) {
        let Some(folder) = &self.folder else { return };
        let kept = put(&folder.join(format!("{name}.wasm")), bytes).and_then(|()| {
            put(
                &folder.join(format!("{name}.roles")),
                roles.names().join(" ").as_bytes(),
            )
        });
        if let Err(error) = kept {
            warn!(plugin = name, %error, "the last good version of a plugin is not kept");
        }
    }

    /// The kept version, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<Kept> {
        let folder = self.folder.as_ref()?;
        let read = |suffix| match std::fs::read(folder.join(format!("{name}.{suffix}"))) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                warn!(plugin = name, %error, "the last good version of a plugin can't be read");
                None
            }
        };
        Some(Kept {
            bytes: read("wasm")?,
            roles: roles(&String::from_utf8_lossy(&read("roles")?)),
        })
    }

    /// Forgets a plugin that was removed.
    pub(super) fn forget(&self, name: &str) {
        let Some(folder) = &self.folder else { return };
        let remove = |suffix| -> Result<(), Error> {
            match std::fs::remove_file(folder.join(format!("{name}.{suffix}"))) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        if let Err(error) = remove("wasm").and_then(|()| remove("roles")) {
            warn!(plugin = name, %error, "the last good version of a removed plugin stays");
        }
    }
}

fn roles(names: &str) -> Roles {
    let has = |role| names.split_whitespace().any(|name| name == role);
    Roles {
        moderation: has("moderation"),
        commands: has("commands"),
        formatting: has("formatting"),
        review: has("review"),
        timers: has("timers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_given_back_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let good = Good::open(Some(dir.path().join("good")));
        let all = roles("moderation commands formatting review timers");
        assert_eq!(all.names().len(), 5);

        good.keep("a", b"code", all);
        let kept = good.get("a").unwrap();
        assert_eq!((kept.bytes.as_slice(), kept.roles), (&b"code"[..], all));

        good.forget("a");
        assert!(good.get("a").is_none());
    }
}
