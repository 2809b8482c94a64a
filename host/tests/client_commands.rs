//! Single messages, history, rooms: what scripts read, and the exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod client_support;

use std::io::Write;
use std::path::Path;

use client_support::Server;
use client_support::pipe::{Pipe, err, out, runs};

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
    // Where the connection ends before its error is known, all that can be told is that it ended.
    let told = [
        format!("{url} is not a chat-host"),
        format!("the connection to {url} broke"),
    ];
    assert!(told.iter().any(|told| words.contains(told)), "{words}");
    assert!(words.contains("a chat-host"), "{words}");
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
