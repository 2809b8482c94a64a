//! `chat-host plugin`: the tools of whoever writes a plugin, and of whoever runs some.

mod bench;
mod cases;
mod check;
mod live;
mod logs;
mod new;
mod run;
mod state;
mod state_file;
mod translate;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::exit::{Exit, complain};
use crate::config::PluginConfig;
use crate::config::grant::Grant;
use crate::plugin::{Alone, AloneError, LoadError, Order, Reason};

/// What `chat-host plugin` is given.
#[derive(Debug, Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a plugin that builds and passes its tests
    New(new::NewArgs),
    /// Judges a component: would a host serve it, and what could it do
    Check(check::CheckArgs),
    /// Shows what a plugin would do with a message
    Run(run::RunArgs),
    /// Runs golden cases over a component
    Test(cases::TestArgs),
    /// Measures what a message costs, alone and in batches
    Bench(bench::BenchArgs),
    /// Lists the plugins of a running host and how they do
    List(live::ListArgs),
    /// Shows all about one plugin of a running host
    Show(live::NamedArgs),
    /// Tells what plugins say and what happens to them
    Logs(logs::LogsArgs),
    /// Loads a plugin, whatever its settings say; stays so over restarts
    Enable(live::NamedArgs),
    /// Takes a plugin out; stays so over restarts
    Disable(live::NamedArgs),
    /// Loads a plugin's files again now, also those that a rollback passed over
    Reload(live::NamedArgs),
    /// Serves the version before, until the file's content changes
    Rollback(live::NamedArgs),
    /// Puts a plugin into quarantine until it is released: what its failure means decides what passes
    Quarantine(live::NamedArgs),
    /// Ends a plugin's quarantine now
    Release(live::NamedArgs),
    /// What a plugin remembers: shown, exported, imported, deleted
    State(state::StateArgs),
}

/// Runs the tool.
#[must_use]
pub fn run(args: &PluginArgs) -> ExitCode {
    match &args.command {
        Command::New(args) => new::run(args),
        Command::Check(args) => check::run(args),
        Command::Run(args) => run::run(args),
        Command::Test(args) => cases::run(args),
        Command::Bench(args) => bench::run(args),
        Command::List(args) => live::list(args),
        Command::Show(args) => live::show(args),
        Command::Logs(args) => logs::run(args),
        Command::Enable(args) => live::order(args, Order::Enable),
        Command::Disable(args) => live::order(args, Order::Disable),
        Command::Reload(args) => live::order(args, Order::Reload),
        Command::Rollback(args) => live::order(args, Order::Rollback),
        Command::Quarantine(args) => live::order(args, Order::Quarantine),
        Command::Release(args) => live::order(args, Order::Release),
        Command::State(args) => state::run(args),
    }
}

/// Which plugin, under which settings.
#[derive(Debug, Args)]
struct Subject {
    /// The component, `NAME.wasm`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its settings, as in a `NAME.toml`; without this, those of the `NAME.toml` beside it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl Subject {
    /// Loads it as a host would, or says why not. It needs no grant, for it reaches nobody.
    fn load(&self) -> Result<Alone, ExitCode> {
        self.load_with(|own| {
            own.http.get_or_insert_default();
        })
    }

    /// As above, but what it may reach it reaches: these hosts, and those of its settings.
    fn load_to_ask(&self, hosts: &[Grant]) -> Result<Alone, ExitCode> {
        self.load_with(|own| {
            if !hosts.is_empty() {
                let granted = own.http.get_or_insert_default();
                granted.extend_from_slice(hosts);
            }
        })
    }

    fn load_with(&self, grant: impl FnOnce(&mut PluginConfig)) -> Result<Alone, ExitCode> {
        let mut own = self.settings().map_err(|words| {
            complain(&words);
            ExitCode::from(Exit::Usage)
        })?;
        grant(&mut own);
        Alone::load(&self.file, own).map_err(|error| {
            let here = match &error {
                AloneError::Load(LoadError {
                    reason: Reason::Ungranted { .. },
                    ..
                }) => ", or here with --http HOST",
                _ => "",
            };
            complain(&format!("{error}{here}"));
            match error {
                AloneError::File(..) => Exit::Usage,
                AloneError::Load(_) => Exit::Refused,
                AloneError::Here(_) => Exit::Failure,
            }
            .into()
        })
    }

    fn settings(&self) -> Result<PluginConfig, String> {
        let beside = self.file.with_extension("toml");
        let path: &Path = match &self.settings {
            Some(path) => path,
            None if beside.exists() => &beside,
            None => return Ok(PluginConfig::default()),
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        crate::config::file::parse_single(path, &name, &text)
    }
}
