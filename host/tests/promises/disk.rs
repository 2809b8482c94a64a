//! A full disk: sends are refused in words, history is served, and freeing space is all it takes to go on.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chat_host::proto::v1::{self, chat_client::ChatClient};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::client::{Session, assert_dense, client, head, history};
use super::server::{Home, PATIENCE, PROGRAM, ROOMY, Server};
use super::skipped::{NOBODY, is_root, skip};

/// A small disk; unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Self, String> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "chat-host-test"]);
        let output = mount.arg(at).output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(Self(at.to_owned()));
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Takes all the space there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![1_u8; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test leaves behind may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A sender that numbers its messages, and sends again what it knows nothing of.
struct Sender {
    client: ChatClient<Channel>,
    token: String,
    /// Bytes of each message, about.
    size: usize,
    acknowledged: u64,
}

impl Sender {
    async fn new(server: &Server, size: usize) -> Self {
        // The name stays this session's until the server's end: its token is enough.
        let alice = Session::open(&server.url, "alice", "").await.unwrap();
        Self {
            client: client(&server.url).await,
            token: alice.welcome.token.clone(),
            size,
            acknowledged: 0,
        }
    }

    /// Sends until it is refused, as it must be clearly.
    async fn until_refused(&mut self) {
        let refusal = loop {
            if let Err(status) = self.once().await {
                break status;
            }
        };
        assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
        let words = refusal.message();
        assert!(
            words.contains("send it again") || words.contains("try again"),
            "{refusal:?}"
        );
    }

    /// Sends until it is taken again, and says how long that took.
    async fn until_taken(&mut self, home: &Home) {
        let freed = Instant::now();
        while let Err(status) = self.once().await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(freed.elapsed() < PATIENCE, "{status:?}\n{}", home.log());
            sleep(Duration::from_millis(20)).await;
        }
        println!("took messages again {:?} after", freed.elapsed());
    }

    async fn once(&mut self) -> Result<(), Status> {
        let number = self.acknowledged + 1;
        let request = v1::SendRequest {
            name: "alice".into(),
            token: self.token.clone(),
            room: "lobby".into(),
            text: format!("message {number} {}", "x".repeat(self.size)),
            client_id: number.to_string(),
            wait: false,
        };
        let sent = timeout(PATIENCE, self.client.send(request)).await;
        sent.expect("an answer in time")?;
        self.acknowledged = number;
        Ok(())
    }

    /// What is acknowledged is decided later, and then only while there is space.
    async fn until_decided(&mut self) {
        let began = Instant::now();
        while head(&mut self.client, "lobby").await < self.acknowledged {
            assert!(
                began.elapsed() < PATIENCE,
                "{} are not all decided",
                self.acknowledged
            );
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_sends_and_serves_history_until_there_is_space() {
    let home = Home::new(ROOMY);
    let disk = match Disk::mount(&home.data()) {
        Ok(disk) => disk,
        Err(why) => return skip("a full disk (needs a small tmpfs)", &why),
    };
    let server = home.start().await;
    let mut sender = Sender::new(&server, 1000).await;
    let mut reader = Session::in_room(&server.url, "reader", "lobby").await;
    for round in 1..=3 {
        for _ in 0..100 {
            sender.once().await.unwrap();
        }
        let decided = sender.acknowledged;
        sender.until_decided().await;
        let ballast = disk.fill();
        sender.until_refused().await;
        // While it lasts, too. The server may have found a little space by tidying up: that is taken as well.
        disk.fill();
        sender.until_refused().await;
        let kept = history(&mut sender.client, "lobby").await;
        assert!(
            kept.len() as u64 >= decided,
            "round {round}: {} of {decided} are in the history",
            kept.len()
        );
        std::fs::remove_file(ballast).unwrap();
        sender.until_taken(&home).await;
    }
    for number in 1..=sender.acknowledged {
        let event = reader.event().await;
        let expected = (number, number.to_string());
        assert_eq!((event.sequence, event.client_id), expected);
    }
    server.stop().await;

    let server = home.start().await;
    let events = history(&mut client(&server.url).await, "lobby").await;
    assert_dense(&events);
    assert_eq!(events.len() as u64, sender.acknowledged, "each once");
    for (event, number) in events.iter().zip(1_u64..) {
        assert_eq!(event.client_id, number.to_string());
    }
    server.stop().await;
}

/// All folders under one, and itself, for reading alone, or for their owner to write too.
fn allow_writing(folder: &Path, allow: bool) {
    let mode = if allow { 0o755 } else { 0o555 };
    std::fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            allow_writing(&entry.path(), allow);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_may_no_longer_be_written_refuses_sends_until_it_may() {
    let home = Home::new(ROOMY);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(home.data()).unwrap();
    let user = format!("--reuid={NOBODY}");
    let as_nobody = ["setpriv", &user, "--clear-groups", PROGRAM];
    let program = if is_root() {
        std::os::unix::fs::chown(home.data(), Some(NOBODY), None).unwrap();
        let mut reaches = Command::new("setpriv");
        reaches.args([&user, "--clear-groups", PROGRAM, "-V"]);
        if !reaches.output().is_ok_and(|output| output.status.success()) {
            let why = "an unprivileged user can't reach the program";
            return skip("a folder that may no longer be written", why);
        }
        &as_nobody[..]
    } else {
        &as_nobody[3..]
    };
    let server = home.start_as(program, "127.0.0.1:0").await;
    let mut sender = Sender::new(&server, 4000).await;
    sender.once().await.unwrap();
    sender.until_decided().await;
    allow_writing(&home.data(), false);
    // Files that are open take what they hold; the next one can't be made.
    sender.until_refused().await;
    assert!(head(&mut sender.client, "lobby").await > 0);
    println!("refused after {} messages", sender.acknowledged);

    allow_writing(&home.data(), true);
    sender.until_taken(&home).await;
    let reached = sender.acknowledged;
    server.stop().await;

    let server = home.start_as(program, "127.0.0.1:0").await;
    let mut reader = client(&server.url).await;
    let decided = Instant::now();
    while head(&mut reader, "lobby").await < reached {
        assert!(decided.elapsed() < PATIENCE, "{reached} are not all there");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(head(&mut reader, "lobby").await, reached, "each once");
    server.stop().await;
}
