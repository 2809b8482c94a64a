//! The command line: one file a subcommand. Each says how it ended with an exit code.

pub mod backup;
pub mod bench;
pub mod chat;
pub mod completions;
pub mod config;
pub mod dead_letters;
pub mod exit;
pub mod history;
pub mod plugin;
pub mod rooms;
pub mod send;
pub mod serve;
mod time_limit;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{Exit, complain};

use crate::plugin::Beside;

/// `-V`
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `--version`: what a bug report needs.
const FACTS: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("CHAT_HOST_COMMIT"),
    "\nbuilt by ",
    env!("CHAT_HOST_RUSTC"),
    "\nbuilt for ",
    env!("CHAT_HOST_TARGET"),
);

/// A chat server whose behaviour is extended by sandboxed WebAssembly components, and its client.
#[derive(Debug, Parser)]
#[command(
    name = "chat-host",
    version = VERSION,
    long_version = FACTS,
    after_help = exit::CODES,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server
    Serve(serve::ServeArgs),
    /// Chats in a room: full-screen on a terminal, line by line in a pipe
    Chat(chat::ChatArgs),
    /// Sends one message
    Send(send::SendArgs),
    /// Shows what was said in a room
    History(history::HistoryArgs),
    /// Lists the rooms
    Rooms(rooms::RoomsArgs),
    /// Loads a server and verifies every delivery: numbers, latencies, and a verdict
    Bench(bench::BenchArgs),
    /// Shows the settings in force and where each comes from, or checks a file
    Config(config::ConfigArgs),
    /// Copies a data folder consistently, also while a server runs on it
    Backup(backup::BackupArgs),
    /// Messages at which plugins failed: lists them, shows one, sends one again
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Tools for whoever writes a plugin
    Plugin(plugin::PluginArgs),
    /// Writes completions for a shell to stdout
    Completions(completions::CompletionsArgs),
    /// Compiles a component from stdin to stdout, for the server
    #[command(name = crate::plugin::COMPILE, hide = true)]
    CompilePlugin {
        /// The memory of an instance, for which the code is made
        memory_bytes: usize,
        /// On every processor: nobody is being served yet
        #[arg(long)]
        alone: bool,
    },
}

/// Runs what the command line of this process asks for.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Chat(args) => wait(chat::run(args)),
        Command::Send(args) => wait(send::run(args)),
        Command::History(args) => wait(history::run(args)),
        Command::Rooms(args) => wait(rooms::run(args)),
        Command::Bench(args) => wait(bench::run(args)),
        Command::Backup(args) => wait(backup::run(args)),
        Command::DeadLetters(args) => wait(dead_letters::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Plugin(args) => plugin::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::CompilePlugin {
            memory_bytes,
            alone,
        } => {
            let beside = match alone {
                true => Beside::Nobody,
                false => Beside::Members,
            };
            match crate::plugin::compile_stdin(memory_bytes, beside) {
                Ok(()) => Exit::Done.into(),
                Err(error) => {
                    complain(&format!("{error:#}"));
                    Exit::Failure.into()
                }
            }
        }
    }
}

/// Runs a client's command to its end.
fn wait(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // A read of stdin can't be taken back, and would hold the end up until somebody types.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            complain(&format!("the runtime does not start: {error}"));
            Exit::Failure.into()
        }
    }
}

/// Writes to stdout. A reader that has gone (`chat-host config | head -1`) is no failure.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("stdout can't be written: {error}"));
            Exit::Failure.into()
        }
        _ => Exit::Done.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
