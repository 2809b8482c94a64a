//! `chat-host plugin state`: what a plugin remembers on a running host, shown, exported, imported and deleted.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::super::exit::{Exit, complain};
use super::super::{print, wait};
use super::live::{Host, nobody};
use super::state_file::{self, Head, OfRoom, Writer};
use super::words::size;
use crate::client::clean::clean_line;
use crate::control::plugin_state::{Answer, Memory, Piece, Request};
use crate::control::{self, Answer as Said};

/// How often a piece is sent whose fate is not known, and the wait in between.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(500);

/// What `chat-host plugin state` is given.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// In which rooms it remembers how much
    Show(Place),
    /// Writes down all that it remembers
    Export {
        #[command(flatten)]
        place: Place,
        /// A file that is not there yet; without it, stdout
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Makes it remember what an export wrote down
    Import {
        /// The plugin
        #[arg(value_name = "NAME")]
        name: String,
        /// What an export wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// First forgets all that is there in the rooms of the file
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        host: Host,
    },
    /// Makes it forget all, and removes its timers
    Delete {
        #[command(flatten)]
        place: Place,
        /// Does it; without this, what would be deleted is shown
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// The plugin
    #[arg(value_name = "NAME")]
    name: String,
    /// In this room alone
    #[arg(long, short, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    host: Host,
}

pub(super) fn run(args: &StateArgs) -> ExitCode {
    let host = match &args.command {
        Command::Show(place) | Command::Export { place, .. } | Command::Delete { place, .. } => {
            &place.host
        }
        Command::Import { host, .. } => host,
    };
    let data = match host.data() {
        Ok(data) => data,
        Err(code) => return code,
    };
    wait(async {
        match carry_out(&args.command, &data).await {
            Ok(text) => print(&text),
            Err((exit, words)) => {
                complain(&words);
                exit.into()
            }
        }
    })
}

type Refusal = (Exit, String);

async fn carry_out(command: &Command, data: &Path) -> Result<String, Refusal> {
    match command {
        Command::Show(place) => show(place, data).await,
        Command::Export { place, file } => export(place, file.as_ref(), data).await,
        Command::Import {
            name,
            file,
            replace,
            host,
        } => {
            let rooms = import(name, file, *replace, data).await?;
            said(
                host,
                &json!({ "rooms": rooms }),
                format!("{rooms} rooms imported"),
            )
        }
        Command::Delete { place, yes } => delete(place, *yes, data).await,
    }
}

async fn show(place: &Place, data: &Path) -> Result<String, Refusal> {
    let memories = memories(place, data).await?;
    if !place.host.json {
        return Ok(table(&memories));
    }
    said(&place.host, &memories, String::new())
}

/// A line: an object where that is asked for, else the words.
fn said(host: &Host, object: &impl serde::Serialize, words: String) -> Result<String, Refusal> {
    let mut text = match host.json {
        true => serde_json::to_string(object).map_err(failure)?,
        false => words,
    };
    text.push('\n');
    Ok(text)
}

async fn export(place: &Place, file: Option<&PathBuf>, data: &Path) -> Result<String, Refusal> {
    let mut rooms = memories(place, data).await?;
    rooms.retain(|memory| memory.entries > 0);
    let head = Head::now(&place.name, rooms.len());
    let mut writer = Writer::new(file, &head).map_err(failure)?;
    for memory in &rooms {
        let request = Request::Export {
            plugin: place.name.clone(),
            room: memory.room.clone(),
        };
        match ask(data, request).await? {
            Answer::Contents(contents) => {
                writer.room(&memory.room, contents).map_err(failure)?;
            }
            other => return Err(other_than_expected(other)),
        }
    }
    writer.end().map_err(failure)?;
    Ok(String::new())
}

/// How many rooms were imported.
async fn import(name: &str, file: &PathBuf, replace: bool, data: &Path) -> Result<u64, Refusal> {
    let usage = |words: String| (Exit::Usage, format!("{}: {words}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| usage(error.to_string()))?;
    let rooms = state_file::read(name, &text).map_err(usage)?;
    let import = rand::random();
    let (mut done, mut refused) = (0, Vec::new());
    for room in rooms {
        let words = format!("#{}", room.room);
        match import_room(name, import, room, replace, data).await {
            Ok(()) => done += 1,
            // What is wrong with one room says nothing of the others.
            Err((Exit::Refused, reason)) => refused.push(format!("{words}: {reason}")),
            Err(other) => return Err(other),
        }
    }
    if refused.is_empty() {
        return Ok(done);
    }
    refused.push(format!("{done} other rooms are imported"));
    Err((Exit::Refused, refused.join("\n")))
}

async fn import_room(
    name: &str,
    import: u128,
    room: OfRoom,
    replace: bool,
    data: &Path,
) -> Result<(), Refusal> {
    let layout = room.layout;
    let of = room.room.clone();
    let pieces = room.pieces();
    let last = pieces.len().saturating_sub(1);
    for (number, entries) in pieces.into_iter().enumerate() {
        let piece = Piece {
            plugin: name.to_owned(),
            room: of.clone(),
            import,
            piece: u32::try_from(number).unwrap_or(u32::MAX),
            last: number == last,
            replace,
            layout,
            entries,
        };
        take(data, piece).await?;
    }
    Ok(())
}

/// Sends a piece until it is known what became of it.
async fn take(data: &Path, piece: Piece) -> Result<(), Refusal> {
    let mut last = (Exit::Failure, String::new());
    for _ in 0..TRIES {
        match ask(data, Request::Import(piece.clone())).await {
            Ok(Answer::Done) => return Ok(()),
            Ok(Answer::Unknown(reason)) => last = (Exit::Unreachable, reason),
            Ok(other) => return Err(other_than_expected(other)),
            Err((Exit::Usage, words)) => return Err((Exit::Usage, words)),
            Err(other) => last = other,
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Err(last)
}

async fn delete(place: &Place, yes: bool, data: &Path) -> Result<String, Refusal> {
    let there = memories(place, data).await?;
    let sum = |of: fn(&Memory) -> u64| there.iter().map(of).sum::<u64>();
    let (entries, timers) = (sum(|memory| memory.entries), sum(|memory| memory.timers));
    let (name, rooms) = (&place.name, there.len());
    let what = format!("{entries} entries and {timers} timers of `{name}` in {rooms} rooms");
    if !yes {
        let words = format!("this would delete {what}; with --yes it does");
        return Err((Exit::Usage, words));
    }
    let request = Request::Delete {
        plugin: place.name.clone(),
        room: place.room.clone(),
    };
    match ask(data, request).await? {
        Answer::Done => {
            let object = json!({ "rooms": rooms, "entries": entries, "timers": timers });
            said(&place.host, &object, format!("deleted: {what}"))
        }
        other => Err(other_than_expected(other)),
    }
}

async fn memories(place: &Place, data: &Path) -> Result<Vec<Memory>, Refusal> {
    let request = Request::Show {
        plugin: place.name.clone(),
        room: place.room.clone(),
    };
    match ask(data, request).await? {
        Answer::Memories(memories) => Ok(memories),
        other => Err(other_than_expected(other)),
    }
}

async fn ask(data: &Path, request: Request) -> Result<Answer, Refusal> {
    match control::ask(data, &control::Request::PluginState(request)).await {
        Ok(Some(Said::PluginState(answer))) => Ok(answer),
        Ok(Some(Said::Failed(reason))) => Err((Exit::Failure, reason)),
        Ok(Some(_)) => Err((
            Exit::Failure,
            "the server answered something else; is it of another version?".into(),
        )),
        Ok(None) => Err((Exit::Unreachable, nobody(data))),
        Err(error) => Err((
            Exit::Failure,
            format!("the server does not answer: {error}"),
        )),
    }
}

fn other_than_expected(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(reason) => (Exit::Refused, reason),
        Answer::Unknown(reason) => (Exit::Unreachable, reason),
        _ => (Exit::Failure, "the server answered something else".into()),
    }
}

fn failure(error: impl std::fmt::Display) -> Refusal {
    (Exit::Failure, error.to_string())
}

fn table(memories: &[Memory]) -> String {
    let width = memories
        .iter()
        .map(|memory| memory.room.chars().count() + 1)
        .max()
        .unwrap_or(0)
        .max("ROOM".len());
    let mut text = format!(
        "{:<width$}  {:>7}  {:>9}  {:>6}  {:>6}\n",
        "ROOM", "ENTRIES", "BYTES", "LAYOUT", "TIMERS"
    );
    for memory in memories {
        let _ = writeln!(
            text,
            "{:<width$}  {:>7}  {:>9}  {:>6}  {:>6}",
            clean_line(&format!("#{}", memory.room)),
            memory.entries,
            size(memory.bytes),
            memory.layout,
            memory.timers
        );
    }
    text
}
