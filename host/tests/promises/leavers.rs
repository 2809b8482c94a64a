//! Clients that do not wait for their answer leave nothing behind.

use chat_host::proto::v1;
use tokio::time::{Duration, sleep, timeout};
use tonic::Code;

use super::client::{Session, client};
use super::server::{Home, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_lets_go_of_its_name() {
    const CALLS: usize = 200;
    let home = Home::new(
        "[limits]\nname_hold_seconds = 1\nsends_per_second = 100000\nsend_burst = 100000\n",
    );
    let server = home.start().await;
    let name = |number: usize| format!("leaver-{number}");
    for number in 0..CALLS {
        let mut client = client(&server.url).await;
        let request = v1::SendRequest {
            name: name(number),
            room: "lobby".into(),
            text: "hi".into(),
            ..v1::SendRequest::default()
        };
        // Some are cancelled before their name is theirs, some with it, some have their answer.
        let patience = Duration::from_micros(200 * (number as u64 % 20));
        timeout(patience, client.send(request)).await.ok();
    }
    let freed = async {
        for number in 0..CALLS {
            loop {
                match Session::open(&server.url, &name(number), "").await {
                    Ok(_) => break,
                    Err(status) => assert_eq!(status.code(), Code::AlreadyExists, "{status:?}"),
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(PATIENCE, freed).await.expect("all names come free");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_claims_names_without_end_is_held_back() {
    let home = Home::new("[limits]\nnew_names_per_minute = 5\n").flag("--memory");
    let server = home.start().await;
    let mut client = client(&server.url).await;
    let mut send = async |name: &str, token: &str| {
        let request = v1::SendRequest {
            name: name.into(),
            token: token.into(),
            room: "lobby".into(),
            text: "hi".into(),
            ..v1::SendRequest::default()
        };
        client
            .send(request)
            .await
            .map(|sent| sent.into_inner().token)
    };
    let mut token = String::new();
    for number in 0..5 {
        token = send(&format!("n{number}"), "").await.unwrap();
    }
    let refusal = send("one-more", "").await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
    assert!(refusal.metadata().contains_key("grpc-retry-pushback-ms"));
    // Also by the other way in; a name that one has is no new one.
    let opened = Session::open(&server.url, "one-more", "").await;
    let refusal = opened.err().expect("a refusal");
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
    send("n4", &token).await.unwrap();
    Session::open(&server.url, "n4", &token).await.unwrap();
}
