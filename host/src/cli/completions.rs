//! `chat-host completions SHELL`: for `~/.local/share/bash-completion/completions/chat-host` and its likes.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// What `chat-host completions` is given.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Writes the script to stdout.
#[must_use]
pub fn run(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Cli::command(),
        "chat-host",
        &mut script,
    );
    super::print(&String::from_utf8_lossy(&script))
}
