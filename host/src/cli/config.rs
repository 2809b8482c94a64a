//! `chat-host config`: what is in force, and where each value comes from; or whether a file is right.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueHint};

use super::exit::{Exit, complain};
use crate::config::flags::Flags;
use crate::config::variables::Variables;
use crate::config::{show, sources};

/// What `chat-host config` is given: the flags of `serve`, to see what they would change.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Option<Check>,
    /// An object a key, with its value and its source
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Judges a settings file: exit code 0 if it is right, 2 with every fault and its line if not
    Check {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// Prints the settings, or judges the file.
#[must_use]
pub fn run(args: &ConfigArgs) -> ExitCode {
    if let Some(Check::Check { file }) = &args.command {
        return match sources::check(file) {
            Ok(()) => super::print(&format!("{} is right\n", file.display())),
            Err(problems) => wrong(&problems),
        };
    }
    match sources::resolve(&args.flags, &Variables::of_process()) {
        Ok(resolved) if args.json => super::print(&format!("{:#}\n", show::json(&resolved))),
        Ok(resolved) => super::print(&show::table(&resolved)),
        Err(problems) => wrong(&problems),
    }
}

/// Tells every fault, one a line.
pub(super) fn wrong(problems: &crate::config::problem::Problems) -> ExitCode {
    for problem in &problems.0 {
        complain(&problem.to_string());
    }
    Exit::Usage.into()
}
