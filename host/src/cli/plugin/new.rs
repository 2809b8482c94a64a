//! `chat-host plugin new`: a project that builds and passes its own tests at once.

mod rust;
mod script;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::super::exit::{Exit, complain};

/// What `chat-host plugin new` is given.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The plugin's name: 1 to 64 lower-case letters, digits, `-` and `_`, a letter first
    #[arg(value_name = "NAME")]
    name: String,
    /// What it does, one or more, with commas
    #[arg(
        long,
        value_name = "ROLES",
        value_delimiter = ',',
        default_value = "moderation"
    )]
    role: Vec<Role>,
    /// The language it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
    /// The folder to make; ./NAME without this
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// For Rust: the folder of the SDK `chat-plugin`, where this program can't find it
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// What a plugin may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Role {
    /// Judges each message
    Moderation,
    /// Answers commands
    Commands,
    /// Lays out bodies
    Formatting,
    /// Judges what members would read
    Review,
    /// Is called when its timers are due
    Timers,
}

impl Role {
    /// As in the interface.
    fn word(self) -> &'static str {
        match self {
            Self::Moderation => "moderation",
            Self::Commands => "commands",
            Self::Formatting => "formatting",
            Self::Review => "review",
            Self::Timers => "timers",
        }
    }
}

/// What plugins may be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// A crate
    Rust,
    /// A component with CPython in it
    Python,
    /// A component with SpiderMonkey in it
    #[value(name = "javascript", alias = "js")]
    JavaScript,
}

pub(super) fn run(args: &NewArgs) -> ExitCode {
    match make(args) {
        Ok(words) => super::super::print(&words),
        Err(words) => {
            complain(&words);
            Exit::Usage.into()
        }
    }
}

fn make(args: &NewArgs) -> Result<String, String> {
    let name = args.name.as_str();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || name.len() > 64
        || !name.chars().all(good)
    {
        return Err(format!(
            "`{name}` can't be a plugin's name: 1 to 64 lower-case letters, digits, `-` and `_`, a letter first"
        ));
    }
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.exists() {
        return Err(format!(
            "{} exists already; name another folder with --dir",
            folder.display()
        ));
    }
    let mut roles = args.role.clone();
    // A timer is set by a command: one without the other would never be seen.
    if roles.contains(&Role::Timers) {
        roles.push(Role::Commands);
    }
    roles.sort_unstable();
    roles.dedup();
    if args.sdk.is_some() && args.lang != Language::Rust {
        return Err("--sdk is for plugins in Rust; leave it out".into());
    }
    let unwritten = |error| format!("{} can't be written: {error}", folder.display());
    let shown = folder.display().to_string();
    match args.lang {
        Language::Rust => {
            let sdk = rust::sdk(args.sdk.as_deref())?;
            rust::write(&folder, name, &sdk, &roles).map_err(unwritten)?;
            Ok(rust::next(&shown, name, &roles))
        }
        Language::Python => {
            script::write(&folder, name, &script::PYTHON, &roles).map_err(unwritten)?;
            Ok(script::next(&shown, name, &script::PYTHON))
        }
        Language::JavaScript => {
            script::write(&folder, name, &script::JAVASCRIPT, &roles).map_err(unwritten)?;
            Ok(script::next(&shown, name, &script::JAVASCRIPT))
        }
    }
}

/// The command that a plugin of this name has: the interface takes fewer names for commands than for plugins.
fn verb(name: &str) -> String {
    name.replace('_', "-").chars().take(32).collect()
}
