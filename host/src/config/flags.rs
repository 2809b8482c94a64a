//! Settings as flags: one for each key, made from the list of keys.
//!
//! Values stay text until they meet their rule, so that flags, variables and files are judged by the same words.

use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::keys::{self, Key};
use super::rule::Rule;
use super::{Config, show};

/// The settings that were given as flags.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The settings file, where one is named.
    pub config: Option<PathBuf>,
    /// Values by the dotted names of their keys.
    pub values: Vec<(&'static str, String)>,
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        self.values = keys::all()
            .filter_map(|key| {
                let given: Vec<&str> = matches
                    .get_many::<String>(key.name)?
                    .map(String::as_str)
                    .collect();
                Some((key.name, given.join(",")))
            })
            .collect();
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let defaults = Config::new(PathBuf::new());
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(PathBufValueParser::new())
            .value_hint(ValueHint::FilePath)
            .help("Settings from a TOML file; flags and variables beat it [env: CHAT_HOST_CONFIG]");
        keys::all().fold(command.arg(config), |command, key| {
            command.arg(flag(key, &defaults))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(key: &'static Key, defaults: &Config) -> Arg {
    let default = match key.name {
        "data" => "$XDG_DATA_HOME/chat-host or ~/.local/share/chat-host".to_owned(),
        _ => show::plain(&(key.get)(defaults)),
    };
    let mut help = format!("{} [env: {}]", key.help, key.variable());
    if !default.is_empty() {
        help.push_str(&format!(" [default: {default}]"));
    }
    if let Rule::OneOf(words) = key.rule {
        help.push_str(&format!(" [possible values: {}]", words.join(", ")));
    }
    let arg = Arg::new(key.name)
        .long(key.flag())
        .value_name(key.placeholder)
        .help(help)
        .help_heading(match key.name.split_once('.') {
            Some(("limits", _)) => "Limits on clients",
            Some(_) => "Limits on plugins",
            None => "Server",
        });
    match key.rule {
        // `--memory`, and `--memory=false` where a file says true.
        Rule::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Rule::Names => arg.action(ArgAction::Append),
        Rule::Folder | Rule::OptionalFolder => arg.value_hint(ValueHint::DirPath),
        // `--drain -5s` is a wrong value, and is told as one.
        Rule::Number(..) | Rule::Bytes(..) | Rule::Time(..) | Rule::Retain => {
            arg.allow_hyphen_values(true)
        }
        _ => arg,
    }
}
