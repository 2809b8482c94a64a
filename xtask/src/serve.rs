//! `cargo xtask serve`: a running server with the plugins of this checkout.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build::build;
use crate::workspace::{Workspace, as_typed};

/// Builds, then becomes the server, so that signals and the exit code are the server's own.
///
/// # Errors
/// When the build fails or the server can't be started; otherwise it does not return.
pub fn serve(workspace: &Workspace, server_args: &[String]) -> Result<()> {
    build(workspace)?;
    let (server, plugins) = (workspace.server(), workspace.plugins());
    let mut command = Command::new(&server);
    // The server tells how to chat with it, in the words it was called with.
    command.arg0(as_typed(&server)).arg("serve");
    if !names_plugins(server_args) {
        command.arg("--plugins").arg(as_typed(&plugins));
    }
    command.args(server_args);
    Err(command.exec()).with_context(|| format!("starting {}", server.display()))
}

/// Whether the user has plugins of their own; the server takes the flag once.
fn names_plugins(server_args: &[String]) -> bool {
    server_args
        .iter()
        .any(|arg| arg == "--plugins" || arg.starts_with("--plugins="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_users_own_is_seen() {
        let given = |args: &[&str]| {
            names_plugins(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(given(&["--memory", "--plugins", "mine"]));
        assert!(given(&["--plugins=mine"]));
        assert!(!given(&["--memory", "--data", "plugins"]));
    }
}
