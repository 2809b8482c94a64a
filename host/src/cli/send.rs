//! `chat-host send`: one message, for scripts.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status};

use super::exit::{Exit, complain, name_taken};
use super::time_limit::time_limit;
use crate::client::address::Address;
use crate::client::backoff::Backoff;
use crate::client::link::Server;
use crate::client::live::client_id;
use crate::client::own::{Entered, LONE_SLASH, entered};
use crate::client::tokens::{self, Tokens};
use crate::proto::v1::{Decided, Result as Outcome, SendRequest, SendResponse};

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
    pub server: Address,
    /// The message's own id (1 to 64 bytes): sent again under the same id within 24 hours it arrives once
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Wait until it is decided; ends with 3 if it is withheld
    #[arg(long)]
    pub wait: bool,
    /// How long to try, e.g. 10s
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time_limit)]
    pub timeout: Duration,
    /// The text, which is sent as it is; `-` reads it from standard input, without the line break at its end
    pub text: String,
}

/// Sends it, and again while the server can't be reached.
pub async fn run(args: SendArgs) -> ExitCode {
    send(args).await.into()
}

async fn send(args: SendArgs) -> Exit {
    let text = match text(&args.text) {
        Ok(text) => text,
        Err(e) => {
            complain(&format!("standard input can't be read: {e}"));
            return Exit::Failure;
        }
    };
    match entered(&text) {
        Entered::Nothing => {
            complain("there is no text to send");
            return Exit::Usage;
        }
        Entered::LoneSlash => {
            complain(LONE_SLASH);
            return Exit::Usage;
        }
        Entered::Quit | Entered::Keys | Entered::Message => {}
    }
    let tokens = Tokens::of_this_person(&args.server);
    let (proof, trouble) = tokens::proof(tokens.as_ref(), &args.name);
    if let Some(words) = trouble {
        complain(&words);
    }
    let request = SendRequest {
        name: args.name.clone(),
        token: proof.visit.token.clone(),
        room: args.room,
        text,
        // Only the decision tells that an id was used before.
        wait: args.wait || args.client_id.is_some(),
        client_id: args.client_id.unwrap_or_else(client_id),
    };
    let server = Server::at(args.server);
    let status = match attempts(&server, request, Instant::now() + args.timeout).await {
        Ok(response) => return report(&response, args.wait),
        Err(status) => status,
    };
    let exit = Exit::of(&status);
    if exit == Exit::NameTaken {
        let folder = tokens.as_ref().map(Tokens::folder);
        complain(&name_taken(
            &args.name,
            status.message(),
            !proof.new,
            folder,
        ));
        if let Some(tokens) = tokens.filter(|_| proof.new) {
            tokens.forget(&args.name, &proof.visit.token);
        }
    } else {
        complain(status.message());
    }
    exit
}

/// Tries until there is an answer that another attempt would not change, or time is up.
async fn attempts(
    server: &Server,
    request: SendRequest,
    until: Instant,
) -> Result<SendResponse, Status> {
    let mut client = server.client();
    let mut backoff = Backoff::new(rand::random());
    loop {
        let attempt = timeout_at(until, client.send(request.clone())).await;
        let answer = attempt
            .map_err(|_| {
                Status::deadline_exceeded(format!(
                    "{} did not answer in time; the message may still arrive",
                    server.address()
                ))
            })?
            .map(tonic::Response::into_inner)
            .map_err(|status| server.explained(status));
        let asked = answer.as_ref().err().and_then(push_back);
        let again = match &answer {
            Ok(response) => response
                .decided
                .as_ref()
                .is_some_and(|d| d.result() == Outcome::SendAgain),
            Err(status) => {
                asked.is_some()
                    || matches!(
                        status.code(),
                        Code::Unavailable | Code::Aborted | Code::Cancelled
                    )
            }
        };
        let wait = backoff.wait(asked.unwrap_or_default());
        if !again || Instant::now() + wait >= until {
            return answer;
        }
        sleep(wait).await;
    }
}

/// When the server wants to be asked again, if it does.
fn push_back(status: &Status) -> Option<Duration> {
    let wait_ms = status.metadata().get("grpc-retry-pushback-ms")?;
    Some(Duration::from_millis(wait_ms.to_str().ok()?.parse().ok()?))
}

/// Prints what became of it; without `wait` that is its acknowledgement.
fn report(response: &SendResponse, wait: bool) -> Exit {
    let line = match &response.decided {
        Some(decided) if wait || decided.result() == Outcome::SendAgain => match outcome(decided) {
            Ok(line) => line,
            Err((words, exit)) => {
                complain(&words);
                return exit;
            }
        },
        Some(decided) if decided.repeat => format!("{} was sent already", decided.id),
        _ => {
            let acknowledged = response.acknowledged.as_ref();
            acknowledged.map(|a| a.id.clone()).unwrap_or_default()
        }
    };
    // Nobody may be reading; the exit code tells it too.
    let _ = writeln!(std::io::stdout(), "{line}");
    Exit::Done
}

/// What became of it, as a line; or what went wrong.
fn outcome(decided: &Decided) -> Result<String, (String, Exit)> {
    let already = if decided.repeat {
        " was sent already:"
    } else {
        ""
    };
    let id = &decided.id;
    match decided.result() {
        Outcome::Delivered => Ok(format!("{id}{already} delivered {}", decided.sequence)),
        Outcome::Handled | Outcome::Unspecified => Ok(format!("{id}{already} handled")),
        Outcome::Withheld if decided.repeat => Err((
            format!("{id} was sent already, and withheld: {}", decided.reason),
            Exit::Refused,
        )),
        Outcome::Withheld => Err((format!("withheld: {}", decided.reason), Exit::Refused)),
        Outcome::SendAgain => Err((
            "the server could not take it in time; send it again with the same --client-id".into(),
            Exit::Unreachable,
        )),
    }
}

fn text(argument: &str) -> std::io::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut input = String::new();
    std::io::stdin()
        .lock()
        .take(INPUT_BYTES)
        .read_to_string(&mut input)?;
    let text = input.trim_end_matches(['\n', '\r']);
    Ok(text.to_owned())
}
