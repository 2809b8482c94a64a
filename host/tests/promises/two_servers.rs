//! One data folder: one server at a time, and the next one goes on where it stopped.

use std::time::Duration;

use chat_host::proto::v1::{self, server_frame::Frame};
use rustix::process::Signal;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Endpoint;

use super::client::{Session, assert_dense, client, end, hello, history, join, stream, text};
use super::server::{Home, ROOMY};

#[tokio::test]
async fn the_second_server_on_a_folder_is_refused_and_the_first_unharmed() {
    let home = Home::new(ROOMY);
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.post("lobby", "before", "1").await.unwrap();
    let (code, said) = home.refused("127.0.0.1:0").await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("in use by another chat-host"), "{said}");
    assert!(said.contains("--data"), "{said}");
    let decided = alice.post("lobby", "after", "2").await.unwrap();
    assert_eq!(
        (decided.result(), decided.sequence),
        (v1::Result::Delivered, 2)
    );
    assert!(home.data().join("control.sock").exists());
    server.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_history_numbers_token_and_name() {
    let home = Home::new(ROOMY);
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for number in 1..=300 {
        alice
            .post("lobby", &format!("m{number}"), &format!("{number}"))
            .await
            .unwrap();
    }
    let before = history(&mut client(&server.url).await, "lobby").await;
    let (token, person) = (alice.welcome.token.clone(), alice.welcome.person);
    server.stop().await;
    // What is folded is a cache of the logs: it may be lost.
    for lost in [false, true] {
        if lost {
            std::fs::remove_dir_all(home.data().join("store")).unwrap();
        }
        let server = home.start().await;
        let after = history(&mut client(&server.url).await, "lobby").await;
        assert_eq!(after, before, "without the store: {lost}");
        let stranger = Session::open(&server.url, "alice", "").await.err().unwrap();
        assert_eq!(stranger.code(), Code::AlreadyExists, "{stranger:?}");
        let mut alice = Session::open(&server.url, "alice", &token).await.unwrap();
        assert_eq!(alice.welcome.person, person);
        alice.join("lobby", Some(290)).await.unwrap();
        for number in 291..=300 {
            let event = alice.event().await;
            assert_eq!(
                (event.sequence, text(&event)),
                (number, &*format!("m{number}"))
            );
        }
        let repeat = alice.post("lobby", "m300", "300").await.unwrap();
        assert!(repeat.repeat && repeat.sequence == 300, "{repeat:?}");
        server.stop().await;
    }
    assert_dense(&before);
}

#[tokio::test]
async fn a_drain_says_goodbye_and_ends_well() {
    let home = Home::new(ROOMY).flag("--drain").flag("20s");
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut calls = client(&server.url).await;
    let watch = v1::WatchRequest {
        room: "lobby".into(),
        ..v1::WatchRequest::default()
    };
    let mut watched = calls.watch(watch).await.unwrap().into_inner();
    let began = Instant::now();
    server.signal(Signal::TERM);
    let goodbye = alice.until(|frame| match frame {
        Frame::Goodbye(goodbye) => Some(goodbye),
        _ => None,
    });
    let goodbye = goodbye.await.unwrap();
    assert!(goodbye.reason.contains("connect again"), "{goodbye:?}");
    assert!(goodbye.reconnect_after_ms > 0, "{goodbye:?}");
    assert_eq!(end(&mut alice.frames).await.code(), Code::Unavailable);
    assert_eq!(end(&mut watched).await.code(), Code::Unavailable);
    assert_eq!(server.wait().await.code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "no deadline was waited for"
    );
    assert!(!home.log().contains("took too long"), "{}", home.log());
}

/// A client that has stopped reading can't be told anything, and must not hold the drain up.
#[tokio::test]
async fn a_stuck_session_is_cut_off_at_the_deadline() {
    let home = Home::new(ROOMY).flag("--drain").flag("4s");
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let text = "x".repeat(4000);
    for number in 0..200 {
        alice
            .post("lobby", &text, &format!("{number}"))
            .await
            .unwrap();
    }
    // Nothing reads this one's frames, and its window is small.
    let endpoint = Endpoint::from_shared(server.url.clone()).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await;
    let mut stuck = v1::chat_client::ChatClient::new(channel.unwrap());
    let frames = vec![hello("bob", ""), join("lobby", Some(0))];
    let (_said, mut unread) = stream(&mut stuck, frames).await.unwrap();
    // Once it is a member, its frames are under way.
    unread.message().await.unwrap();
    let joined = alice.until(|frame| match frame {
        Frame::Members(members) if members.names.iter().any(|n| n == "bob") => Some(()),
        _ => None,
    });
    joined.await.unwrap();
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().await.code(), Some(0));
    let took = began.elapsed();
    let log = home.log();
    // Clients have three quarters of the time; deciding and delivering need none of the rest.
    assert!(
        took >= Duration::from_secs(3),
        "nobody was stuck: {took:?}\n{log}"
    );
    assert!(took < Duration::from_secs(8), "{took:?}\n{log}");
    let warned = log
        .lines()
        .find(|line| line.contains("clients did not go in time; they are cut off"))
        .unwrap_or_else(|| panic!("nobody is named:\n{log}"));
    assert!(warned.contains(" WARN "), "{warned}");
    // Who reads has gone; the stuck one's session has said its goodbye into a connection that takes nothing.
    assert!(warned.contains("sessions=0"), "{warned}");
    assert!(warned.contains("connections=1"), "{warned}");
    assert!(!log.contains("the drain took too long"), "{log}");
    drop(unread);
}
