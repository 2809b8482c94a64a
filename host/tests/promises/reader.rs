//! A slow reader slows nobody and loses nothing: a member stops reading for 30,000 messages.

use chat_host::proto::v1::server_frame::Frame;

use super::client::{Session, send, text};
use super::server::{Home, ROOMY};

const MESSAGES: u64 = 30_000;

fn content(number: u64) -> String {
    format!("message {number} {}", "x".repeat(150))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stopped_holds_up_nobody_and_gets_everything() {
    let home = Home::new(ROOMY);
    let server = home.start().await;
    let mut stopped = Session::in_room(&server.url, "stopped", "lobby").await;
    let mut reader = Session::in_room(&server.url, "reader", "lobby").await;
    let mut sender = Session::in_room(&server.url, "sender", "lobby").await;

    let said = sender.said.clone();
    let saying = tokio::spawn(async move {
        for number in 1..=MESSAGES {
            let frame = send("lobby", &content(number), &number.to_string());
            said.send(frame).await.expect("the sender's stream lives");
        }
    });
    let answers = tokio::spawn(async move {
        let mut acknowledged = 0;
        while acknowledged < MESSAGES {
            match sender.next().await.unwrap().expect("the stream lives") {
                Frame::Acknowledged(_) => acknowledged += 1,
                Frame::Error(error) => panic!("{error:?}"),
                _ => {}
            }
        }
        sender
    });
    for number in 1..=MESSAGES {
        let event = reader.event().await;
        assert_eq!((event.sequence, text(&event)), (number, &*content(number)));
    }
    saying.await.unwrap();
    answers.await.unwrap();

    // Only now, from the store, and nothing of it was dropped.
    for number in 1..=MESSAGES {
        let event = stopped.event().await;
        assert_eq!((event.sequence, text(&event)), (number, &*content(number)));
    }
    let decided = stopped.post("lobby", "I am back", "back").await.unwrap();
    assert_eq!(decided.sequence, MESSAGES + 1);
    server.stop().await;
}

/// What it sends ahead waits in the connection, and is not taken for an attack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_far_ahead_is_held_back_and_not_cut_off() {
    let home = Home::new(ROOMY);
    let server = home.start().await;
    let mut sender = Session::in_room(&server.url, "sender", "r").await;
    let said = sender.said.clone();
    let saying = tokio::spawn(async move {
        for number in 1..=MESSAGES {
            let frame = send("r", "x", &number.to_string());
            said.send(frame).await.expect("the stream lives");
        }
    });
    let mut acknowledged = 0;
    while acknowledged < MESSAGES {
        match sender.next().await.unwrap().expect("the stream lives") {
            Frame::Acknowledged(one) => {
                acknowledged += 1;
                assert_eq!(one.client_id, acknowledged.to_string());
            }
            Frame::Error(error) => panic!("{error:?}"),
            _ => {}
        }
    }
    saying.await.unwrap();
    server.stop().await;
}
