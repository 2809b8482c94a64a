//! The Rust installation in use, as far as the target is concerned.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::TARGET;
use crate::process;

/// Prints, so that linking needs all of it: the standard library, the C library and the start-up code.
const PROBE: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn probe() { println!(\"here\") }";

/// A toolchain.
#[derive(Debug)]
pub struct Toolchain {
    sysroot: PathBuf,
    /// Its version, e.g. `1.95.0`.
    pub release: String,
}

impl Toolchain {
    /// # Errors
    /// When there is no rustc.
    pub fn current() -> Result<Self> {
        let sysroot = process::text(Command::new("rustc").args(["--print", "sysroot"]))?;
        let told = process::text(Command::new("rustc").args(["--version", "--verbose"]))?;
        let release = told.lines().find_map(|line| line.strip_prefix("release: "));
        let release = release
            .context("`rustc --version --verbose` names no release")?
            .to_owned();
        Ok(Self {
            sysroot: PathBuf::from(sysroot.trim_end()),
            release,
        })
    }

    /// Where the libraries of all targets are.
    pub fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib").join("rustlib")
    }

    /// Where the target's libraries are, once it is installed.
    pub fn standard_library(&self) -> PathBuf {
        self.rustlib().join(TARGET).join("lib")
    }

    /// Tries the target by making a component. Looking for files would take an interrupted installation, or one for
    /// another rustc, for a good one.
    ///
    /// # Errors
    /// With rustc's reason, when it does not work.
    pub fn probe(&self, scratch: &Path) -> Result<()> {
        let output = scratch.join(format!("probe-{}.wasm", std::process::id()));
        let mut rustc = Command::new("rustc");
        rustc.arg("--sysroot").arg(&self.sysroot);
        rustc
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "cdylib",
                "--target",
                TARGET,
                "-",
            ])
            .arg("-o")
            .arg(&output);
        let mut child = rustc
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // Where rustc ended before it read, its own reason follows.
            let _ = stdin.write_all(PROBE.as_bytes());
        }
        let told = child.wait_with_output()?;
        // Absent where it did not work.
        let _ = fs::remove_file(&output);
        if !told.status.success() {
            let stderr = String::from_utf8_lossy(&told.stderr);
            bail!(
                "{}",
                stderr
                    .lines()
                    .find(|line| line.starts_with("error"))
                    .unwrap_or("rustc failed")
                    .trim()
            );
        }
        Ok(())
    }

    /// Removes what an earlier, interrupted installation by [`install`](Self::install) left, or one for another rustc:
    /// rustup refuses to write over files that are not its own.
    pub fn remove_own_target(&self) -> Result<()> {
        if self
            .rustlib()
            .join(format!("manifest-rust-std-{TARGET}"))
            .exists()
        {
            return Ok(()); // rustup's own
        }
        remove(&self.rustlib().join(TARGET))
    }

    /// Makes the target of `libraries` (rlibs) and the C library's folder. It appears in one step.
    ///
    /// # Errors
    /// When a file can't be copied.
    pub fn install(&self, libraries: &[PathBuf], libc: &Path) -> Result<()> {
        let unfinished = self.rustlib().join(format!(".{TARGET}.unfinished"));
        remove(&unfinished)?;
        let lib = unfinished.join("lib");
        let self_contained = lib.join("self-contained");
        fs::create_dir_all(&self_contained)
            .with_context(|| format!("making {}", self_contained.display()))?;
        for library in libraries {
            copy_into(library, &lib)?;
        }
        for entry in fs::read_dir(libc).with_context(|| format!("reading {}", libc.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name == "libc.a" || (name.starts_with("crt1") && name.ends_with(".o")) {
                copy_into(&path, &self_contained)?;
            }
        }
        let installed = self.rustlib().join(TARGET);
        remove(&installed)?;
        fs::rename(&unfinished, &installed)
            .with_context(|| format!("making {}", installed.display()))
    }
}

/// Removes a folder with all in it; none is fine.
///
/// # Errors
/// When it is there and stays.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    let to = folder.join(file.file_name().unwrap_or_default());
    fs::copy(file, &to)
        .with_context(|| format!("copying {} to {}", file.display(), to.display()))?;
    Ok(())
}
