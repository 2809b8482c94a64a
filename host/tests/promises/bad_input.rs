//! Bad input: each has a status, words that say what was wrong, and costs the server nothing that lasts. The rows of the
//! README's table, in its order, up to those that fail the start (`bad_start`).

use std::time::Duration;

use bytes::Bytes;
use chat_host::proto::v1::{self, ClientFrame};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::client::{Session, client, code, end, frame, hello, join, send, stream, text};
use super::raw::{self, flagged, framed};
use super::server::{Home, PATIENCE, ROOMY, Server, until};
use super::skipped::skip;

async fn server() -> (Home, Server) {
    let home = Home::new(ROOMY).flag("--memory");
    let server = home.start().await;
    (home, server)
}

/// How a session ends to which these frames are sent.
async fn session_end(server: &Server, frames: Vec<Bytes>) -> Status {
    raw::end_of(server, "/chat.v1.Chat/Connect", raw::open(frames)).await
}

async fn call_end(server: &Server, path: &str, message: &[u8]) -> Status {
    raw::end_of(server, path, raw::whole(raw::flagged(0, message))).await
}

/// A frame whose text is not UTF-8.
fn torn(message: &impl Message) -> Vec<u8> {
    let mut bytes = message.encode_to_vec();
    let at = bytes.windows(4).position(|w| w == b"TEXT").unwrap();
    bytes[at] = 0xff;
    bytes
}

#[track_caller]
fn assert_refused(what: &str, status: &Status, expected: Code, words: &str) {
    assert_eq!(status.code(), expected, "{what}: {status:?}");
    assert!(
        status.message().contains(words),
        "{what}: {}",
        status.message()
    );
}

#[track_caller]
fn assert_error(what: &str, error: &v1::Error, expected: Code, words: &str) {
    assert_eq!(code(error.code), expected, "{what}: {error:?}");
    assert!(error.message.contains(words), "{what}: {}", error.message);
}

/// In a session a refusal is an error event under the message's id, and the stream lives.
#[tokio::test]
async fn a_bad_text_is_refused_and_the_stream_lives() {
    let (_home, server) = server().await;
    let mut calls = client(&server.url).await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let (long, longest) = ("x".repeat(4097), "x".repeat(4096));
    let rows = [
        ("", "the text is empty"),
        (&long, "4097 bytes; at most 4096"),
        ("a\u{7}b", "control character U+0007"),
        ("a\r\n", "control character U+000D"),
        ("\u{1b}[2J", "control character U+001B"),
        ("\0", "control character U+0000"),
        ("a\u{9b}b", "control character U+009B"),
    ];
    for (number, (bad, words)) in rows.into_iter().enumerate() {
        let id = format!("bad-{number}");
        let error = alice.post("lobby", bad, &id).await.unwrap_err();
        assert_error(words, &error, Code::InvalidArgument, words);
        assert_eq!(error.retry_after_ms, 0, "{words}: coming back is no use");
        let call = v1::SendRequest {
            name: "bob".into(),
            room: "lobby".into(),
            text: bad.into(),
            ..v1::SendRequest::default()
        };
        let status = calls.send(call).await.unwrap_err();
        assert_refused(words, &status, Code::InvalidArgument, words);
    }
    for (id, good) in [("lines", "a\n\tb"), ("longest", &longest)] {
        let decided = alice.post("lobby", good, id).await.unwrap();
        assert_eq!(decided.result(), v1::Result::Delivered, "{id}");
        assert_eq!(text(&alice.event().await), good, "{id}");
    }
}

/// What follows a message in any client must not be written from right to left because of it.
#[tokio::test]
async fn an_override_of_the_writing_direction_ends_with_its_message() {
    let (_home, server) = server().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.post("lobby", "a\u{202e}b", "override").await.unwrap();
    let shown = alice.event().await;
    assert_eq!(text(&shown), "\u{2068}a\u{202e}b\u{202c}\u{2069}");
}

