//! `chat-host config`: what is in force, and where each value comes from; or whether a file is right.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueHint};

use super::exit::{Exit, complain};
use crate::config::flags::Flags;
use crate::config::keys::SINGLE;
use crate::config::preflight::strangers;
use crate::config::variables::Variables;
use crate::config::{show, sources};

/// What `chat-host config` is given: the flags of `serve`, to see what they would change.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = single_plugins())]
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
            Ok(resolved) => {
                for stranger in strangers(&resolved.config) {
                    complain(&format!("warning: {}: {stranger}", file.display()));
                }
                super::print(&format!("{} is right\n", file.display()))
            }
            Err(problems) => wrong(&problems),
        };
    }
    match sources::resolve(&args.flags, &Variables::of_process()) {
        Ok(resolved) if args.json => super::print(&format!("{:#}\n", show::json(&resolved))),
        Ok(resolved) => super::print(&show::table(&resolved)),
        Err(problems) => wrong(&problems),
    }
}

/// What only a file can set.
fn single_plugins() -> String {
    let width = SINGLE.iter().map(|key| key.name.len()).max().unwrap_or(0);
    let mut text = String::from("Single plugins, only in a settings file, below [plugins.NAME]:\n");
    for key in SINGLE {
        let (name, allowed) = (key.name, key.rule.allowed());
        text.push_str(&format!("  {name:width$}  {} ({allowed})\n", key.help));
    }
    text.push_str(&format!(
        "  {:width$}  A table that the plugin itself reads",
        "settings"
    ));
    text
}

/// Tells every fault, one a line.
pub(super) fn wrong(problems: &crate::config::problem::Problems) -> ExitCode {
    for problem in &problems.0 {
        complain(&problem.to_string());
    }
    Exit::Usage.into()
}
