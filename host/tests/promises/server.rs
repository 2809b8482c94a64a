//! The server as a child process on a folder of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-host");

/// More than any of these waits takes, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Bounds of clients out of the way of tests of something else.
pub const ROOMY: &str = "\
[limits]
sends_per_second = 1000000
send_burst = 1000000
name_hold_seconds = 600
";

/// A plugin is called however often it fails: for tests of each failure.
pub const NO_QUARANTINE: &str = "\
[plugin]
quarantine_failures = 0
quarantine_percent = 0
";

/// A folder with a server's data, settings and log.
pub struct Home {
    dir: TempDir,
    flags: Vec<String>,
}

impl Home {
    pub fn new(settings: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("chat-host-promises-")
            .tempdir()
            .unwrap();
        std::fs::write(dir.path().join("chat-host.toml"), settings).unwrap();
        Self {
            dir,
            flags: Vec::new(),
        }
    }

    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.into());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// All that the servers of this home have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    /// `serve` on this folder, not yet started.
    pub fn command(&self, program: &[&str], listen: &str) -> Command {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg("serve");
        command
            .args(["--listen", listen])
            .arg("--data")
            .arg(self.data())
            .arg("--config")
            .arg(self.path("chat-host.toml"))
            .args(&self.flags);
        settled(&mut command);
        command
    }

    pub async fn start(&self) -> Server {
        self.start_at("127.0.0.1:0").await
    }

    pub async fn start_at(&self, listen: &str) -> Server {
        self.start_as(&[PROGRAM], listen).await
    }

    /// Starts, under another program where one is given before it.
    pub async fn start_as(&self, program: &[&str], listen: &str) -> Server {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("server.log"))
            .unwrap();
        let mut child = self
            .command(program, listen)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        timeout(PATIENCE, stdout.read_line(&mut line))
            .await
            .unwrap_or_else(|_| panic!("no address in time:\n{}", self.log()))
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("the server said {line:?}:\n{}", self.log()))
            .to_owned();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let pid = child.id().unwrap();
        Server {
            url,
            address,
            pid,
            child,
        }
    }

    /// A start that must fail: its exit code and what it says.
    pub async fn refused(&self, listen: &str) -> (i32, String) {
        ended(self.command(&[PROGRAM], listen)).await
    }
}

/// Runs a program to its end: its exit code and its stderr.
pub async fn ended(mut command: Command) -> (i32, String) {
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = timeout(PATIENCE, output.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

/// Without what the environment says to it.
pub fn settled(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHAT_HOST_") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .kill_on_drop(true);
}

/// A running server; killed when dropped.
pub struct Server {
    pub url: String,
    pub address: SocketAddr,
    pub pid: u32,
    child: Child,
}

impl Server {
    /// As the loss of its process does: no word of farewell.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.pid), signal).unwrap();
    }

    pub async fn wait(mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.expect("the server ends in time").unwrap()
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.signal(Signal::TERM);
        let status = self.wait().await;
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// Files and sockets that it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid))
            .unwrap()
            .count()
    }
}

pub fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