#[tokio::test]
async fn a_bad_id_room_or_name_is_refused() {
    let (_home, server) = server().await;
    let mut calls = client(&server.url).await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for id in ["", "two words", "k\u{f6}nig", &"x".repeat(65)] {
        let error = alice.post("lobby", "hi", id).await.unwrap_err();
        assert_error(id, &error, Code::InvalidArgument, "the client id must have");
    }
    let long = "x".repeat(65);
    for (bad, words) in [
        ("", "is empty"),
        ("two words", "holds ' '"),
        ("a/b", "holds '/'"),
        ("a\u{202e}b", "holds"),
        ("\u{1f600}", "holds"),
        (long.as_str(), "65 letters; at most 64"),
    ] {
        let error = alice.join(bad, None).await.unwrap_err();
        assert_error(bad, &error, Code::InvalidArgument, words);
        assert!(error.message.starts_with("the room name"), "{error:?}");
        let status = Session::open(&server.url, bad, "").await.err().unwrap();
        assert_refused(bad, &status, Code::InvalidArgument, words);
        let request = v1::HistoryRequest {
            room: bad.into(),
            ..v1::HistoryRequest::default()
        };
        let status = calls.history(request).await.unwrap_err();
        assert_refused(bad, &status, Code::InvalidArgument, words);
    }
    alice
        .join("로비", None)
        .await
        .expect("letters of any script");
}

#[tokio::test]
async fn what_is_said_at_the_wrong_time_is_refused() {
    let (_home, server) = server().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let error = alice.join("lobby", None).await.unwrap_err();
    assert_error(
        "joining twice",
        &error,
        Code::AlreadyExists,
        "leave it first",
    );
    let error = alice.post("elsewhere", "hi", "1").await.unwrap_err();
    let expected = (Code::FailedPrecondition, "join it first");
    assert_error("before joining", &error, expected.0, expected.1);
    let leave = v1::Leave {
        room: "elsewhere".into(),
    };
    alice
        .say(frame(v1::client_frame::Frame::Leave(leave)))
        .await;
    let error = alice.error().await;
    let expected = (Code::FailedPrecondition, "you are not in `elsewhere`");
    assert_error("leaving where nobody is", &error, expected.0, expected.1);
    let decided = alice.post("lobby", "still here", "2").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered);

    // These break the protocol, and end the stream.
    for (what, frames, expected, words) in [
        (
            "sending before hello",
            vec![send("lobby", "hi", "1")],
            Code::FailedPrecondition,
            "the first frame must be `hello`",
        ),
        (
            "hello twice",
            vec![hello("bob", ""), hello("bob", "")],
            Code::FailedPrecondition,
            "`hello` came twice",
        ),
        (
            "an empty frame",
            vec![hello("carol", ""), ClientFrame { frame: None }],
            Code::InvalidArgument,
            "the frame is empty",
        ),
    ] {
        let mut client = client(&server.url).await;
        let (_said, mut frames) = stream(&mut client, frames).await.unwrap();
        assert_refused(what, &end(&mut frames).await, expected, words);
    }
}

#[tokio::test]
async fn a_name_belongs_to_its_token() {
    let (_home, server) = server().await;
    let alice = Session::open(&server.url, "alice", "").await.unwrap();
    for (name, token) in [("alice", ""), ("alice", "0123"), ("ALICE", "0123")] {
        let status = Session::open(&server.url, name, token).await.err().unwrap();
        assert_refused(
            name,
            &status,
            Code::AlreadyExists,
            "is taken; choose another",
        );
    }
    let long = Session::open(&server.url, "alice", &"x".repeat(129)).await;
    let status = long.err().unwrap();
    assert_refused("a long token", &status, Code::InvalidArgument, "`welcome`");
    let second = Session::open(&server.url, "alice", &alice.welcome.token).await;
    let second = second.expect("a second device shares the name");
    assert_eq!(second.welcome.person, alice.welcome.person);
}

