//! The proofs of our names, and how far we have read what was for us alone, kept between starts.
//!
//! A file for each server and name, in a folder that only we can read. Whoever has the file has the name, so the
//! modes are set before anything is in it, and a write is complete or did not happen.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// The tokens for one server.
#[derive(Debug, Clone)]
pub struct Tokens {
    folder: PathBuf,
    server: String,
}

/// A file's content. Server and name are there for the person who looks into it.
#[derive(Serialize, Deserialize)]
struct Kept {
    server: String,
    name: String,
    token: String,
    #[serde(default)]
    private: BTreeMap<u32, u64>,
}

/// What a visit leaves for the next one under the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// Proves that the name is ours; empty before the first visit.
    pub token: String,
    /// The last private event that was shown, for each partition.
    pub private: BTreeMap<u32, u64>,
}

impl Tokens {
    /// Under `XDG_STATE_HOME`, or `~/.local/state`; none without a home.
    #[must_use]
    pub fn of_this_person(server: &str) -> Option<Self> {
        let absolute = |name: &str| {
            let path = PathBuf::from(std::env::var_os(name).unwrap_or_default());
            path.is_absolute().then_some(path)
        };
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|h| h.join(".local/state")))?;
        Some(Self::new(state.join("chat-host/tokens"), server))
    }

    /// In this folder, which is made at the first write.
    #[must_use]
    pub fn new(folder: PathBuf, server: &str) -> Self {
        Self {
            folder,
            server: server.trim_end_matches('/').to_lowercase(),
        }
    }

    /// Where the files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the last visit as `name` left; none where there is none, or none that can be read.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Visit> {
        let kept: Kept = serde_json::from_slice(&fs::read(self.file(name)).ok()?).ok()?;
        (kept.name == normal(name)).then_some(Visit {
            token: kept.token,
            private: kept.private,
        })
    }

    /// Keeps the token of `name`, in place of the one before. What was read belongs to the token.
    ///
    /// # Errors
    /// Whatever the file system says; the one before is still there then.
    pub fn write_token(&self, name: &str, token: &str) -> io::Result<()> {
        if self.read(name).is_some_and(|visit| visit.token == token) {
            return Ok(());
        }
        let visit = Visit {
            token: token.into(),
            ..Visit::default()
        };
        self.write(name, visit)
    }

    /// Keeps what the next visit as `name` needs, in place of what was kept before.
    ///
    /// # Errors
    /// Whatever the file system says; what was kept before is still there then.
    pub fn write(&self, name: &str, visit: Visit) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let kept = serde_json::to_vec_pretty(&Kept {
            server: self.server.clone(),
            name: normal(name),
            token: visit.token,
            private: visit.private,
        })?;
        // `tempfile` creates with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&kept)?;
        file.as_file().sync_all()?;
        file.persist(self.file(name)).map_err(|e| e.error)?;
        Ok(())
    }

    /// The file of `name`. Names have any script and up to 256 bytes, so the file's name is a digest.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        let digest = Sha256::digest(format!("{}\n{}", self.server, normal(name)));
        let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{hex}.json"))
    }
}

fn normal(name: &str) -> String {
    name.nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_token_comes_back_for_its_server_and_name_only() {
        let home = tempfile::tempdir().unwrap();
        let here = Tokens::new(home.path().join("tokens"), "http://127.0.0.1:8081/");
        let there = Tokens::new(home.path().join("tokens"), "http://other:8081");
        here.write_token("앨리스", "one").unwrap();
        here.write_token("앨리스", "two").unwrap();
        let token = |name: &str| here.read(name).map(|visit| visit.token);
        assert_eq!(token("앨리스").as_deref(), Some("two"));
        let read = Visit {
            token: "two".into(),
            private: BTreeMap::from([(3, 7)]),
        };
        here.write("앨리스", read.clone()).unwrap();
        here.write_token("앨리스", "two").unwrap();
        assert_eq!(here.read("앨리스"), Some(read));
        // The same name, decomposed.
        assert_eq!(
            token(&"앨리스".nfd().collect::<String>()).as_deref(),
            Some("two")
        );
        assert_eq!(here.read("bob"), None);
        assert_eq!(there.read("앨리스"), None);
        // Nothing but the token's file is left behind.
        assert_eq!(fs::read_dir(here.folder()).unwrap().count(), 1);
    }

    #[test]
    fn only_the_person_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let tokens = Tokens::new(home.path().join("a/tokens"), "http://127.0.0.1:8081");
        fs::create_dir_all(tokens.folder()).unwrap();
        fs::set_permissions(tokens.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        tokens.write_token("alice", "secret").unwrap();
        assert_eq!(mode(tokens.folder()), 0o700);
        assert_eq!(mode(&tokens.file("alice")), 0o600);
    }

    #[test]
    fn a_broken_file_is_no_token() {
        let home = tempfile::tempdir().unwrap();
        let tokens = Tokens::new(home.path().into(), "http://127.0.0.1:8081");
        fs::write(tokens.file("alice"), "{").unwrap();
        assert_eq!(tokens.read("alice"), None);
    }

    #[test]
    fn a_write_that_fails_leaves_the_token_before() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(
            Tokens::new(file.join("tokens"), "x")
                .write_token("alice", "t")
                .is_err()
        );
    }
}
