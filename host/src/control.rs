//! The control socket: what the owner of a running host may ask of it. A Unix socket in the data folder that only its
//! owner can open.
//!
//! One request a connection: a line of JSON, answered with a line of JSON.

pub mod dead_letters;

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::gateway::Gateway;
use crate::journal::embedded::EmbeddedJournal;
use crate::plugin::{Order, Orders, Status};
use crate::telemetry::diary::{Diary, Line};

/// The longest request.
const REQUEST_BYTES: u64 = 64 * 1024;
/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(5);
/// Requests at once.
const AT_ONCE: usize = 8;

/// The longest path that the system takes for a socket: its field ends with a zero.
const PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Look at or change the plugins.
    Plugins(Order),
    /// Copy the data into this folder, which must not exist.
    Backup {
        /// An absolute path.
        to: PathBuf,
    },
    /// What plugins say, and what happens to them.
    Logs {
        /// Of one; else of all.
        plugin: Option<String>,
        /// Lines after this number.
        after: u64,
        /// The newest so many of them.
        limit: usize,
    },
    /// About messages at which plugins failed.
    DeadLetters(dead_letters::Request),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Done.
    BackedUp {
        /// How many records.
        records: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// How every plugin does.
    Plugins(Vec<Status>),
    /// What the log has.
    Logs {
        /// The oldest first.
        lines: Vec<Line>,
        /// The number of the last line there is.
        last: u64,
    },
    /// About messages at which plugins failed.
    DeadLetters(dead_letters::Answer),
    /// Not done, and why.
    Failed(String),
}

/// Where the socket of a data folder is.
#[must_use]
pub fn socket_of(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// The bound socket.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    journal: Arc<EmbeddedJournal>,
    diary: Diary,
}

impl Control {
    /// Binds the socket of a data folder that this process has locked; one that an earlier run left is replaced.
    ///
    /// # Errors
    /// What the system says, or that the path is too long for it.
    pub fn bind(data: &Path, journal: Arc<EmbeddedJournal>, diary: Diary) -> std::io::Result<Self> {
        let path = socket_of(data);
        let bytes = path.as_os_str().len();
        if bytes > PATH_BYTES {
            return Err(std::io::Error::other(format!(
                "its path would have {bytes} bytes, and a socket's has {PATH_BYTES} at most; choose a folder with a shorter path with --data"
            )));
        }
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path,
            journal,
            diary,
        })
    }

    /// Answers until `drain`, and removes the socket.
    pub async fn run(self, orders: Orders, gateway: Arc<Gateway>, drain: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if tasks.len() < AT_ONCE => {
                    let (journal, diary) = (self.journal.clone(), self.diary.clone());
                    let (orders, gateway) = (orders.clone(), gateway.clone());
                    tasks.spawn(async move {
                        if let Err(error) = answer(stream, journal, diary, orders, &gateway).await {
                            debug!(%error, "a control connection broke");
                        }
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "a control connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
        std::fs::remove_file(&self.path).ok();
    }
}

async fn answer(
    stream: UnixStream,
    journal: Arc<EmbeddedJournal>,
    diary: Diary,
    orders: Orders,
    gateway: &Gateway,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(REQUEST_BYTES));
    timeout(REQUEST, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => carry_out(request, journal, &diary, orders, gateway).await,
        Err(error) => Answer::Failed(format!("the request can't be read: {error}")),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await
}

async fn carry_out(
    request: Request,
    journal: Arc<EmbeddedJournal>,
    diary: &Diary,
    orders: Orders,
    gateway: &Gateway,
) -> Answer {
    match request {
        Request::Plugins(order) => {
            match tokio::task::spawn_blocking(move || orders.give(order)).await {
                Ok(Ok(statuses)) => Answer::Plugins(statuses),
                Ok(Err(reason)) => Answer::Failed(reason),
                Err(error) => Answer::Failed(error.to_string()),
            }
        }
        Request::Backup { to } => {
            info!(to = %to.display(), "backup begins");
            let copy = tokio::task::spawn_blocking(move || backup(&journal, &to));
            match copy.await {
                Ok(answer) => answer,
                Err(error) => Answer::Failed(error.to_string()),
            }
        }
        Request::Logs {
            plugin,
            after,
            limit,
        } => {
            let (lines, last) = diary.after(after, plugin.as_deref(), limit);
            Answer::Logs { lines, last }
        }
        Request::DeadLetters(request) => {
            Answer::DeadLetters(dead_letters::carry_out(request, gateway).await)
        }
    }
}

/// Copies a journal into a data folder that must not exist.
#[must_use]
pub fn backup(journal: &EmbeddedJournal, to: &Path) -> Answer {
    if to.exists() {
        return Answer::Failed(format!(
            "{} exists already; name a folder that does not",
            to.display()
        ));
    }
    let copied = std::fs::create_dir_all(to)
        .and_then(|()| std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)))
        .map_err(|error| format!("{} can't be made: {error}", to.display()))
        .and_then(|()| {
            journal
                .copy_to(&to.join("journal"))
                .map_err(|error| error.to_string())
        });
    match copied {
        Ok(copied) => Answer::BackedUp {
            records: copied.records,
            bytes: copied.bytes,
        },
        Err(reason) => Answer::Failed(reason),
    }
}

/// The process that runs on this data folder, where it answers.
pub async fn process_on(data: &Path) -> Option<i32> {
    let stream = UnixStream::connect(socket_of(data)).await.ok()?;
    stream.peer_cred().ok()?.pid()
}

/// Asks the host that runs on this data folder; `None` where none does.
///
/// # Errors
/// Where it does not answer.
pub async fn ask(data: &Path, request: &Request) -> std::io::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(socket_of(data)).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Ok(None),
            _ => return Err(error),
        },
    };
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    if answer.is_empty() {
        return Err(std::io::Error::other(
            "the host has too many requests at once, or ended; try again",
        ));
    }
    Ok(Some(serde_json::from_str(&answer)?))
}