#[tokio::test]
async fn numbers_from_the_future_and_pages_that_are_none_are_refused() {
    let (_home, server) = server().await;
    let mut calls = client(&server.url).await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.post("lobby", "one", "1").await.unwrap();
    let mut bob = Session::open(&server.url, "bob", "").await.unwrap();
    for number in [2, 1_000_000, u64::MAX] {
        let what = format!("{number}");
        let error = bob.join("lobby", Some(number)).await.unwrap_err();
        assert_error(&what, &error, Code::OutOfRange, "the room holds 1 to 1");
        assert_eq!(error.oldest, 1);
        let watch = v1::WatchRequest {
            room: "lobby".into(),
            after: Some(number),
            last: 0,
        };
        let status = calls.watch(watch).await.unwrap_err();
        assert_refused(&what, &status, Code::OutOfRange, "the room holds 1 to 1");
        let request = |after, before| v1::HistoryRequest {
            room: "lobby".into(),
            after,
            before,
            limit: 0,
        };
        let status = calls
            .history(request(Some(number), None))
            .await
            .unwrap_err();
        assert_refused(&what, &status, Code::OutOfRange, "the room holds 1 to 1");
        assert_eq!(status.metadata().get("chat-oldest").unwrap(), "1");
        if number > 2 {
            let status = calls.history(request(None, Some(number))).await;
            let status = status.unwrap_err();
            assert_refused(&what, &status, Code::OutOfRange, "the room holds 1 to 1");
        }
        let both = calls.history(request(Some(0), Some(1))).await.unwrap_err();
        assert_refused("both ends", &both, Code::InvalidArgument, "not both");
        let hello = frame(v1::client_frame::Frame::Hello(v1::Hello {
            name: "alice".into(),
            token: alice.welcome.token.clone(),
            private_after: vec![v1::PrivatePosition {
                partition: 0,
                number,
            }],
            client: String::new(),
        }));
        let (_said, mut frames) = stream(&mut calls, vec![hello]).await.unwrap();
        let status = end(&mut frames).await;
        assert_refused(&what, &status, Code::OutOfRange, "is not there yet");
    }
    let request = v1::HistoryRequest {
        room: "lobby".into(),
        limit: 1001,
        ..v1::HistoryRequest::default()
    };
    let status = calls.history(request).await.unwrap_err();
    assert_refused("a page", &status, Code::InvalidArgument, "`limit` is 1001");
    let request = v1::HistoryRequest {
        room: "nowhere".into(),
        ..v1::HistoryRequest::default()
    };
    let status = calls.history(request).await.unwrap_err();
    assert_refused("a room", &status, Code::NotFound, "no room `nowhere`");
    let watch = v1::WatchRequest {
        room: "nowhere".into(),
        ..v1::WatchRequest::default()
    };
    let status = calls.watch(watch).await.unwrap_err();
    assert_refused("a room", &status, Code::NotFound, "joining it makes it");
    bob.join("lobby", Some(1)).await.expect("the stream lives");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let (_home, server) = server().await;
    let greeted = |name: &str, last: Vec<Bytes>| {
        let first = [hello(name, ""), join("lobby", None)];
        first.iter().map(framed).chain(last).collect::<Vec<_>>()
    };
    let big = send("lobby", &"x".repeat(9000), "1");
    let fine = send("lobby", "fine", "1").encode_to_vec();
    // Field 15 of the frame: of a kind that is not there yet.
    let later = b"\x7a\x02hi";
    for (name, last, expected, words) in [
        (
            "torn",
            flagged(0, &torn(&send("lobby", "TEXT", "1"))),
            Code::InvalidArgument,
            "must be UTF-8",
        ),
        (
            "noise",
            flagged(0, b"\xff\xff\xff\xff"),
            Code::InvalidArgument,
            "can't be decoded",
        ),
        (
            "large",
            framed(&big),
            Code::ResourceExhausted,
            "at most 8192 are allowed",
        ),
        (
            "unknown",
            flagged(0, later),
            Code::InvalidArgument,
            "of a kind that this server does not know",
        ),
        (
            "compressed",
            flagged(1, &fine),
            Code::Unimplemented,
            "the frame is compressed",
        ),
    ] {
        let status = session_end(&server, greeted(name, vec![last])).await;
        assert_refused(name, &status, expected, words);
    }
    // The stream of a call is no longer than its message, and no shorter.
    let path = "/chat.v1.Chat/Connect";
    let cut = framed(&hello("cut", "")).slice(..5);
    let status = raw::end_of(&server, path, raw::whole(cut)).await;
    assert_refused("cut off", &status, Code::InvalidArgument, "within a frame");

    let call = |text: &str| v1::SendRequest {
        name: "dave".into(),
        room: "lobby".into(),
        text: text.into(),
        ..v1::SendRequest::default()
    };
    let path = "/chat.v1.Chat/Send";
    let status = call_end(&server, path, &torn(&call("TEXT"))).await;
    assert_refused("not UTF-8", &status, Code::InvalidArgument, "must be UTF-8");
    let big = call(&"x".repeat(9000)).encode_to_vec();
    let status = call_end(&server, path, &big).await;
    assert_refused("a large call", &status, Code::ResourceExhausted, "8192");
    let status = call_end(&server, "/chat.v1.Chat/Shout", b"").await;
    assert_refused("no method", &status, Code::Unimplemented, "no method");
    for path in [
        "/chat.v1.Chat/Send",
        "/chat.v1.Chat/Watch",
        "/chat.v1.Chat/History",
    ] {
        let compressed = raw::whole(flagged(1, b""));
        let status = raw::end_of(&server, path, compressed).await;
        assert_refused(path, &status, Code::Unimplemented, "is compressed");
        let status = raw::end_of(&server, path, raw::whole(Bytes::new())).await;
        assert_refused(path, &status, Code::InvalidArgument, "is missing");
    }
    // None of it was taken, and nobody else minds.
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let decided = alice.post("lobby", "hi", "1").await.unwrap();
    assert_eq!(decided.sequence, 1);
}

