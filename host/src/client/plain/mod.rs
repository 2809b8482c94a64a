//! The view for pipes: a line a message out, a line a message in.
//!
//! Events go to standard output, the connection's state and trouble to standard error. A line is sent as it is. At the
//! end of the input it waits, for a bounded time, until everything said is decided.

pub mod json;
pub mod line;
pub mod words;

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::change::{Change, State, Stop};
use super::clean::clean_line;
use super::clock::Clock;
use super::live::Live;
use super::own::{Entered, LONE_SLASH, entered};

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
    /// Everything said was decided, and nothing was refused.
    Done,
    /// So many messages were not decided in time.
    Unsent(usize),
    /// Everything said was decided; so many messages were withheld or not taken.
    Refused(usize),
    /// The room was not reached in time.
    Unreached,
    /// The session is over.
    Stopped(Stop),
}

/// How far it came.
#[derive(Debug, Default)]
struct Progress {
    /// The newest event when we came in; none before that.
    head: Option<u64>,
    /// The newest event that was shown.
    seen: u64,
    refused: usize,
}

impl Progress {
    fn take(&mut self, change: &Change) {
        match change {
            Change::Joined(joined) => {
                self.head = Some(joined.head);
                self.seen = joined.after;
            }
            Change::Said { event, .. } => self.seen = event.sequence,
            Change::Withheld { .. } | Change::Failed { .. } => self.refused += 1,
            _ => {}
        }
    }

    /// What was in the room when we came in has been shown.
    fn has_caught_up(&self) -> bool {
        self.head.is_some_and(|head| self.seen >= head)
    }

    fn end(&self, live: &Live) -> End {
        match (live.outbox().len(), self.refused) {
            (0, 0) => End::Done,
            (0, refused) => End::Refused(refused),
            (unsent, _) => End::Unsent(unsent),
        }
    }
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
    let mut progress = Progress::default();
    let mut ended: Option<Instant> = None;
    let mut leaving = false;
    tokio::pin!(quit);
    loop {
        let is_over = leaving || (ended.is_some() && progress.has_caught_up());
        if is_over && live.outbox().is_empty() {
            return Ok(progress.end(&live));
        }
        let news = tokio::select! {
            () = &mut quit => return Ok(progress.end(&live)),
            () = passed(ended) => {
                return Ok(match (progress.head, progress.end(&live)) {
                    (None, End::Done) => End::Unreached,
                    (_, end) => end,
                });
            }
            changes = live.changes() => match changes {
                Ok(changes) => changes,
                Err(stop) => return Ok(End::Stopped(stop)),
            },
            // A full outbox takes no more lines: the pipe's writer waits.
            line = input.recv(), if ended.is_none() && !live.outbox().is_full() => match line {
                Some(line) => match String::from_utf8(line) {
                    Ok(line) => match entered(&line) {
                        Entered::Nothing => Vec::new(),
                        Entered::Quit => {
                            leaving = true;
                            ended = Some(Instant::now() + linger);
                            Vec::new()
                        }
                        Entered::LoneSlash => vec![failed(line, LONE_SLASH)],
                        Entered::Keys | Entered::Message => {
                            // There is room: it was asked for above.
                            let _ = live.say(line);
                            Vec::new()
                        }
                    },
                    Err(e) => {
                        let line = String::from_utf8_lossy(e.as_bytes()).into_owned();
                        vec![failed(line, "the line is not UTF-8; write it in UTF-8")]
                    }
                },
                None => {
                    ended = Some(Instant::now() + linger);
                    Vec::new()
                }
            },
        };
        for change in &news {
            progress.take(change);
        }
        match show(form, &news) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(progress.end(&live)),
            shown => shown?,
        }
    }
}

/// Not even sent, so without an id.
fn failed(text: String, reason: &str) -> Change {
    Change::Failed {
        client_id: String::new(),
        text,
        reason: reason.to_owned(),
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

/// The lines of standard input, until its end, without their line breaks. On a thread of its own, for nothing else can
/// wait for a terminal's line and yet let the program end meanwhile. Holds a few lines: a faster writer waits.
fn lines() -> mpsc::Receiver<Vec<u8>> {
    let (lines, taken) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match (&mut input).take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.pop_if(|last| *last == b'\n').is_some() {
                line.pop_if(|last| *last == b'\r');
            }
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    taken
}
