//! A full disk: sends are refused in words, history is served, and freeing space is all it takes to go on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chat_host::proto::v1::{self, chat_client::ChatClient};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::client::{Session, assert_dense, client, history};
use super::server::{Home, PATIENCE, ROOMY};
use super::skipped::skip;

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
        let mut file = std::fs::File::create(&path).unwrap();
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
    acknowledged: u64,
}

impl Sender {
    async fn once(&mut self) -> Result<(), Status> {
        let number = self.acknowledged + 1;
        let request = v1::SendRequest {
            name: "alice".into(),
            token: self.token.clone(),
            room: "lobby".into(),
            text: format!("message {number} {}", "x".repeat(1000)),
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
        while (history(&mut self.client, "lobby").await.len() as u64) < self.acknowledged {
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
    let alice = Session::open(&server.url, "alice", "").await.unwrap();
    let mut sender = Sender {
        client: client(&server.url).await,
        token: alice.welcome.token.clone(),
        acknowledged: 0,
    };
    let mut reader = Session::in_room(&server.url, "reader", "lobby").await;
    for round in 1..=3 {
        for _ in 0..100 {
            sender.once().await.unwrap();
        }
        let decided = sender.acknowledged;
        sender.until_decided().await;
        let ballast = disk.fill();
        let refusal = loop {
            match sender.once().await {
                Ok(()) => {}
                Err(status) => break status,
            }
        };
        assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
        assert!(
            refusal.message().contains("send it again") || refusal.message().contains("try again"),
            "{refusal:?}"
        );
        // While it lasts, too.
        let refusal = sender.once().await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
        let kept = history(&mut sender.client, "lobby").await;
        assert!(
            kept.len() as u64 >= decided,
            "round {round}: {} of {decided} are in the history",
            kept.len()
        );
        std::fs::remove_file(ballast).unwrap();
        let freed = Instant::now();
        while let Err(status) = sender.once().await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(
                freed.elapsed() < PATIENCE,
                "round {round}: {status:?}\n{}",
                home.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
        println!(
            "round {round}: took messages again {:?} after",
            freed.elapsed()
        );
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
