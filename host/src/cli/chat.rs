//! `chat-host chat`: a person in a room, on a terminal or in a pipe.

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, complain, name_taken};
use super::time_limit::time_limit;
use crate::client::address::Address;
use crate::client::change::Stop;
use crate::client::clock::Clock;
use crate::client::link::Server;
use crate::client::live::Live;
use crate::client::plain::{self, End, Form};
use crate::client::screen::{self, KEYS};
use crate::client::session::Who;
use crate::client::tokens::{Tokens, Visit};

/// Chats in a room: full-screen on a terminal, line by line in a pipe.
#[derive(Debug, clap::Args)]
#[command(after_help = KEYS)]
pub struct ChatArgs {
    /// Your name: 1 to 64 letters of any script, digits, `-`, `_` or `.`
    #[arg(long, short, env = "CHAT_NAME")]
    pub name: String,
    /// The room; it is made where it is missing
    #[arg(long, short, default_value = "lobby", env = "CHAT_ROOM")]
    pub room: String,
    /// The server
    #[arg(
        long,
        short,
        default_value = "http://127.0.0.1:8081",
        env = "CHAT_SERVER",
        value_name = "URL"
    )]
    pub server: Address,
    /// A line a message also on a terminal; so it is, too, where TERM is `dumb` or the terminal tells no size
    #[arg(long)]
    pub plain: bool,
    /// A JSON object an event, for programs
    #[arg(long)]
    pub json: bool,
    /// Begin with so many of the newest messages (at most 1000) [default: 100 full-screen, 20 with --plain on a
    /// terminal, 0 in a pipe]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub last: Option<u32>,
    /// How long to wait, at the end of a pipe, for the server and for what is not yet decided, e.g. 30s
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = time_limit)]
    pub timeout: Duration,
}

/// Runs until the person leaves.
pub async fn run(args: ChatArgs) -> ExitCode {
    chat(args).await.into()
}

async fn chat(args: ChatArgs) -> Exit {
    let quit = match asked_to_end() {
        Ok(quit) => quit,
        Err(e) => {
            complain(&format!("can't listen for signals: {e}"));
            return Exit::Failure;
        }
    };
    let (on_input, on_output) = (
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
    );
    let full_screen =
        on_input && on_output && !args.plain && !args.json && screen::terminal::is_usable();
    let usual = match (full_screen, on_output && !args.json) {
        (true, _) => 100,
        (false, true) => 20,
        (false, false) => 0,
    };
    let tokens = Tokens::of_this_person(&args.server);
    let who = Who {
        name: args.name.clone(),
        visit: Visit::default(),
        room: args.room.clone(),
        last: args.last.unwrap_or(usual),
    };
    let server = Server::at(args.server.clone());
    let live = Live::new(server.clone(), who, tokens.clone());
    let ended = if full_screen {
        screen::run(live, server, &args.name, &args.room, quit).await
    } else {
        let form = if args.json {
            Form::Json
        } else {
            Form::Lines(Clock::local())
        };
        plain::run(live, &form, args.timeout, quit).await
    };
    match ended {
        Ok(End::Done) => Exit::Done,
        Ok(End::Unsent(unsent)) => {
            complain(&format!(
                "the server has not confirmed {unsent} of your messages; they may be lost"
            ));
            Exit::Unreachable
        }
        Ok(End::Refused(refused)) => {
            let were = if refused == 1 { "was" } else { "were" };
            complain(&format!(
                "{refused} of your messages {were} withheld or refused"
            ));
            Exit::Refused
        }
        Ok(End::Unreached) => {
            complain(&format!(
                "{} was not reached in time; --timeout sets how long to wait",
                args.server
            ));
            Exit::Unreachable
        }
        Ok(End::Stopped(Stop::NameTaken(words))) => {
            // One that was made just now is forgotten again.
            let was_ours = tokens
                .as_ref()
                .is_some_and(|t| t.read(&args.name).is_some());
            let folder = tokens.as_ref().map(Tokens::folder);
            complain(&name_taken(&args.name, &words, was_ours, folder));
            Exit::NameTaken
        }
        Ok(End::Stopped(Stop::Refused(words))) => {
            complain(&words);
            Exit::Refused
        }
        Err(e) => {
            complain(&format!("the terminal or pipe does not work: {e}"));
            Exit::Failure
        }
    }
}

/// Completes when the system asks the program to end. A hang-up ends it at once, as it does by default: there is no
/// terminal to put in order any more, and reading one that is gone may never return (crossterm).
fn asked_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
