//! `cargo xtask lint`: formatting and clippy, for this machine and for the plugins' target.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, step};
use crate::workspace::Workspace;
use crate::{build, manifest, tools, wasip2};

/// Runs all checks, also after one failed, so that one run shows everything.
///
/// # Errors
/// Names the checks that failed; they have said why.
pub fn lint(workspace: &Workspace) -> Result<()> {
    build::set_up(workspace)?;
    tools::check_linters()?;

    // In release like the tests, so that build scripts and macros are compiled once for both.
    let mut formatting = workspace.cargo();
    formatting.args(["fmt", "--all", "--check"]);
    let mut native = workspace.cargo();
    native.args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let mut guests = workspace.cargo();
    guests.args(["clippy", "--release", "--target", wasip2::TARGET]);
    // Without their tests: those run on this machine, and the plugins' target may have no `test` crate.
    for plugin in manifest::all(&workspace.root.join("plugins"))? {
        guests.args(["--package", &plugin.package]);
    }
    guests.args(["--", "-D", "warnings"]);

    let checks: [(&str, &mut Command); 3] = [
        ("formatting", &mut formatting),
        ("clippy", &mut native),
        ("clippy of the plugins", &mut guests),
    ];
    let mut failed = Vec::new();
    for (name, command) in checks {
        step(name);
        if process::run(command).is_err() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}
