//! Retention: logs and history are trimmed together, only at a checkpoint, and a store that is lost is made again from it.

// Helpers of tests may fail a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chat_host::proto::v1::chat_client::ChatClient;
use chat_host::proto::v1::{HistoryRequest, HistoryResponse, SendRequest};
use tonic::transport::Channel;

/// Only a failing test waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(data: &Path, extra: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat-host"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--partitions",
                "1",
                "--data",
            ])
            .arg(data)
            .args(extra)
            .env_remove("CHAT_HOST_PLUGINS")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self { child, url }
    }

    async fn client(&self) -> ChatClient<Channel> {
        ChatClient::new(
            Channel::from_shared(self.url.clone())
                .unwrap()
                .connect()
                .await
                .unwrap(),
        )
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

async fn history(
    client: &mut ChatClient<Channel>,
    after: Option<u64>,
) -> Result<HistoryResponse, tonic::Status> {
    let request = HistoryRequest {
        room: "lobby".into(),
        after,
        before: None,
        limit: 1000,
    };
    client
        .history(request)
        .await
        .map(tonic::Response::into_inner)
}

// The client must be able to go while the test waits for the server's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_are_forgotten_at_a_checkpoint_and_the_rest_survives_a_lost_store() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [
        "--retain",
        "90d,1MiB",
        "--limits-sends-per-second",
        "100000",
        "--limits-send-burst",
        "100000",
    ];
    let server = Server::start(&data, &settings);
    let mut client = server.client().await;
    let text = "x".repeat(2000);
    let (mut token, mut sent) = (String::new(), 0u64);
    let began = Instant::now();
    let kept = loop {
        let request = SendRequest {
            name: "alice".into(),
            token: token.clone(),
            room: "lobby".into(),
            text: format!("{sent} {text}"),
            wait: true,
            ..SendRequest::default()
        };
        let response = client.send(request).await.unwrap().into_inner();
        if token.is_empty() {
            token = response.token;
        }
        sent += 1;
        if sent.is_multiple_of(50) {
            let page = history(&mut client, None).await.unwrap();
            assert_eq!(page.head, sent);
            if page.oldest > 1 {
                break page;
            }
        }
        assert!(
            began.elapsed() < PATIENCE,
            "nothing was trimmed after {sent} messages"
        );
    };
    let refused = history(&mut client, Some(0)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
    assert_eq!(
        refused
            .metadata()
            .get("chat-oldest")
            .unwrap()
            .to_str()
            .unwrap(),
        kept.oldest.to_string()
    );
    let all = history(&mut client, Some(kept.oldest - 1)).await.unwrap();
    assert_eq!(all.events.first().map(|e| e.sequence), Some(kept.oldest));
    drop(client);
    server.stop();

    std::fs::remove_dir_all(data.join("store")).unwrap();
    let server = Server::start(&data, &settings);
    let mut client = server.client().await;
    let page = history(&mut client, None).await.unwrap();
    assert_eq!(page.head, sent, "the room goes on where it was");
    assert!(page.oldest >= kept.oldest && page.oldest < page.head);
    let again = history(&mut client, Some(page.oldest - 1)).await.unwrap();
    assert_eq!(again.events.first().map(|e| e.sequence), Some(page.oldest));
    assert_eq!(
        again.events.len() as u64,
        (page.head - page.oldest + 1).min(1000)
    );
    let response = client
        .send(SendRequest {
            name: "alice".into(),
            token,
            room: "lobby".into(),
            text: "still me".into(),
            wait: true,
            ..SendRequest::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.decided.unwrap().sequence, sent + 1);
    server.stop();
}
