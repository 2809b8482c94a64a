//! The folder that plugins are dropped into: which there are, and what is in their files.
//!
//! Reads only; does not know what is in force.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::load_error::Reason;

/// Larger files are not read.
pub(super) const FILE_BYTES: u64 = 64 << 20;

/// Tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(facts: &Metadata) -> Self {
        Self {
            file: (facts.dev(), facts.ino()),
            bytes: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }

    /// How long ago it was changed, as far as the clocks agree.
    pub(super) fn age(&self) -> Duration {
        let (seconds, nanos) = self.modified.max(self.changed);
        let since = |seconds, nanos| {
            Some(Duration::new(
                u64::try_from(seconds).ok()?,
                u32::try_from(nanos).ok()?,
            ))
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        now.saturating_sub(since(seconds, nanos).unwrap_or_default())
    }
}

/// A file as it was seen: its state, or why it can't be used.
pub(super) type Seen = Result<Fingerprint, Reason>;

/// The folder.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// # Errors
    /// When there is no such folder.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        if !std::fs::metadata(&path)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Every file `NAME.wasm`, by name. Hidden files are not plugins: editors and copiers make them.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub(super) fn scan(&self) -> Result<BTreeMap<String, Seen>, Error> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path)? {
            let file = entry?.file_name();
            let file = file.to_string_lossy();
            let Some(name) = file
                .strip_suffix(".wasm")
                .filter(|name| !name.starts_with('.'))
            else {
                continue;
            };
            match self.look(name) {
                // It is gone since the folder was read, or is a link to nothing.
                Err(Reason::Gone) => {}
                seen => {
                    files.insert(name.to_owned(), seen);
                }
            }
        }
        Ok(files)
    }

    /// The state of one file.
    pub(super) fn look(&self, name: &str) -> Seen {
        let path = self.resolve(name)?;
        let facts = std::fs::metadata(path).map_err(unreadable)?;
        within_bounds(&facts)
    }

    /// What is in a file, and the state it was read in.
    ///
    /// # Errors
    /// Why it can't be used.
    pub(super) fn read(&self, name: &str) -> Result<(Vec<u8>, Fingerprint), Reason> {
        let path = self.resolve(name)?;
        let file = File::open(path).map_err(unreadable)?;
        let fingerprint = within_bounds(&file.metadata().map_err(unreadable)?)?;
        let mut bytes = Vec::new();
        // It may grow while it is read.
        (&file)
            .take(FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(Reason::TooLarge(bytes.len() as u64));
        }
        if within_bounds(&file.metadata().map_err(unreadable)?)? != fingerprint {
            return Err(Reason::Gone);
        }
        Ok((bytes, fingerprint))
    }

    /// Follows links, as long as they stay in the folder.
    fn resolve(&self, name: &str) -> Result<PathBuf, Reason> {
        let folder = self.path.canonicalize().map_err(unreadable)?;
        let path = folder
            .join(format!("{name}.wasm"))
            .canonicalize()
            .map_err(unreadable)?;
        if path.starts_with(&folder) {
            Ok(path)
        } else {
            Err(Reason::OutsideFolder)
        }
    }
}

fn within_bounds(facts: &Metadata) -> Seen {
    if !facts.is_file() {
        return Err(Reason::Read("it is not a file".into()));
    }
    if facts.size() > FILE_BYTES {
        return Err(Reason::TooLarge(facts.size()));
    }
    Ok(Fingerprint::of(facts))
}

fn unreadable(error: Error) -> Reason {
    match error.kind() {
        ErrorKind::NotFound => Reason::Gone,
        _ => Reason::Read(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().into()).unwrap();
        (dir, folder)
    }

    #[test]
    fn only_visible_wasm_files_are_plugins() {
        let (dir, folder) = folder();
        for name in ["a.wasm", ".b.wasm", "c.txt", "d.wasm.part"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(
            folder.scan().unwrap().into_keys().collect::<Vec<_>>(),
            ["a"]
        );
    }

    #[test]
    fn a_link_may_lead_within_the_folder_and_not_out_of_it() {
        let (dir, folder) = folder();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        std::fs::create_dir(dir.path().join("..data")).unwrap();
        std::fs::write(dir.path().join("..data/in.wasm"), "x").unwrap();
        std::os::unix::fs::symlink("..data/in.wasm", dir.path().join("in.wasm")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("out.wasm")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("gone.wasm")).unwrap();

        let files = folder.scan().unwrap();

        assert!(files["in"].is_ok());
        assert_eq!(files["out"], Err(Reason::OutsideFolder));
        assert!(!files.contains_key("gone"));
        assert_eq!(folder.read("out").unwrap_err(), Reason::OutsideFolder);
        assert_eq!(folder.read("in").unwrap().0, b"x");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let (dir, folder) = folder();
        File::create(dir.path().join("a.wasm"))
            .unwrap()
            .set_len(FILE_BYTES + 1)
            .unwrap();
        assert_eq!(
            folder.scan().unwrap()["a"],
            Err(Reason::TooLarge(FILE_BYTES + 1))
        );
        assert_eq!(
            folder.read("a").unwrap_err(),
            Reason::TooLarge(FILE_BYTES + 1)
        );
    }

    #[test]
    fn a_changed_file_has_another_fingerprint() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join("a.wasm"), "one").unwrap();
        let before = folder.scan().unwrap();
        std::fs::write(dir.path().join("a.wasm"), "three").unwrap();
        assert_ne!(before, folder.scan().unwrap());
    }
}
