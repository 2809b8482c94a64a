//! `chat-host dead-letters`: messages at which plugins failed, on a host that runs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::exit::{Exit, complain};
use crate::client::clean::{clean, clean_line};
use crate::client::clock::{Clock, rfc3339};
use crate::control::dead_letters::{Answer, Failure, Letter, Request};
use crate::control::{self, Answer as Said};

/// How much of a text is shown in a list.
const HEAD: usize = 40;

/// What `chat-host dead-letters` is given.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    /// The data folder of the server
    #[arg(long, value_name = "DIR", env = "CHAT_HOST_DATA", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the newest, newest first
    List {
        /// At most so many
        #[arg(long, short = 'l', default_value_t = 100, value_name = "N",
              value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// A JSON object a letter
        #[arg(long)]
        json: bool,
    },
    /// Shows one: the message, who failed at it, and what became of it
    Show {
        /// As in the list, or the message's ULID
        #[arg(value_name = "ID")]
        id: String,
        /// A JSON object
        #[arg(long)]
        json: bool,
    },
    /// Sends a message that was kept back again, as its sender, through the plugins as they are now; once
    Retry {
        /// As in the list, or the message's ULID
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Forgets all of them
    Clear,
}

/// Asks the host, and prints what it says.
pub async fn run(args: DeadLettersArgs) -> ExitCode {
    let Some(data) = args
        .data
        .or_else(|| crate::config::variables::Variables::of_process().data_home())
    else {
        complain("there is no home folder to find the data in; name it with --data");
        return Exit::Usage.into();
    };
    let (request, as_json) = match args.command {
        Command::List { limit, json } => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            (Request::List { limit }, json)
        }
        Command::Show { id, json } => (Request::Show { id }, json),
        Command::Retry { id } => (Request::Retry { id }, false),
        Command::Clear => (Request::Clear, false),
    };
    match control::ask(&data, &control::Request::DeadLetters(request)).await {
        Ok(Some(Said::DeadLetters(answer))) => tell(answer, as_json),
        Ok(Some(Said::Failed(reason))) => {
            complain(&reason);
            Exit::Failure.into()
        }
        Ok(Some(_)) => {
            complain("the server answered something else; is it of another version?");
            Exit::Failure.into()
        }
        Ok(None) => {
            complain(&format!(
                "no server runs on {}; start it, or name its data folder with --data (one with --memory can't be asked)",
                data.display()
            ));
            Exit::Unreachable.into()
        }
        Err(error) => {
            complain(&format!("the server does not answer: {error}"));
            Exit::Failure.into()
        }
    }
}

fn tell(answer: Answer, as_json: bool) -> ExitCode {
    match answer {
        Answer::Letters(letters) if as_json => super::print(&objects(&letters)),
        Answer::Letters(letters) if letters.is_empty() => super::print("no dead letters\n"),
        Answer::Letters(letters) => super::print(&table(&letters, &Clock::local().dated())),
        Answer::Letter(letter) if as_json => super::print(&objects(std::slice::from_ref(&*letter))),
        Answer::Letter(letter) => super::print(&page(&letter, &Clock::local().dated())),
        Answer::Retried {
            outcome,
            reason,
            before,
        } => {
            let when = if before {
                "was sent again before: "
            } else {
                ""
            };
            let done = matches!(outcome.as_str(), "delivered" | "handled");
            if done {
                return super::print(&format!("{when}{outcome}\n"));
            }
            complain(&format!("{when}{outcome}: {reason}"));
            Exit::Refused.into()
        }
        Answer::Cleared(letters) => super::print(&format!("{letters} dead letters cleared\n")),
        Answer::Refused(reason) => {
            complain(&reason);
            Exit::Refused.into()
        }
    }
}

fn objects(letters: &[Letter]) -> String {
    let mut out = String::new();
    for letter in letters {
        if let Ok(serde_json::Value::Object(mut object)) = serde_json::to_value(letter) {
            object.insert("time".into(), rfc3339(letter.time_ms).into());
            let _ = writeln!(out, "{}", serde_json::Value::Object(object));
        }
    }
    out
}

fn table(letters: &[Letter], clock: &Clock) -> String {
    let row = |id: &str, time: &str, outcome: &str, failed: &str, rest: &str| {
        format!("{id:<10}  {time:<19}  {outcome:<10}  {failed:<30}  {rest}\n")
    };
    let mut out = row("ID", "TIME", "OUTCOME", "FAILED", "ROOM SENDER: TEXT");
    for letter in letters {
        let failed: Vec<String> = letter
            .failures
            .iter()
            .map(|failure| format!("{} ({})", failure.plugin, failure.blame))
            .collect();
        let outcome = match &letter.retried {
            Some(again) => format!("{}*", again.outcome),
            None => letter.outcome.clone(),
        };
        let head: String = letter.text.chars().take(HEAD).collect();
        let more = if head.len() < letter.text.len() {
            "…"
        } else {
            ""
        };
        let rest = clean_line(&format!("#{} {}: {head}{more}", letter.room, letter.sender));
        let time = clock.seconds(letter.time_ms);
        out += &row(&letter.id, &time, &outcome, &failed.join(", "), &rest);
    }
    if letters.iter().any(|letter| letter.retried.is_some()) {
        out += "* what became of it when it was sent again\n";
    }
    out
}

fn page(letter: &Letter, clock: &Clock) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<10}{}", clean_line(value));
        }
    };
    line("id", &letter.id);
    line("message", &letter.message);
    line("time", &clock.seconds(letter.time_ms));
    line("room", &letter.room);
    line("sender", &letter.sender);
    line(
        "position",
        &format!("partition {}, offset {}", letter.partition, letter.offset),
    );
    line("outcome", &letter.outcome);
    line("reason", &letter.reason);
    for failure in &letter.failures {
        line("failed", &failed(failure));
        for written in failure.output.lines() {
            line("", &format!("  {written}"));
        }
    }
    if let Some(again) = &letter.retried {
        line("again", &format!("{} as {}", again.outcome, again.message));
        line("reason", &again.reason);
    }
    let _ = writeln!(out, "\n{}", clean(&letter.text));
    out
}

/// A failure in words: `flood 1.0.0 in moderation: trap: … (on-failure: withhold)`.
fn failed(failure: &Failure) -> String {
    let mut words = failure.plugin.clone();
    for (before, word) in [(" ", &failure.version), (" in ", &failure.role)] {
        if !word.is_empty() {
            words += before;
            words += word;
        }
    }
    format!(
        "{words}: {}: {} (on-failure: {})",
        failure.blame, failure.detail, failure.policy
    )
}
