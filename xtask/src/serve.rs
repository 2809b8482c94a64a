//! `cargo xtask serve`: a running server with the plugins of this checkout.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build::build;
use crate::process::step;
use crate::workspace::{Workspace, as_typed};

/// Builds, then becomes the server, so that signals and the exit code are the server's own.
///
/// # Errors
/// When the build fails or the server can't be started; otherwise it does not return.
pub fn serve(workspace: &Workspace, server_args: &[String]) -> Result<()> {
    build(workspace)?;
    let (server, plugins) = (workspace.server(), workspace.plugins());
    step(&format!(
        "to chat, type in another terminal: {} chat --name alice",
        as_typed(&server).display()
    ));
    let mut command = Command::new(&server);
    command
        .arg("serve")
        .arg("--plugins")
        .arg(as_typed(&plugins))
        .args(server_args);
    Err(command.exec()).with_context(|| format!("starting {}", server.display()))
}
