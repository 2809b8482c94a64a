//! Bad input: each has a status, words that say what was wrong, and costs the server nothing that lasts. The rows of the
//! README's table, in its order.

use std::os::unix::fs::PermissionsExt;

use bytes::{Buf, BufMut, Bytes};
use chat_host::proto::v1::{self, ClientFrame};
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use super::client::{self, Session, client, code, end, frame, hello, join, send, stream, text};
use super::server::{Home, PATIENCE, PROGRAM, ROOMY, Server, ended, until};
use super::skipped::{NOBODY, is_root, skip};

async fn server() -> (Home, Server) {
    let home = Home::new(ROOMY).flag("--memory");
    let server = home.start().await;
    (home, server)
}

/// Bytes as they are, for messages that no honest client makes.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}

/// How a stream of these bytes ends.
async fn raw_stream(server: &Server, frames: Vec<Bytes>) -> Status {
    let mut grpc = Grpc::new(client::channel(&server.url).await);
    grpc.ready().await.unwrap();
    // It stays open: what ends it is the server.
    let frames = tokio_stream::StreamExt::chain(
        tokio_stream::iter(frames),
        tokio_stream::pending::<Bytes>(),
    );
    let path = http::uri::PathAndQuery::from_static("/chat.v1.Chat/Connect");
    let streaming = grpc.streaming(Request::new(frames), path, Raw).await;
    let mut answers = streaming.unwrap().into_inner();
    loop {
        let next = timeout(PATIENCE, answers.message()).await;
        match next.expect("the stream ends in time") {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok(""),
            Err(status) => return status,
        }
    }
}

async fn raw_call(server: &Server, path: &'static str, bytes: Bytes) -> Status {
    let mut grpc = Grpc::new(client::channel(&server.url).await);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    grpc.unary(Request::new(bytes), path, Raw)
        .await
        .unwrap_err()
}

/// A frame whose text is not UTF-8.
fn torn(message: &impl Message) -> Bytes {
    let mut bytes = message.encode_to_vec();
    let at = bytes.windows(4).position(|w| w == b"TEXT").unwrap();
    bytes[at] = 0xff;
    bytes.into()
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
    bob.join("lobby", Some(1)).await.expect("the stream lives");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let (_home, server) = server().await;
    let greeting = |name: &str| Bytes::from(hello(name, "").encode_to_vec());
    let join: Bytes = join("lobby", None).encode_to_vec().into();

    let said = vec![
        greeting("alice"),
        join.clone(),
        torn(&send("lobby", "TEXT", "1")),
    ];
    let status = raw_stream(&server, said).await;
    assert_refused("not UTF-8", &status, Code::InvalidArgument, "must be UTF-8");

    let said = vec![greeting("bob"), Bytes::from_static(b"\xff\xff\xff\xff")];
    let status = raw_stream(&server, said).await;
    assert_refused("noise", &status, Code::InvalidArgument, "can't be decoded");

    let big = send("lobby", &"x".repeat(9000), "1");
    let said = vec![greeting("carol"), join, big.encode_to_vec().into()];
    let status = raw_stream(&server, said).await;
    let expected = (Code::ResourceExhausted, "at most 8192 are allowed");
    assert_refused("a large frame", &status, expected.0, expected.1);

    let call = |text: &str| v1::SendRequest {
        name: "dave".into(),
        room: "lobby".into(),
        text: text.into(),
        ..v1::SendRequest::default()
    };
    let path = "/chat.v1.Chat/Send";
    let status = raw_call(&server, path, torn(&call("TEXT"))).await;
    assert_refused("not UTF-8", &status, Code::InvalidArgument, "must be UTF-8");
    let big: Bytes = call(&"x".repeat(9000)).encode_to_vec().into();
    let status = raw_call(&server, path, big).await;
    assert_refused("a large call", &status, Code::ResourceExhausted, "8192");
    let status = raw_call(&server, "/chat.v1.Chat/Shout", Bytes::new()).await;
    assert_refused("no method", &status, Code::Unimplemented, "no method");
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
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let home = Home::new("[limits]\nhandshake_seconds = 1\n").flag("--memory");
    let server = home.start().await;
    let mut client = client(&server.url).await;
    let (_said, mut frames) = stream(&mut client, vec![]).await.unwrap();
    let status = end(&mut frames).await;
    assert_refused("a stream", &status, Code::DeadlineExceeded, "no hello came");

    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
    // Closed in order, or reset.
    let _ = read.expect("the connection is closed in time");
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

#[tokio::test]
async fn a_port_in_use_fails_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = Home::new("").refused(&address).await;
    assert_eq!(code, 1, "{said}");
    let words = format!("{address} is in use by another program");
    assert!(said.contains(&words) && said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_missing_data_folder_is_made_for_its_owners_eyes() {
    let home = Home::new("");
    assert!(!home.data().exists());
    home.start().await.stop().await;
    let mode = std::fs::metadata(home.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let home = Home::new("");
    std::fs::write(home.data(), "no folder").unwrap();
    let (code, said) = home.refused("127.0.0.1:0").await;
    assert_eq!(code, 1, "{said}");
    let words = format!("the data folder {} can't be used", home.data().display());
    assert!(said.contains(&words) && said.contains("--data"), "{said}");
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_fails_the_start() {
    let home = Home::new("");
    std::fs::create_dir(home.data()).unwrap();
    // The settings are readable, and the data is not for others.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.path(""), open.clone()).unwrap();
    std::fs::set_permissions(home.data(), open).unwrap();
    let mut command = home.command(&[PROGRAM], "127.0.0.1:0");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    } else {
        let none = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(home.data(), none).unwrap();
    }
    command.current_dir("/");
    let mut probe = tokio::process::Command::new(PROGRAM);
    probe.arg("-V");
    if is_root() {
        probe.uid(NOBODY).gid(NOBODY);
    }
    if probe.output().await.is_err() {
        return skip(
            "a folder that may not be written",
            "an unprivileged user can't reach the program",
        );
    }
    let (code, said) = ended(command).await;
    assert_eq!(code, 1, "{said}");
    let words = format!("the data folder {} can't be used", home.data().display());
    assert!(said.contains(&words) && said.contains("--data"), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
}

#[tokio::test]
async fn an_empty_plugin_folder_serves_and_says_so() {
    let home = Home::new("").flag("--memory");
    let plugins = home.path("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let home = home.flag("--plugins").flag(plugins.to_str().unwrap());
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.post("lobby", "hi", "1").await.unwrap();
    until("it says so", || home.log().contains("no plugin is loaded")).await;
}

#[tokio::test]
async fn a_missing_plugin_folder_fails_the_start() {
    let home = Home::new("")
        .flag("--memory")
        .flag("--plugins")
        .flag("/nowhere/at/all");
    let (code, said) = home.refused("127.0.0.1:0").await;
    assert_eq!(code, 1, "{said}");
    let words = "the plugin folder /nowhere/at/all can't be read";
    assert!(said.contains(words) && said.contains("--plugins"), "{said}");
}
