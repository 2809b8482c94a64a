//! The view for pipes: a line a message out, a line a message in.
//!
//! Events go to standard output, the connection's state and trouble to standard error. At the end of the input it
//! waits, for a bounded time, until everything said is decided.

pub mod json;
pub mod line;
pub mod words;

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::change::{Change, State, Stop};
use super::clean::{clean_line, sendable};
use super::clock::Clock;
use super::live::Live;

/// A longer line is cut into several messages; far above what any server takes.
const LINE_BYTES: u64 = 1024 * 1024;

/// How events are written.
#[derive(Debug, Clone)]
pub enum Form {
    /// For people.
    Lines(Clock),
    /// An object a line, for programs; see [`json`].
    Json,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything said was decided, in whatever way.
    Done,
    /// So many messages were not decided in time.
    Unsent(usize),
    /// The session is over.
    Stopped(Stop),
}

/// Runs until the input ends or `quit` completes.
///
/// # Errors
/// When standard output can't be written; a reader that went away is an ordinary end.
pub async fn run(
    mut live: Live,
    form: &Form,
    linger: Duration,
    quit: impl Future<Output = ()>,
) -> io::Result<End> {
    let mut input = lines();
    let mut ended: Option<Instant> = None;
    tokio::pin!(quit);
    loop {
        if ended.is_some() && live.outbox().is_empty() {
            return Ok(End::Done);
        }
        tokio::select! {
            () = &mut quit => return Ok(end(&live)),
            () = passed(ended) => return Ok(end(&live)),
            changes = live.changes() => match changes {
                Ok(changes) => match show(form, &changes) {
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(end(&live)),
                    shown => shown?,
                },
                Err(stop) => return Ok(End::Stopped(stop)),
            },
            // A full outbox takes no more lines: the pipe's writer waits.
            line = input.recv(), if ended.is_none() && !live.outbox().is_full() => match line {
                Some(line) if line.trim() == "/quit" => ended = Some(Instant::now() + linger),
                Some(line) => {
                    let text = sendable(&line);
                    if !text.is_empty() {
                        // There is room: it was asked for above.
                        let _ = live.say(text);
                    }
                }
                None => ended = Some(Instant::now() + linger),
            },
        }
    }
}

fn end(live: &Live) -> End {
    match live.outbox().len() {
        0 => End::Done,
        unsent => End::Unsent(unsent),
    }
}

fn show(form: &Form, changes: &[Change]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for change in changes {
        match form {
            Form::Json => {
                if let Some(object) = json::change(change) {
                    writeln!(out, "{object}")?;
                }
            }
            Form::Lines(clock) => {
                if let Some(line) = line::change(change, clock) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        if let Some(state) = state(change) {
            // Nobody may be reading this; the conversation goes on.
            let _ = writeln!(io::stderr(), "chat-host: {state}");
        }
    }
    out.flush()
}

/// What is said about the connection.
fn state(change: &Change) -> Option<String> {
    match change {
        Change::State(State::Waiting { delay, why }) => Some(format!(
            "not connected: {}; trying again in {:.1} s",
            clean_line(why),
            delay.as_secs_f64()
        )),
        Change::Joined(joined) => Some(format!("in #{}", clean_line(&joined.room))),
        Change::Note(note) => Some(clean_line(note)),
        _ => None,
    }
}

async fn passed(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The lines of standard input, until its end. On a thread of its own, for nothing else can wait for a terminal's
/// line and yet let the program end meanwhile. Holds a few lines: a faster writer waits.
fn lines() -> mpsc::Receiver<String> {
    let (lines, taken) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match (&mut input).take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if lines
                .blocking_send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    taken
}
