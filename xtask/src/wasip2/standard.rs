//! The standard library for the target, built from source with the rustc that will use it.
//!
//! Cargo does this with `-Zbuild-std`, which reads the source from a fixed place in the sysroot. A link is put there for
//! the time of the build; being a link tells ours from a source that rustup installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::TARGET;
use super::toolchain::Toolchain;
use crate::process;
use crate::workspace::cargo;

/// An empty crate: what it depends on is the standard library. Its own workspace, for `work` is inside of ours.
const MANIFEST: &str = "[package]\nname = \"nothing\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n[workspace]\n";

/// Builds it from the Rust source in `source` and returns its rlibs.
///
/// # Errors
/// When it does not build, e.g. because crates.io can't be reached or the source is of another version.
pub fn build(toolchain: &Toolchain, source: &Path, work: &Path) -> Result<Vec<PathBuf>> {
    let package = work.join("package");
    let built = work.join("built");
    fs::create_dir_all(&package)?;
    fs::write(package.join("Cargo.toml"), MANIFEST)?;
    fs::write(package.join("lib.rs"), "")?;

    let place = Place::take(toolchain, source)?;
    let mut command = cargo();
    command.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "-Zbuild-std=std,panic_abort,proc_macro",
    ]);
    command
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", &built);
    // `-Z` on a released rustc; and flags meant for the project are not meant for this.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::text(&mut command)
        .with_context(|| format!("building the Rust source at {}", place.path.display()))?;

    let folder = built.join(TARGET).join("release").join("deps");
    let mut libraries = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let is_nothing = path
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().starts_with("libnothing-"));
        if path
            .extension()
            .is_some_and(|extension| extension == "rlib")
            && !is_nothing
        {
            libraries.push(path);
        }
    }
    Ok(libraries)
}

/// Where cargo looks for the source. Given back when dropped.
struct Place {
    path: PathBuf,
}

impl Place {
    fn take(toolchain: &Toolchain, source: &Path) -> Result<Self> {
        let path = toolchain.rustlib().join("src").join("rust");
        if path.is_symlink() {
            fs::remove_file(&path)?; // an interrupted run's
        }
        if !path.join("library").join("Cargo.lock").exists() {
            fs::create_dir_all(toolchain.rustlib().join("src"))?;
            symlink(source, &path)
                .with_context(|| format!("linking {} to the source", path.display()))?;
        }
        Ok(Self { path })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.path.is_symlink() {
            // If it stays, the next run takes it for an interrupted run's.
            let _ = fs::remove_file(&self.path);
        }
    }
}
