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
    set_up(workspace)?;
    let is_first = !workspace.server().exists();
    let heading = if is_first {
        "building the host (the first time takes some minutes)"
    } else {
        "building the host"
    };
    process::build(
        heading,
        workspace
            .cargo()
            .args(["build", "--release", "--package", "chat-host"]),
    )?;
    components::build(workspace, &manifest::all(&workspace.root.join("plugins"))?)
}
