//! A server of our own to load: a child process on a temporary folder, so that its cost is told apart from ours.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Plugins are compiled at the first start.
const START: Duration = Duration::from_secs(60);
/// Beyond the server's own deadline for its drain.
const STOP: Duration = Duration::from_secs(60);
/// Of its log, told when it fails.
const LAST_LINES: usize = 15;

/// What bounds clients of one address is not what is measured.
const CONFIG: &str = "\
[limits]
message_bytes = 65536
sends_per_second = 1000000
send_burst = 1000000
sends_in_flight = 65536
members_per_room = 25000
rooms = 30000
rooms_per_session = 10000
sessions = 30000
sessions_per_address = 30000
new_names_per_minute = 1000000
connections = 30000
handshake_seconds = 30
";

/// Our own server failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No folder, no process, no signal.
    #[error("the server's process can't be handled: {0}")]
    Io(#[from] io::Error),
    /// It ended or was silent.
    #[error("the server did not start: {why}\n{log}")]
    Start {
        /// What was missing.
        why: String,
        /// The end of its log.
        log: String,
    },
    /// It had to be killed, or ended with an error.
    #[error("the server did not stop cleanly: {why}\n{log}")]
    Stop {
        /// Its exit status, or that there was none.
        why: String,
        /// The end of its log.
        log: String,
    },
}

/// A running server. Dropped without [`Self::stop`] it is killed.
#[derive(Debug)]
pub struct OwnServer {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    /// Its process.
    pub pid: u32,
    child: Child,
    folder: TempDir,
    /// Reads what it prints, so that it never waits for us; ends with it.
    output: JoinHandle<()>,
}

impl OwnServer {
    /// Starts `program serve`, with plugins where a folder is given, and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(program: &Path, plugins: Option<&Path>) -> Result<Self, ServerError> {
        let folder = tempfile::Builder::new()
            .prefix("chat-host-bench-")
            .tempdir()?;
        let config = folder.path().join("chat-host.toml");
        std::fs::write(&config, CONFIG)?;
        let log = std::fs::File::create(log_path(folder.path()))?;
        let mut command = Command::new(program);
        command.arg("serve").args(["--listen", "127.0.0.1:0"]);
        command
            .arg("--data")
            .arg(folder.path().join("data"))
            .arg("--config")
            .arg(&config);
        if let Some(plugins) = plugins {
            command.arg("--plugins").arg(plugins);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let failed = |why: &str| ServerError::Start {
            why: why.into(),
            log: last_lines(folder.path()),
        };
        let (Some(pid), Some(stdout)) = (child.id(), child.stdout.take()) else {
            return Err(failed("it ended at once"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let url = match timeout(START, listening(&mut lines)).await {
            Err(_) => return Err(failed("it did not say within a minute that it listens")),
            Ok(None) => return Err(failed("it ended")),
            Ok(Some(url)) => url,
        };
        let output =
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            url,
            pid,
            child,
            folder,
            output,
        })
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// [`ServerError::Stop`] unless it ends with 0.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.child.id().is_some()) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .map_err(io::Error::from)?;
        }
        let why = match timeout(STOP, self.child.wait()).await {
            Ok(status) => verdict(status?),
            Err(_) => {
                self.child.kill().await?;
                Some("it was killed, for it had not stopped a minute after SIGTERM".into())
            }
        };
        let _ = self.output.await; // Ends with the pipe.
        match why {
            None => Ok(()),
            Some(why) => Err(ServerError::Stop {
                why,
                log: last_lines(self.folder.path()),
            }),
        }
    }
}

fn verdict(status: ExitStatus) -> Option<String> {
    (!status.success()).then(|| status.to_string())
}

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, url)) = line.split_once("listening on ") {
            return url.split_whitespace().next().map(str::to_owned);
        }
    }
    None
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn last_lines(folder: &Path) -> String {
    let log = std::fs::read_to_string(log_path(folder)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines
        .get(lines.len().saturating_sub(LAST_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_ends_is_told_with_its_last_words() {
        // `false` knows no `serve` and ends at once.
        let error = OwnServer::start(Path::new("false"), None)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the server did not start: it ended"),
            "{error}"
        );
    }
}
