//! The target that plugins are built for, `wasm32-wasip2`: makes sure that the toolchain in use has it.
//!
//! Rustup knows best how to get it. Where rustup or its server can't be reached but a Debian mirror can, the standard
//! library is built from Debian's sources instead, with the very rustc that will use it.

mod debian;
mod mirrors;
mod standard;
mod toolchain;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::process;
use toolchain::Toolchain;

/// The target's name.
pub const TARGET: &str = "wasm32-wasip2";

/// Rustup downloads 20 MB; what takes longer than this is a server that does not answer.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Returns at once where the target works, and installs it where it does not. `scratch` is ours while we run.
///
/// # Errors
/// When no way to install it worked, with the reason of each.
pub fn ensure(scratch: &Path) -> Result<()> {
    let toolchain = Toolchain::current()?;
    if toolchain.probe(scratch).is_ok() {
        return Ok(());
    }
    let _lock = lock(&toolchain)?;
    let Err(missing) = toolchain.probe(scratch) else {
        return Ok(());
    }; // another xtask did it meanwhile
    if toolchain.standard_library().exists() {
        process::step(&format!("repairing the target {TARGET}: {missing:#}"));
    }
    toolchain.remove_own_target()?;

    process::step(&format!("getting the target {TARGET} from rustup"));
    let by_rustup = add_by_rustup().and_then(|()| toolchain.probe(scratch));
    let Err(by_rustup) = by_rustup else {
        return Ok(());
    };

    process::step(&format!("that did not work: {by_rustup:#}"));
    let by_debian = install_by_debian(&toolchain, scratch).and_then(|()| toolchain.probe(scratch));
    by_debian.map_err(|by_debian| {
        anyhow!(
            "the target {TARGET} can't be installed; run `rustup target add {TARGET}` where its server is reachable\n  \
             by rustup: {by_rustup:#}\n  by Debian's sources: {by_debian:#}"
        )
    })
}

/// Held until dropped, so that two of us don't install into one toolchain at a time.
fn lock(toolchain: &Toolchain) -> Result<File> {
    let path = toolchain.rustlib().join(format!(".{TARGET}.lock"));
    let open = || -> std::io::Result<File> {
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    let owner = || {
        format!(
            "{} can't be written; run `rustup target add {TARGET}` as its owner",
            path.display()
        )
    };
    open().with_context(owner)
}

fn add_by_rustup() -> Result<()> {
    let mut rustup = Command::new("rustup");
    // With a backtrace its reason would not be the last thing it says.
    rustup
        .args(["target", "add", TARGET])
        .env("RUST_BACKTRACE", "0");
    process::within(RUSTUP_LIMIT, &mut rustup)
}

fn install_by_debian(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    let work = scratch.join(TARGET);
    toolchain::remove(&work)?; // what an interrupted run left
    std::fs::create_dir_all(&work)?;
    process::step("getting its standard library's source from a Debian mirror");
    let sources = debian::fetch(&toolchain.release, &work)?;
    process::step("building it (about half a minute)");
    let libraries = standard::build(toolchain, &sources.rust, &work)?;
    toolchain.install(&libraries, &sources.libc)?;
    toolchain::remove(&work)
}
