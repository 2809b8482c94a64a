//! `cargo xtask setup` and `build`: tools, target, server, plugins, in that order.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{components, manifest, process, tools, wasip2};

/// Gets what is missing, and says nothing when nothing was.
///
/// # Errors
/// When something can't be had from here, with what to do.
pub fn set_up(workspace: &Workspace) -> Result<()> {
    tools::check()?;
    wasip2::ensure(&workspace.scratch()?)
}

/// Leaves `target/release/chat-host` and `target/plugins/*.wasm`, and says nothing when they were up to date.
///
/// # Errors
/// When a tool is missing or something does not build.
pub fn build(workspace: &Workspace) -> Result<()> {
    build_with(workspace, &["--package", "chat-host"])
}

/// The same, and every test.
///
/// The tests' dependencies add features to shared ones, for which cargo compiles half of the host's again. Building all
/// in one go does it once, and the server that is tested is not replaced by another while the tests run.
///
/// # Errors
/// As [`build`].
pub fn build_tests(workspace: &Workspace) -> Result<()> {
    build_with(workspace, &["--workspace", "--bins", "--tests"])
}

fn build_with(workspace: &Workspace, what: &[&str]) -> Result<()> {
    set_up(workspace)?;
    let is_first = !workspace.server().exists();
    let heading = if is_first {
        "building the host (the first time takes some minutes)"
    } else {
        "building the host"
    };
    process::build(
        heading,
        workspace.cargo().args(["build", "--release"]).args(what),
    )?;
    components::build(workspace, &manifest::all(&workspace.root.join("plugins"))?)
}
