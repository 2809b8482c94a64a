//! The proofs of our names, and how far we have read what was for us alone, kept between starts.
//!
//! A file for each server and name, in a folder that only we can read. Whoever has the file has the name, so the
//! modes are set before anything is in it, and a write is complete or did not happen. We make the proof ourselves and
//! keep it before we ask for the name: whatever becomes of the answer, the name can't be lost to us.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::address::Address;

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
    /// Proves that the name is ours.
    pub token: String,
    /// The last private event that was shown, for each partition.
    pub private: BTreeMap<u32, u64>,
}

/// What a visit begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The proof, and what was read.
    pub visit: Visit,
    /// It was made just now: whether the name is ours is for the server to say.
    pub new: bool,
}

impl Proof {
    fn made() -> Self {
        // 256 bits of a cryptographic generator.
        let secret: [u8; 32] = rand::random();
        let token = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let visit = Visit {
            token,
            ..Visit::default()
        };
        Self { visit, new: true }
    }
}

/// The proof of `name`: the one that is kept, or a new one, which is kept from now on. Also says, in words, why it
/// can't be kept; it serves this run alone then.
#[must_use]
pub fn proof(tokens: Option<&Tokens>, name: &str) -> (Proof, Option<String>) {
    let Some(tokens) = tokens else {
        let words = format!(
            "HOME is not set, so the proof that `{name}` is your name is not kept: the next run can't have the name until the server gives it up"
        );
        return (Proof::made(), Some(words));
    };
    let kept = || tokens.read(name).map(|visit| Proof { visit, new: false });
    if let Some(proof) = kept() {
        return (proof, None);
    }
    let made = Proof::made();
    let written = match tokens.write_first(name, made.visit.clone()) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match kept() {
            // Another start was faster.
            Some(proof) => return (proof, None),
            // What is there can't be read by anybody.
            None => tokens.write(name, made.visit.clone()),
        },
        written => written,
    };
    let trouble = written.err().map(|e| tokens.unkept(name, &e));
    (made, trouble)
}

impl Tokens {
    /// Under `XDG_STATE_HOME`, or `~/.local/state`; none without a home.
    #[must_use]
    pub fn of_this_person(server: &Address) -> Option<Self> {
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
    pub fn new(folder: PathBuf, server: &Address) -> Self {
        let server = server.to_string();
        Self { folder, server }
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

    /// Keeps what the next visit as `name` needs, in place of what was kept before.
    ///
    /// # Errors
    /// Whatever the file system says; what was kept before is still there then.
    pub fn write(&self, name: &str, visit: Visit) -> io::Result<()> {
        let file = self.prepared(name, visit)?;
        file.persist(self.file(name)).map_err(|e| e.error)?;
        Ok(())
    }

    /// Keeps the first visit as `name`.
    ///
    /// # Errors
    /// `AlreadyExists` where one is kept; or whatever else the file system says.
    fn write_first(&self, name: &str, visit: Visit) -> io::Result<()> {
        let file = self.prepared(name, visit)?;
        file.persist_noclobber(self.file(name))
            .map_err(|e| e.error)?;
        Ok(())
    }

    /// A file that is complete, and not yet in its place.
    fn prepared(&self, name: &str, visit: Visit) -> io::Result<tempfile::NamedTempFile> {
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
        Ok(file)
    }

    /// Lets go of a token that proved nothing: the name is another's.
    pub fn forget(&self, name: &str, token: &str) {
        if self.read(name).is_some_and(|visit| visit.token == token) {
            // What stays is a file of no use.
            let _ = fs::remove_file(self.file(name));
        }
    }

    /// What to say where the proof of `name` can't be kept.
    #[must_use]
    pub fn unkept(&self, name: &str, error: &io::Error) -> String {
        format!(
            "the proof that `{name}` is your name can't be kept in {} ({error}); the next run can't have the name until the server gives it up",
            self.folder.display()
        )
    }

    /// The file of `name`. Names have any script and up to 256 bytes, so the file's name is a digest.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        let digest = Sha256::digest(format!("{}\n{}", self.server, normal(name)));
        let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{hex}.json"))
    }
}

/// As servers tell names apart: `Alice` is `alice`.
fn normal(name: &str) -> String {
    let composed: String = name.nfc().collect();
    composed.to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn tokens(folder: PathBuf, server: &str) -> Tokens {
        Tokens::new(folder, &server.parse().unwrap())
    }

    fn visit(token: &str) -> Visit {
        Visit {
            token: token.into(),
            private: BTreeMap::from([(3, 7)]),
        }
    }

    #[test]
    fn a_visit_comes_back_for_its_server_and_name_only() {
        let home = tempfile::tempdir().unwrap();
        let here = tokens(home.path().join("tokens"), "http://Host:8081/");
        let same = tokens(home.path().join("tokens"), "HTTP://host:8081");
        let there = tokens(home.path().join("tokens"), "http://other:8081");
        here.write("Ünï앨리스", visit("one")).unwrap();
        here.write("Ünï앨리스", visit("two")).unwrap();
        for name in [
            "Ünï앨리스".to_owned(),
            "Ünï앨리스".nfd().collect(),
            "ünï앨리스".into(),
        ] {
            assert_eq!(same.read(&name), Some(visit("two")), "{name}");
        }
        assert_eq!(here.read("bob"), None);
        assert_eq!(there.read("Ünï앨리스"), None);
        // Nothing but the token's file is left behind.
        assert_eq!(fs::read_dir(here.folder()).unwrap().count(), 1);
    }

    #[test]
    fn a_proof_is_kept_before_it_is_used_and_forgotten_if_it_proves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let tokens = tokens(home.path().join("tokens"), "http://host:1");
        let (first, trouble) = proof(Some(&tokens), "alice");
        assert_eq!((first.new, trouble), (true, None));
        assert_eq!(first.visit.token.len(), 64);
        let (again, _) = proof(Some(&tokens), "Alice");
        assert_eq!((again.new, &again.visit), (false, &first.visit));
        tokens.forget("alice", "another's");
        assert_eq!(tokens.read("alice"), Some(first.visit.clone()));
        tokens.forget("alice", &first.visit.token);
        let (later, _) = proof(Some(&tokens), "alice");
        assert!(later.new && later.visit != first.visit);
    }

    #[test]
    fn only_the_person_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let tokens = tokens(home.path().join("a/tokens"), "http://127.0.0.1:8081");
        fs::create_dir_all(tokens.folder()).unwrap();
        fs::set_permissions(tokens.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        let _ = proof(Some(&tokens), "alice");
        assert_eq!(mode(tokens.folder()), 0o700);
        assert_eq!(mode(&tokens.file("alice")), 0o600);
    }

    #[test]
    fn a_broken_file_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let tokens = tokens(home.path().into(), "http://127.0.0.1:8081");
        fs::write(tokens.file("alice"), "{").unwrap();
        assert_eq!(tokens.read("alice"), None);
        let (made, trouble) = proof(Some(&tokens), "alice");
        assert_eq!((made.new, trouble), (true, None));
        assert_eq!(tokens.read("alice"), Some(made.visit));
    }

    #[test]
    fn what_can_not_be_kept_is_said_and_serves_once() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let nowhere = tokens(file.join("tokens"), "http://host:1");
        for tokens in [None, Some(&nowhere)] {
            let (made, trouble) = proof(tokens, "alice");
            assert!(made.new && !made.visit.token.is_empty());
            assert!(trouble.unwrap().contains("`alice`"));
        }
    }
}
