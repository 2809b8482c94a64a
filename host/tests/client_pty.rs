//! The client as a person meets it: at a real terminal, against a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod client_support;

use client_support::{Person, Server};

#[test]
fn two_people_talk_in_korean() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Person::enters("alice", &server.url, home.path());
    let bob = Person::enters("bob", &server.url, home.path());
    alice.sees("● online");
    bob.sees("● online");
    bob.sees("2 here");
    alice.says("안녕하세요 👋");
    bob.sees("alice: 안녕하세요 👋");
    alice.sees("✓ You: 안녕하세요 👋");
}

#[test]
fn a_paste_stays_one_message_and_is_sent_by_enter_only() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Person::enters("alice", &server.url, home.path());
    alice.sees("● online");
    alice.pastes("first line\nsecond line\n");
    alice.sees("> first line");
    assert!(!alice.screen().contains("You:"), "{}", alice.screen());
    alice.types("\r");
    alice.sees("✓ You: first line");
    alice.sees("        second line");
}

#[test]
fn the_screen_follows_the_size_of_the_window() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Person::enters("alice", &server.url, home.path());
    alice.sees("● online");
    alice.says("words that are longer than a narrow window");
    alice.sees("✓ You: words that are longer than a narrow window");
    alice.resizes(36, 10);
    alice.waits_until("the narrow picture", |screen| {
        screen.contents().contains("✓ You: words that are longer")
            && screen.contents().contains("\n  than a narrow window")
    });
    alice.resizes(120, 30);
    alice.sees("✓ You: words that are longer than a narrow window");
}

#[test]
fn a_killed_server_that_comes_back_costs_nothing() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Person::enters("alice", &server.url, home.path());
    let mut bob = Person::enters("bob", &server.url, home.path());
    alice.sees("● online");
    bob.sees("● online");
    alice.says("before");
    bob.sees("alice: before");
    let listen = server.address();
    drop(server);
    alice.sees("○ offline");
    alice.says("meanwhile one");
    alice.says("meanwhile two");
    alice.sees("2 messages will be sent then");
    let _server = Server::start_at(data.path(), &listen);
    alice.sees("● online");
    alice.sees("✓ You: meanwhile two");
    bob.sees("alice: meanwhile two");
    bob.says("welcome back");
    alice.sees("bob: welcome back");
    for text in ["before", "meanwhile one", "meanwhile two"] {
        assert_eq!(
            bob.screen().matches(&format!("alice: {text}")).count(),
            1,
            "{}",
            bob.screen()
        );
    }
    let screen = bob.screen();
    let at = |text: &str| screen.find(text).expect(text);
    assert!(
        at("before") < at("meanwhile one") && at("meanwhile one") < at("meanwhile two"),
        "{screen}"
    );
}

#[test]
fn older_messages_are_fetched_when_the_person_scrolls_back() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut lines = String::new();
    for i in 1..=150 {
        lines += &format!("message {i}.\n");
    }
    let mut pipe = client_support::program(
        home.path(),
        &["chat", "--name", "bob", "--server", &server.url],
    )
    .stdin(std::process::Stdio::piped())
    .stdout(std::process::Stdio::null())
    .spawn()
    .unwrap();
    std::io::Write::write_all(&mut pipe.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    assert!(pipe.wait().unwrap().success());
    let mut alice = Person::enters("alice", &server.url, home.path());
    alice.sees("bob: message 150.");
    // 100 messages are there at the start; Control and Home goes to the oldest of them.
    alice.types("\u{1b}[1;5H");
    alice.sees("message 51.");
    // The older page has come: the line of the day has made room for its last message.
    alice.sees("bob: message 50.");
    alice.types("\u{1b}[1;5H");
    alice.sees("bob: message 1.");
    alice.types("\u{1b}");
    alice.sees("bob: message 150.");
}

#[test]
fn leaving_restores_the_terminal() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for leave in ["/quit\r", "\u{3}"] {
        let mut alice = Person::enters("alice", &server.url, home.path());
        alice.sees("● online");
        alice.types(leave);
        assert_eq!(alice.ends(), 0);
        alice.finds_the_terminal_restored();
    }
}

#[test]
fn a_taken_name_restores_the_terminal_and_says_what_to_do() {
    let (data, home, other) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let server = Server::start(data.path());
    let alice = Person::enters("alice", &server.url, home.path());
    alice.sees("● online");
    let mut impostor = Person::enters("alice", &server.url, other.path());
    assert_eq!(impostor.ends(), 5);
    impostor.finds_the_terminal_restored();
    impostor.sees("choose another with --name");
}

#[test]
fn without_a_server_the_state_is_shown_and_leaving_works() {
    let home = tempfile::tempdir().unwrap();
    // A port that nobody listens on: bound, and released.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut alice = Person::enters("alice", &format!("http://{free}"), home.path());
    alice.sees("○ offline, again in");
    alice.sees("refused");
    alice.says("kept for later");
    alice.sees("… You: kept for later");
    alice.types("\u{3}");
    alice.sees("sending 1 message");
    alice.types("\u{3}");
    assert_eq!(alice.ends(), 4);
    alice.finds_the_terminal_restored();
}

#[test]
fn a_terminal_that_can_not_show_a_screen_gets_lines() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for (name, size, term) in [
        ("alice", (90, 24), "dumb"),
        ("bob", (0, 0), "xterm-256color"),
    ] {
        let mut person = Person::enters_at(size, term, name, &server.url, home.path());
        person.sees("chat-host: in #lobby");
        person.types("hello\r");
        person.sees("You: hello");
        person.types("/quit\r");
        assert_eq!(person.ends(), 0, "{}", person.screen());
    }
}

#[test]
fn the_keys_are_shown_on_demand() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let mut alice = Person::enters("alice", &server.url, home.path());
    alice.sees("● online");
    alice.sees("F1 shows the keys");
    alice.types("\u{1b}OP");
    alice.sees("Commands of the client");
    alice.types("/QUIT\r");
    assert_eq!(alice.ends(), 0);
}