#[tokio::test]
async fn a_sender_that_is_too_fast_is_told_when_to_come_back() {
    let home = Home::new("[limits]\nsends_per_second = 1\nsend_burst = 3\n").flag("--memory");
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for number in 0..3 {
        alice
            .post("lobby", "hi", &number.to_string())
            .await
            .unwrap();
    }
    let error = alice.post("lobby", "hi", "fast").await.unwrap_err();
    assert_error(
        "fast",
        &error,
        Code::ResourceExhausted,
        "1 messages a second",
    );
    assert!((1..=1000).contains(&error.retry_after_ms), "{error:?}");

    // A call is told in its metadata, and its pace is the person's.
    let mut calls = client(&server.url).await;
    let call = v1::SendRequest {
        name: "alice".into(),
        token: alice.welcome.token.clone(),
        room: "lobby".into(),
        text: "hi".into(),
        ..v1::SendRequest::default()
    };
    for _ in 0..3 {
        calls.send(call.clone()).await.unwrap();
    }
    let status = calls.send(call.clone()).await.unwrap_err();
    let words = "1 messages a second";
    assert_refused("fast", &status, Code::ResourceExhausted, words);
    let hint = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    let wait: u64 = hint.to_str().unwrap().parse().unwrap();
    assert!((1..=1000).contains(&wait), "{status:?}");
    // Who comes back then is served; both streams and calls.
    sleep(Duration::from_millis(wait.max(error.retry_after_ms))).await;
    calls.send(call).await.unwrap();
    alice.post("lobby", "hi", "fast").await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let home = Home::new("[limits]\nhandshake_seconds = 1\n").flag("--memory");
    let server = home.start().await;
    let mut client = client(&server.url).await;
    let (_said, mut frames) = stream(&mut client, vec![]).await.unwrap();
    let status = end(&mut frames).await;
    assert_refused("a stream", &status, Code::DeadlineExceeded, "no hello came");

    // Neither a connection alone nor one that has begun to speak HTTP/2 asks for anything.
    for said in [
        &b""[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
        // Closed in order, or reset.
        let _ = read.expect("the connection is closed in time");
    }
}

#[tokio::test]
async fn a_call_that_says_nothing_is_let_go() {
    let home = Home::new("[limits]\nhandshake_seconds = 1\n").flag("--memory");
    let server = home.start().await;
    for path in [
        "/chat.v1.Chat/Send",
        "/chat.v1.Chat/Watch",
        "/chat.v1.Chat/History",
        "/chat.v1.Chat/ListRooms",
        "/chat.v1.Chat/CreateRoom",
        "/chat.v1.Chat/ListMembers",
    ] {
        // Nothing at all, and half a frame.
        for said in [vec![], vec![Bytes::from_static(b"\0\0\0\0\x10half")]] {
            let status = raw::end_of(&server, path, raw::open(said)).await;
            assert_refused(path, &status, Code::DeadlineExceeded, "within 1 s");
        }
    }
}

#[tokio::test]
async fn half_open_connections_keep_nobody_out() {
    const CONNECTIONS: usize = 10_000;
    let home = Home::new("[limits]\nhandshake_seconds = 5\n").flag("--memory");
    let server = home.start().await;
    if let Err(error) = chat_host::bench::allow_connections(CONNECTIONS + 200) {
        return skip("half-open connections", &error.to_string());
    }
    let before = server.open_files();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let decided = alice.post("lobby", "hi", "1").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered);
    drop(alice);
    // Nobody lets go of them here: the server does.
    until("the server has closed them", || {
        server.open_files() <= before + 3
    })
    .await;
    drop(held);
}
