//! The client in pipes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod client_support;
mod plugin_support;

use client_support::pipe::{Pipe, err, out, runs};
use client_support::{PATIENCE, Server};

#[test]
fn a_line_a_message_marked_as_ours_or_theirs() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Pipe::open(
        home.path(),
        &["chat", "--name", "alice", "--server", &server.url],
    );
    let bob = Pipe::open(
        home.path(),
        &["chat", "--name", "bob", "--server", &server.url],
    );
    alice.reads("stderr: chat-host: in #lobby");
    bob.reads("stderr: chat-host: in #lobby");
    alice.writes("안녕 👋");
    let own = alice.reads("안녕");
    let theirs = bob.reads("안녕");
    assert!(
        own.starts_with("✓ [") && own.ends_with("] You: 안녕 👋"),
        "{own}"
    );
    assert!(
        theirs.starts_with("📩 [") && theirs.ends_with("] alice: 안녕 👋"),
        "{theirs}"
    );
    assert_eq!(alice.ends(), 0);
}

#[test]
fn what_was_whispered_while_away_is_there_at_the_next_start_and_only_then() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plugins = tempfile::tempdir().unwrap();
    let basics = plugin_support::component("basics", "basics");
    std::fs::copy(basics, plugins.path().join("basics.wasm")).unwrap();
    let server = Server::start_with(data.path(), plugins.path());
    let alice = || {
        let arguments = ["chat", "--name", "alice", "--server", &server.url];
        Pipe::open(home.path(), &arguments)
    };
    let bob = ["chat", "--name", "bob", "--server", &server.url];
    let mut bob = Pipe::open(home.path(), &bob);
    bob.reads("stderr: chat-host: in #lobby");
    let mut first = alice();
    first.reads("stderr: chat-host: in #lobby");
    bob.writes("/whisper alice early");
    first.reads("early");
    assert_eq!(first.ends(), 0);
    bob.writes("/whisper alice late");
    bob.reads("late");

    let mut second = alice();
    // One comes on stdout and one on stderr, so either may be read first.
    second.reads_all(&["late", "stderr: chat-host: in #lobby"]);
    assert_eq!(second.ends(), 0);
    let mut third = alice();
    bob.writes("/whisper alice last");
    let mut lines = Vec::new();
    loop {
        let line = third.lines.recv_timeout(PATIENCE).unwrap();
        if line.contains("last") {
            break;
        }
        lines.push(line);
    }
    let again = |line: &String| line.contains("early") || line.contains("late");
    assert!(!lines.iter().any(again), "shown again: {lines:#?}");
    assert_eq!(third.ends(), 0);
}

#[test]
fn the_end_of_the_input_waits_until_everything_is_decided() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Pipe::open(
        home.path(),
        &["chat", "--name", "alice", "--server", &server.url],
    );
    for i in 1..=60 {
        alice.writes(&format!("line {i}"));
    }
    assert_eq!(alice.ends(), 0);
    let history = runs(
        home.path(),
        &[
            "history",
            "--server",
            &server.url,
            "--json",
            "--limit",
            "1000",
        ],
    );
    let texts: Vec<String> = out(&history)
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let all: Vec<String> = (1..=60).map(|i| format!("line {i}")).collect();
    assert_eq!(texts, all);
}

#[test]
fn a_pipe_outlives_the_server() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Pipe::open(
        home.path(),
        &["chat", "--name", "alice", "--server", &server.url],
    );
    alice.writes("one");
    alice.reads("You: one");
    let listen = server.address();
    drop(server);
    alice.reads("stderr: chat-host: not connected");
    alice.writes("two");
    let _server = Server::start_at(data.path(), &listen);
    alice.reads("You: two");
    assert_eq!(alice.ends(), 0);
}

#[test]
fn json_tells_every_step_of_a_message() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Pipe::open(
        home.path(),
        &["chat", "--name", "alice", "--json", "--server", &server.url],
    );
    alice.writes("hello");
    let value = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
    let pending = value(alice.reads(r#""type":"pending""#));
    let said = value(alice.reads(r#""type":"message""#));
    assert_eq!(pending["client_id"], said["client_id"]);
    assert_eq!(
        (said["text"].as_str(), said["own"].as_bool()),
        (Some("hello"), Some(true))
    );
    assert_eq!(said["sequence"], 1);
    assert_eq!(alice.ends(), 0);
}

#[test]
fn a_server_with_new_data_is_entered_anew() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let arguments = ["chat", "--name", "alice", "--server", &server.url];
    let mut alice = Pipe::open(home.path(), &arguments);
    alice.writes("one");
    alice.reads("You: one");
    let listen = server.address();
    drop(server);
    alice.reads("stderr: chat-host: not connected: no server at http://127.0.0.1:");
    alice.writes("two");
    let other = tempfile::tempdir().unwrap();
    let _server = Server::start_at(other.path(), &listen);
    alice.reads_all(&[
        "stderr: chat-host: the room begins anew on the server",
        "You: two",
    ]);
    assert_eq!(alice.ends(), 0);
}

#[test]
fn an_empty_pipe_shows_what_was_said_last() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for text in ["one", "two", "three"] {
        let arguments = ["send", "--name", "alice", "--wait", "--server", &server.url];
        let sent = runs(home.path(), &[&arguments[..], &[text]].concat());
        assert_eq!(sent.status.code(), Some(0), "{}", err(&sent));
    }
    let arguments = [
        "chat",
        "--name",
        "bob",
        "--last",
        "2",
        "--server",
        &server.url,
    ];
    let shown = runs(home.path(), &arguments);
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    let lines = out(&shown);
    let said: Vec<&str> = lines
        .lines()
        .map(|l| l.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(said, ["two", "three"]);
}
