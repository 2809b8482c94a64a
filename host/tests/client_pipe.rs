//! The client in scripts: pipes, single messages, history, exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod client_support;
mod plugin_support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use client_support::{PATIENCE, Server, program};

/// A client in a pipe.
struct Pipe {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Pipe {
    fn open(home: &Path, arguments: &[&str]) -> Self {
        let mut process = program(home, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (all, lines) = channel();
        let errors = all.clone();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|l| drop(all.send(l)))
        });
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|l| drop(errors.send(format!("stderr: {l}"))));
        });
        let input = process.stdin.take();
        Self {
            process,
            input,
            lines,
        }
    }

    fn writes(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line that contains `text`.
    fn reads(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(e) => panic!("no line with {text:?} ({e}), but {before:#?}"),
            }
        }
    }

    fn ends(&mut self) -> i32 {
        self.input = None;
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn runs(home: &Path, arguments: &[&str]) -> Output {
    program(home, arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

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
    second.reads("late");
    second.reads("stderr: chat-host: in #lobby");
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
fn a_message_sent_again_under_its_id_arrives_once() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for _ in 0..2 {
        let sent = runs(
            home.path(),
            &[
                "send",
                "--name",
                "alice",
                "--server",
                &server.url,
                "--client-id",
                "one",
                "--wait",
                "hello",
            ],
        );
        assert_eq!(sent.status.code(), Some(0), "{}", err(&sent));
        assert!(out(&sent).contains("delivered 1"), "{}", out(&sent));
    }
    let history = out(&runs(home.path(), &["history", "--server", &server.url]));
    assert_eq!(history.lines().count(), 1, "{history}");
    assert!(history.starts_with("1 📩 ["), "{history}");
    assert!(history.ends_with("] alice: hello\n"), "{history}");
    let beyond = ["history", "--after", "24", "--server", &server.url];
    let beyond = runs(home.path(), &beyond);
    assert_eq!(beyond.status.code(), Some(3));
    assert!(
        err(&beyond).contains("what comes after 24 is not there: the room holds 1 to 1"),
        "{}",
        err(&beyond)
    );
    let rooms = out(&runs(home.path(), &["rooms", "--server", &server.url]));
    assert!(
        rooms.lines().nth(1).unwrap().starts_with("lobby"),
        "{rooms}"
    );
}

#[test]
fn another_message_under_a_used_id_is_told_to_be_sent_already() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let send = |text| {
        let common = ["send", "--name", "alice", "--server", &server.url];
        let arguments = [&common[..], &["--client-id", "one", text]].concat();
        let sent = runs(home.path(), &arguments);
        assert_eq!(sent.status.code(), Some(0), "{}", err(&sent));
        out(&sent)
    };
    let first = send("hello");
    let second = send("something else");
    assert_eq!(second, format!("{} was sent already\n", first.trim_end()));
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
    alice.reads("stderr: chat-host: the room begins anew on the server");
    alice.reads("You: two");
    assert_eq!(alice.ends(), 0);
}

#[test]
fn a_name_stays_ours_though_its_first_message_is_refused() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let limit = ["--limits-rooms".as_ref(), "1".as_ref()];
    let server = Server::start_as(data.path(), "127.0.0.1:0", &limit);
    let send = |url: &str, name, room| {
        let arguments = [
            "send", "--name", name, "--room", room, "--server", url, "hi",
        ];
        let sent = runs(home.path(), &arguments);
        (sent.status.code(), err(&sent))
    };
    assert_eq!(send(&server.url, "bob", "one").0, Some(0));
    for _ in 0..2 {
        let (code, words) = send(&server.url, "alice", "two");
        assert_eq!(code, Some(3), "{words}");
        assert!(words.contains("as many as this server allows"), "{words}");
    }
    // Other spellings of the address and of the name.
    let url = format!("HTTP://{}/", server.address());
    assert_eq!(send(&url, "Alice", "one"), (Some(0), String::new()));
}

