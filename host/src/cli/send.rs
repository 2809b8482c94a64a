//! `chat-host send`: one message, for scripts.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status};

use super::exit::{Exit, complain, name_taken};
use crate::client::backoff::Backoff;
use crate::client::clean::sendable;
use crate::client::link;
use crate::client::live::client_id;
use crate::client::tokens::Tokens;
use crate::proto::v1::{Result as Outcome, SendRequest, SendResponse};

/// Far above what any server takes.
const INPUT_BYTES: u64 = 16 * 1024 * 1024;

/// Sends one message. Ends with 0 when the server has acknowledged it, and prints its id.
#[derive(Debug, clap::Args)]
pub struct SendArgs {
    /// Your name: 1 to 64 letters of any script, digits, `-`, `_` or `.`
    #[arg(long, short, env = "CHAT_NAME")]
    pub name: String,
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
    pub server: String,
    /// The message's own id (1 to 64 bytes): sent again under the same id within 24 hours it arrives once
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Wait until it is decided; ends with 3 if it is withheld
    #[arg(long)]
    pub wait: bool,
    /// How long to try, e.g. 10s
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub timeout: SignedDuration,
    /// The text; `-` reads it from standard input
    pub text: String,
}

/// Sends it, and again while the server can't be reached.
pub async fn run(args: SendArgs) -> ExitCode {
    send(args).await.into()
}

async fn send(args: SendArgs) -> Exit {
    let text = match text(&args.text) {
        Ok(text) if text.is_empty() => {
            complain("there is no text to send");
            return Exit::Usage;
        }
        Ok(text) => text,
        Err(e) => {
            complain(&format!("standard input can't be read: {e}"));
            return Exit::Failure;
        }
    };
    let channel = match link::channel(&args.server) {
        Ok(channel) => channel,
        Err(words) => {
            complain(&words);
            return Exit::Usage;
        }
    };
    let tokens = Tokens::of_this_person(&args.server);
    let request = SendRequest {
        name: args.name.clone(),
        token: tokens
            .as_ref()
            .and_then(|t| t.read(&args.name))
            .unwrap_or_default()
            .token,
        room: args.room,
        text,
        client_id: args.client_id.unwrap_or_else(client_id),
        wait: args.wait,
    };
    let limit = Duration::try_from(args.timeout).unwrap_or_default();
    let answer = attempts(link::client(channel), request, Instant::now() + limit).await;
    match answer {
        Ok(response) => {
            if let Some(tokens) = tokens.as_ref().filter(|_| !response.token.is_empty())
                && let Err(e) = tokens.write_token(&args.name, &response.token)
            {
                complain(&format!(
                    "the proof that `{}` is your name can't be kept in {} ({e})",
                    args.name,
                    tokens.folder().display()
                ));
            }
            report(&response)
        }
        Err(status) => {
            let exit = Exit::of(&status);
            let words = link::words(&status);
            if exit == Exit::NameTaken {
                let file = tokens.map(|t| t.file(&args.name));
                complain(&name_taken(&args.name, &words, file.as_deref()));
            } else {
                complain(&words);
            }
            exit
        }
    }
}

/// Tries until there is an answer that another attempt would not change, or time is up.
async fn attempts(
    mut client: crate::proto::v1::chat_client::ChatClient<tonic::transport::Channel>,
    mut request: SendRequest,
    until: Instant,
) -> Result<SendResponse, Status> {
    let mut backoff = Backoff::new(rand::random());
    let mut token_dropped = request.token.is_empty();
    loop {
        let attempt = timeout_at(until, client.send(request.clone())).await;
        let answer = attempt
            .map_err(|_| {
                Status::deadline_exceeded(
                    "the server did not answer in time; the message may still arrive",
                )
            })?
            .map(tonic::Response::into_inner);
        let again = match &answer {
            Ok(response) => response
                .decided
                .as_ref()
                .is_some_and(|d| d.result() == Outcome::SendAgain),
            Err(status) if status.code() == Code::Unauthenticated && !token_dropped => {
                // The server no longer knows our token, for it began anew: the name may be free.
                token_dropped = true;
                request.token.clear();
                true
            }
            Err(status) => matches!(
                status.code(),
                Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::Cancelled
            ),
        };
        let wait = backoff.wait(Duration::ZERO);
        if !again || Instant::now() + wait >= until {
            return answer;
        }
        sleep(wait).await;
    }
}

fn report(response: &SendResponse) -> Exit {
    let id = response.acknowledged.as_ref().map_or("", |a| a.id.as_str());
    let (line, exit) = match &response.decided {
        None => (id.to_owned(), Exit::Done),
        Some(decided) => match decided.result() {
            Outcome::Withheld => {
                complain(&format!("withheld: {}", decided.reason));
                return Exit::Refused;
            }
            Outcome::SendAgain => {
                complain(
                    "the server could not take it in time; send it again with the same --client-id",
                );
                return Exit::Unreachable;
            }
            Outcome::Delivered => (format!("{id} delivered {}", decided.sequence), Exit::Done),
            Outcome::Handled | Outcome::Unspecified => (format!("{id} handled"), Exit::Done),
        },
    };
    // Nobody may be reading; the exit code tells it too.
    let _ = writeln!(std::io::stdout(), "{line}");
    exit
}

fn text(argument: &str) -> std::io::Result<String> {
    if argument != "-" {
        return Ok(sendable(argument));
    }
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(INPUT_BYTES)
        .read_to_end(&mut input)?;
    Ok(sendable(&String::from_utf8_lossy(&input)))
}
