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

    fn age(&self) -> Duration {
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

/// A plugin's files as they were seen: their state, or why they can't be used.
pub(super) type Seen = Result<State, Reason>;

/// The state of `NAME.wasm`, and of `NAME.toml` beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    component: Fingerprint,
    settings: Option<Fingerprint>,
}

impl State {
    /// How long ago the younger of the two was changed, as far as the clocks agree.
    pub(super) fn age(&self) -> Duration {
        let component = self.component.age();
        self.settings
            .map_or(component, |settings| settings.age().min(component))
    }
}

/// What is in a plugin's files.
pub(super) struct Content {
    pub(super) component: Vec<u8>,
    /// The text of `NAME.toml` and where it is, where there is one.
    pub(super) settings: Option<(PathBuf, String)>,
    pub(super) state: State,
}

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

    /// The state of one plugin's files.
    pub(super) fn look(&self, name: &str) -> Seen {
        let stat = |file: &str| {
            let facts = std::fs::metadata(self.resolve(file)?).map_err(unreadable)?;
            within_bounds(&facts)
        };
        let component = stat(&format!("{name}.wasm"))?;
        let settings = present(stat(&format!("{name}.toml")))?;
        Ok(State {
            component,
            settings,
        })
    }

    /// What is in a plugin's files, and the state they were read in.
    ///
    /// # Errors
    /// Why they can't be used.
    pub(super) fn read(&self, name: &str) -> Result<Content, Reason> {
        let (component, state) = self.read_file(&format!("{name}.wasm"))?;
        let settings = present(self.read_file(&format!("{name}.toml")))?;
        let text = settings.as_ref().map(|(bytes, _)| {
            let path = self.path.join(format!("{name}.toml"));
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok((path, text.to_owned())),
                Err(_) => Err(Reason::Settings(format!("{} is not UTF-8", path.display()))),
            }
        });
        Ok(Content {
            component,
            settings: text.transpose()?,
            state: State {
                component: state,
                settings: settings.map(|(_, state)| state),
            },
        })
    }

    fn read_file(&self, name: &str) -> Result<(Vec<u8>, Fingerprint), Reason> {
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
    fn resolve(&self, file: &str) -> Result<PathBuf, Reason> {
        let folder = self.path.canonicalize().map_err(unreadable)?;
        let path = folder.join(file).canonicalize().map_err(unreadable)?;
        if path.starts_with(&folder) {
            Ok(path)
        } else {
            Err(Reason::OutsideFolder)
        }
    }
}

/// Nothing, where there is no such file.
fn present<T>(found: Result<T, Reason>) -> Result<Option<T>, Reason> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Reason::Gone) => Ok(None),
        Err(reason) => Err(reason),
    }
}

fn within_bounds(facts: &Metadata) -> Result<Fingerprint, Reason> {
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
        assert_eq!(folder.read("out").err(), Some(Reason::OutsideFolder));
        assert_eq!(folder.read("in").unwrap().component, b"x");
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
            folder.read("a").err().unwrap(),
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
