//! Where things are: the checkout, what cargo builds, what the server and the tests are given.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// The checkout this xtask was built from, and the folder that cargo builds into.
#[derive(Debug)]
pub struct Workspace {
    /// Absolute.
    pub root: PathBuf,
    /// Absolute; `CARGO_TARGET_DIR`, or `target` in the root.
    pub target: PathBuf,
}

impl Workspace {
    /// # Errors
    /// When this program was moved away from its checkout.
    pub fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here
            .parent()
            .context("xtask is not in a workspace")?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) if !folder.is_empty() => env::current_dir()?.join(folder),
            _ => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Where the server is once it is built.
    pub fn server(&self) -> PathBuf {
        self.target.join("release").join("chat-host")
    }

    /// Where the plugins are once they are built, one `.wasm` each.
    pub fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// xtask's own folder for what it needs only while it runs.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scratch(&self) -> Result<PathBuf> {
        let folder = self.target.join("xtask");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// The cargo that runs us, at the root, building where this workspace says.
    pub fn cargo(&self) -> Command {
        let mut command = cargo();
        // An inherited default target would move the server out of `target/release`.
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env_remove("CARGO_BUILD_TARGET");
        command
    }
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `path` as the user would type it from where they are.
pub fn as_typed(path: &Path) -> &Path {
    env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok())
        .unwrap_or(path)
}
