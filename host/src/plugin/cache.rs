//! Compiled code on disk, so that a start need not compile.
//!
//! Loading compiled code runs it as the host: what is in the folder is trusted like the host's own binary. So the
//! folder belongs to the host's user, nobody else may look into it, and this is checked at each use.

use std::fs::{DirBuilder, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Error, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tracing::warn;
use wasmtime::component::Component;

use super::compiler::{Beside, Compiler};
use super::engine::Engine;
use super::fault::one_line;
use super::load_error::Reason;

/// When the folder holds more, what was not used for longest goes.
const MOST_BYTES: u64 = 512 << 20;

/// The folder, or none where nothing is kept.
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

/// Code, and whether it had to be compiled.
pub(super) struct Compiled {
    pub(super) component: Component,
    pub(super) fresh: bool,
}

impl Cache {
    /// Opens or makes the folder. Where it is not private, nothing is cached, and a warning says so.
    pub(super) fn open(folder: Option<PathBuf>) -> Self {
        let folder = folder.filter(|folder| match make_private(folder) {
            Ok(()) => true,
            Err(error) => {
                warn!(folder = %folder.display(), %error, "compiled plugins are not cached");
                false
            }
        });
        Self { folder }
    }

    /// The code of a component: from the folder, or compiled and put there.
    ///
    /// # Errors
    /// [`Reason::Compile`], or [`Reason::Gone`] where `stop` said that nobody wants it any more.
    pub(super) fn component(
        &self,
        engine: &Engine,
        compiler: &Compiler,
        memory_bytes: usize,
        beside: Beside,
        bytes: &[u8],
        stop: &dyn Fn() -> bool,
    ) -> Result<Compiled, Reason> {
        let path = self
            .folder
            .as_ref()
            .map(|folder| folder.join(key(engine, bytes)));
        if let Some(component) = path.as_deref().and_then(|path| read(engine, path)) {
            return Ok(Compiled {
                component,
                fresh: false,
            });
        }
        let folder = self.folder.as_deref();
        let code = compiler.compile(memory_bytes, beside, bytes, folder, stop)?;
        // SAFETY: the file is output of the compiler that this host just ran, in a file that only this user can open.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize_file(engine.wasmtime(), code.path()) };
        let component =
            component.map_err(|error| Reason::Load(one_line(&format!("{error:#}"), 512)))?;
        if let Some(path) = path
            && let Err(error) = keep(code, &path)
        {
            warn!(path = %path.display(), %error, "a compiled plugin is not cached");
        }
        Ok(Compiled {
            component,
            fresh: true,
        })
    }
}

/// A name that changes with the component, the engine's version and its settings.
fn key(engine: &Engine, bytes: &[u8]) -> String {
    let mut settings = DefaultHasher::new();
    engine
        .wasmtime()
        .precompile_compatibility_hash()
        .hash(&mut settings);
    format!("{}-{:016x}.cwasm", content_hash(bytes), settings.finish())
}

/// SHA-256 in hexadecimal.
pub(super) fn content_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn read(engine: &Engine, path: &Path) -> Option<Component> {
    let file = File::open(path).ok()?;
    is_private(path.parent()?).ok()?;
    // So that what is in use is the last to go.
    let _ = file.set_modified(SystemTime::now());
    // SAFETY: the file must be unchanged output of `Component::serialize`. Only `keep` puts files here, whole, by
    // renaming; and nobody but this user can reach the folder, which was checked just now.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize_file(engine.wasmtime(), path) };
    component
        .inspect_err(|error| {
            warn!(path = %path.display(), %error, "a cached plugin does not load and is compiled again");
        })
        .ok()
}

fn keep(code: NamedTempFile, path: &Path) -> Result<(), Error> {
    let folder = path
        .parent()
        .ok_or_else(|| Error::other("it has no folder"))?;
    make_private(folder)?;
    code.as_file().sync_all()?;
    code.persist(path)?;
    trim(folder, path)
}

/// Writes a file whole or not at all.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path
        .parent()
        .ok_or_else(|| Error::other("it has no folder"))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // So that the name lasts, too.
    File::open(folder)?.sync_all()
}

fn trim(folder: &Path, keep: &Path) -> Result<(), Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        if facts.is_file() {
            files.push((facts.modified()?, facts.len(), entry.path()));
        }
    }
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in files {
        if bytes <= MOST_BYTES {
            break;
        }
        if path != keep {
            std::fs::remove_file(&path)?;
            bytes -= size;
        }
    }
    Ok(())
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// When it can't be made, belongs to somebody else, or others had access: then what is in it is not to be trusted.
pub(super) fn make_private(folder: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    if std::fs::read_dir(folder)?.next().is_none() {
        // Nothing in it yet that somebody could have put there.
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    is_private(folder)
}

fn is_private(folder: &Path) -> Result<(), Error> {
    let facts = std::fs::symlink_metadata(folder)?;
    let user = rustix::process::geteuid().as_raw();
    if !facts.is_dir() || facts.uid() != user || facts.mode() & 0o077 != 0 {
        return Err(Error::other(
            "the folder is not this user's alone; remove it, or set its owner and mode 0700",
        ));
    }
    Ok(())
}
