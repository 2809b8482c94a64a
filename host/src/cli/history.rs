//! `chat-host history`: what was said in a room.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::exit::{Exit, complain};
use crate::client::address::Address;
use crate::client::clock::Clock;
use crate::client::link::Server;
use crate::client::plain::{json, line};
use crate::proto::v1::chat_client::ChatClient;
use crate::proto::v1::{HistoryRequest, RoomEvent};

/// The server's largest page.
const PAGE: u32 = 1000;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints a room's history, oldest first, each event with its number.
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// The room
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
    /// At most so many events
    #[arg(long, short = 'l', default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Only events before this number
    #[arg(long, value_name = "NUMBER", conflicts_with = "after")]
    pub before: Option<u64>,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// A JSON object an event; its `sequence` is the number
    #[arg(long)]
    pub json: bool,
}

/// Prints the history.
pub async fn run(args: HistoryArgs) -> ExitCode {
    let server = Server::at(args.server.clone());
    match events(server.client(), &args).await {
        Ok(events) => print(&events, args.json).into(),
        Err(status) => {
            let status = server.explained(status);
            complain(&words(&status, &args));
            Exit::of(&status).into()
        }
    }
}

/// Page by page, in rising order.
async fn events(
    mut client: ChatClient<Channel>,
    args: &HistoryArgs,
) -> Result<Vec<RoomEvent>, Status> {
    let mut events: Vec<RoomEvent> = Vec::new();
    let (mut before, mut after) = (args.before, args.after);
    loop {
        let have = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let limit = args.limit.saturating_sub(have).min(PAGE);
        if limit == 0 {
            return Ok(events);
        }
        let request = HistoryRequest {
            room: args.room.clone(),
            after,
            before,
            limit,
        };
        let page = timeout(PATIENCE, client.history(request))
            .await
            .map_err(|_| Status::deadline_exceeded("the server did not answer in time"))?
            .map(Response::into_inner)?;
        let (Some(first), Some(last)) = (page.events.first(), page.events.last()) else {
            return Ok(events);
        };
        let end = if after.is_some() {
            last.sequence >= page.head
        } else {
            first.sequence <= page.oldest
        };
        if after.is_some() {
            after = Some(last.sequence);
            events.extend(page.events);
        } else {
            before = Some(first.sequence);
            events.splice(0..0, page.events);
        }
        // To ask beyond either end would be refused.
        if end {
            return Ok(events);
        }
    }
}

/// The server says what the room holds; which number was asked for is ours to say.
fn words(status: &Status, args: &HistoryArgs) -> String {
    let words = status.message();
    match (status.code(), args.before, args.after) {
        (Code::OutOfRange, Some(before), _) => {
            format!("`--before {before}` is out of range: {words}")
        }
        (Code::OutOfRange, _, Some(after)) => {
            format!("what comes after {after} is not there: {words}")
        }
        _ => words.to_owned(),
    }
}

fn print(events: &[RoomEvent], as_json: bool) -> Exit {
    let clock = Clock::local().dated();
    let digits = events
        .last()
        .map_or(0, |event| event.sequence.to_string().len());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for event in events {
        let line = if as_json {
            json::said(event, None).map(|object| object.to_string())
        } else {
            line::said(event, false, &clock)
                .map(|line| format!("{:>digits$} {line}", event.sequence))
        };
        let Some(line) = line else { continue };
        if writeln!(out, "{line}").is_err() {
            // The reader has had enough.
            return Exit::Done;
        }
    }
    match out.flush() {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("the output can't be written: {e}"));
            Exit::Failure
        }
        _ => Exit::Done,
    }
}