#[test]
fn who_is_not_there_is_named_and_so_is_what_is_wrong_with_an_address() {
    let home = tempfile::tempdir().unwrap();
    // A port that nobody listens on: bound, and released.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let commands: [&[&str]; 4] = [
        &["rooms"],
        &["history"],
        &["send", "--name", "alice", "--timeout", "200ms", "hello"],
        &["chat", "--name", "alice", "--timeout", "200ms"],
    ];
    let ends = |command: &[&str], url: &str| {
        let ended = runs(home.path(), &[command, &["--server", url]].concat());
        (ended.status.code(), err(&ended))
    };
    for command in commands {
        let (code, words) = ends(command, &url);
        assert_eq!(code, Some(4), "{command:?}: {words}");
        let named = format!("no server at {url} (connection refused); start one with");
        assert!(words.contains(&named), "{command:?}: {words}");
        let (code, words) = ends(command, "http://127.0.0.1:99999");
        assert_eq!(code, Some(2), "{command:?}: {words}");
        assert!(words.contains("the port `99999`"), "{command:?}: {words}");
    }

    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", web.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in web.incoming().map_while(Result::ok) {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            let _ = std::io::copy(&mut &stream, &mut std::io::sink());
        }
    });
    let (code, words) = ends(&["rooms"], &url);
    assert_eq!(code, Some(4), "{words}");
    assert!(
        words.contains(&format!("{url} is not a chat-host")),
        "{words}"
    );
}

#[test]
fn what_is_given_is_sent_as_it_is() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let send = |text| {
        let arguments = ["send", "--name", "alice", "--server", &server.url, text];
        let sent = runs(home.path(), &arguments);
        (sent.status.code(), err(&sent))
    };
    let (code, words) = send("a\u{7}b");
    assert_eq!(code, Some(3), "{words}");
    assert!(words.contains("U+0007"), "{words}");
    let (code, words) = send("/");
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("a lone `/`"), "{words}");
    assert_eq!(send("  two blanks ").0, Some(0));

    let arguments = ["chat", "--name", "bob", "--server", &server.url];
    let mut bob = Pipe::open(home.path(), &arguments);
    bob.writes("a\u{7}b");
    bob.reads("not sent: the text holds the control character U+0007");
    bob.writes("/");
    bob.reads("not sent: a lone `/`");
    bob.writes(" and three   ");
    bob.writes("/QUIT");
    assert_eq!(bob.process.wait().unwrap().code(), Some(3));
    let arguments = ["history", "--json", "--server", &server.url];
    let history = out(&runs(home.path(), &arguments));
    let texts: Vec<String> = history
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| event["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["  two blanks ", " and three   "]);
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

#[test]
fn a_time_without_a_unit_is_told_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["send", "--name", "alice", "--timeout", "5", "hello"];
    let wrong = runs(home.path(), &arguments);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        err(&wrong).contains("5 has no unit; write 5s"),
        "{}",
        err(&wrong)
    );
}

#[test]
fn scripts_can_rely_on_the_exit_codes() {
    let (data, home, other) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let server = Server::start(data.path());
    let url = server.url.clone();
    let send = |home: &Path, url: &str, text: &str| {
        runs(
            home,
            &[
                "send",
                "--name",
                "alice",
                "--timeout",
                "1s",
                "--server",
                url,
                text,
            ],
        )
    };
    assert_eq!(send(home.path(), &url, "hello").status.code(), Some(0));
    let taken = send(other.path(), &url, "hello");
    assert_eq!(taken.status.code(), Some(5), "{}", err(&taken));
    assert!(
        err(&taken).contains("choose another with --name"),
        "{}",
        err(&taken)
    );
    let mut impostor = Pipe::open(other.path(), &["chat", "--name", "alice", "--server", &url]);
    impostor.writes("hello");
    impostor.reads("choose another with --name");
    assert_eq!(impostor.ends(), 5);
    let refused = send(home.path(), &url, &"x".repeat(100_000));
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    let refused = runs(
        home.path(),
        &["send", "--name", "no spaces", "--server", &url, "hello"],
    );
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    assert_eq!(
        send(home.path(), "ftp://nowhere", "hello").status.code(),
        Some(2)
    );
    drop(server);
    let gone = send(home.path(), &url, "hello");
    assert_eq!(gone.status.code(), Some(4), "{}", err(&gone));
    assert_eq!(
        runs(home.path(), &["history", "--server", &url])
            .status
            .code(),
        Some(4)
    );
}
