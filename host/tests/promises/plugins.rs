//! No plugin can hurt the host: one that loops, sleeps, traps, eats memory or answers nonsense costs its own message at
//! most, as the operator said, and other rooms nothing.

use chat_host::proto::v1::{self, private_event, room_event};
use tokio::time::Instant;

use super::client::{Session, text};
use super::plugin_support::hostile;
use super::server::{Home, NO_QUARANTINE, ROOMY, Server};

/// What it does in every role that sees the text.
const DEEDS: [&str; 14] = [
    "loop",
    "sleep",
    "nap-and-work",
    "trap",
    "panic",
    "memory",
    "memory-grow",
    "recursion",
    "host-calls",
    "exit",
    "miscount",
    "enormous",
    "huge",
    "bell",
];

async fn server(policy: &str) -> (Home, Server) {
    let settings = format!("{ROOMY}{NO_QUARANTINE}[plugins.hostile]\non-failure = \"{policy}\"\n");
    let home = Home::new(&settings);
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hostile.wasm"), hostile()).unwrap();
    let home = home.flag("--plugins").flag(folder.to_str().unwrap());
    let server = home.start().await;
    (home, server)
}

/// Somebody who talks in another room and must not notice anything, until told to stop: how many messages it were.
fn bystander(
    server: &Server,
) -> (
    tokio::task::JoinHandle<u64>,
    tokio::sync::oneshot::Sender<()>,
) {
    let url = server.url.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let talking = tokio::spawn(async move {
        let mut bob = Session::in_room(&url, "bob", "elsewhere").await;
        let mut number = 0;
        while stopped.try_recv().is_err() {
            number += 1;
            let id = number.to_string();
            let decided = bob.post("elsewhere", "all is well", &id).await.unwrap();
            assert_eq!(decided.sequence, number);
            assert_eq!(text(&bob.event().await), "all is well");
        }
        number
    });
    (talking, stop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_lets_the_message_pass_where_the_operator_says_so() {
    let (_home, server) = server("allow").await;
    let (talking, stop) = bystander(&server);
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for (deed, number) in DEEDS.into_iter().zip(1_u64..) {
        let said = format!("I do:{deed} now");
        let began = Instant::now();
        let decided = alice.post("lobby", &said, deed).await.unwrap();
        println!("{deed}: {:?}", began.elapsed());
        assert_eq!(
            decided.result(),
            v1::Result::Delivered,
            "{deed}: {decided:?}"
        );
        let event = alice.event().await;
        assert_eq!(event.sequence, number, "{deed}");
        assert_eq!(text(&event), said, "{deed}");
        let Some(room_event::Event::Message(body)) = event.event else {
            panic!("{deed}");
        };
        let shown: String = body.runs.iter().map(|run| run.text.as_str()).collect();
        assert!(shown.is_empty() || shown == said, "{deed}: {shown}");
    }
    stop.send(()).unwrap();
    assert!(talking.await.unwrap() > 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_withholds_the_message_where_the_operator_says_so() {
    let (_home, server) = server("withhold").await;
    let (talking, stop) = bystander(&server);
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for (deed, number) in DEEDS.into_iter().zip(1_u64..) {
        let decided = alice.post("lobby", &format!("do:{deed}"), deed).await;
        let decided = decided.unwrap();
        assert_eq!(
            decided.result(),
            v1::Result::Withheld,
            "{deed}: {decided:?}"
        );
        assert_eq!(decided.sequence, 0, "{deed}");
        let private = alice.private().await;
        let Some(private_event::Event::Withheld(withheld)) = private.event else {
            panic!("{deed}: {private:?}");
        };
        assert_eq!(withheld.client_id, deed);
        assert_eq!(withheld.plugin, "hostile", "{withheld:?}");
        assert!(!withheld.reason.is_empty(), "{deed}");
        // Only the guilty one, and no number is spent on it.
        let decided = alice.post("lobby", "hello", &format!("{deed}-after")).await;
        assert_eq!(decided.unwrap().sequence, number, "{deed}");
        assert_eq!(text(&alice.event().await), "hello");
    }
    stop.send(()).unwrap();
    assert!(talking.await.unwrap() > 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_is_answered_and_the_room_goes_on() {
    for policy in ["allow", "withhold"] {
        let (_home, server) = server(policy).await;
        let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
        for (deed, number) in DEEDS.into_iter().zip(1_u64..) {
            let decided = alice.post("lobby", &format!("/deed do:{deed}"), deed).await;
            let decided = decided.unwrap();
            assert_ne!(
                decided.result(),
                v1::Result::SendAgain,
                "{deed}: {decided:?}"
            );
            let decided = alice.post("lobby", "hello", &format!("{deed}-after")).await;
            let decided = decided.unwrap();
            assert_eq!(decided.result(), v1::Result::Delivered, "{deed}");
            assert!(decided.sequence >= number, "{deed}: {decided:?}");
        }
        server.stop().await;
    }
}
