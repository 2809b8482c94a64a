//! `chat-host rooms`: which rooms there are.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status};
use unicode_width::UnicodeWidthStr;

use super::exit::{Exit, complain};
use crate::client::address::Address;
use crate::client::clean::clean_line;
use crate::client::clock::rfc3339;
use crate::client::link::Server;
use crate::proto::v1::chat_client::ChatClient;
use crate::proto::v1::{ListRoomsRequest, Room};

/// The server's largest page.
const PAGE: u32 = 1000;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lists the rooms, by name.
#[derive(Debug, clap::Args)]
pub struct RoomsArgs {
    /// The server
    #[arg(
        long,
        short,
        default_value = "http://127.0.0.1:8081",
        env = "CHAT_SERVER",
        value_name = "URL"
    )]
    pub server: Address,
    /// A JSON object a room: `name` `topic` `members` `head` (the newest event's number) `created` `created_ms`
    #[arg(long)]
    pub json: bool,
}

/// Prints the rooms.
pub async fn run(args: RoomsArgs) -> ExitCode {
    let server = Server::at(args.server);
    let rooms = match rooms(server.client()).await {
        Ok(rooms) => rooms,
        Err(status) => {
            let status = server.explained(status);
            complain(status.message());
            return Exit::of(&status).into();
        }
    };
    let text = if args.json {
        objects(&rooms)
    } else {
        table(&rooms)
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("the output can't be written: {e}"));
            Exit::Failure.into()
        }
        _ => Exit::Done.into(),
    }
}

async fn rooms(mut client: ChatClient<Channel>) -> Result<Vec<Room>, Status> {
    let mut rooms: Vec<Room> = Vec::new();
    loop {
        let after = rooms.last().map(|r| r.name.clone()).unwrap_or_default();
        let page = timeout(
            PATIENCE,
            client.list_rooms(ListRoomsRequest { after, limit: PAGE }),
        )
        .await
        .map_err(|_| Status::deadline_exceeded("the server did not answer in time"))?
        .map(Response::into_inner)?;
        if page.rooms.is_empty() {
            return Ok(rooms);
        }
        rooms.extend(page.rooms);
    }
}

fn objects(rooms: &[Room]) -> String {
    let line = |room: &Room| {
        let object = json!({
            "name": room.name, "topic": room.topic, "members": room.members, "head": room.head,
            "created": rfc3339(room.created_ms), "created_ms": room.created_ms,
        });
        format!("{object}\n")
    };
    rooms.iter().map(line).collect()
}

fn table(rooms: &[Room]) -> String {
    let names: Vec<String> = rooms.iter().map(|r| clean_line(&r.name)).collect();
    let widest = names
        .iter()
        .map(|n| n.width())
        .chain([4])
        .max()
        .unwrap_or_default();
    let row = |name: &str, members: &str, events: &str, topic: &str| {
        // Korean letters are two columns wide, so the padding is counted in columns.
        let gap = " ".repeat(widest.saturating_sub(name.width()));
        format!(
            "{}\n",
            format!("{name}{gap}  {members:>7}  {events:>8}  {topic}").trim_end()
        )
    };
    let mut out = row("ROOM", "MEMBERS", "EVENTS", "TOPIC");
    for (room, name) in rooms.iter().zip(&names) {
        out += &row(
            name,
            &room.members.to_string(),
            &room.head.to_string(),
            &clean_line(&room.topic),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, topic: &str) -> Room {
        Room {
            name: name.into(),
            topic: topic.into(),
            members: 3,
            head: 1200,
            created_ms: 0,
        }
    }

    #[test]
    fn columns_stand_under_each_other_in_any_script() {
        let table = table(&[room("lobby", "tea\u{1b}[2J"), room("한국어", "")]);
        assert_eq!(
            table,
            "ROOM    MEMBERS    EVENTS  TOPIC\n\
             lobby         3      1200  tea�[2J\n\
             한국어        3      1200\n"
        );
    }
}
