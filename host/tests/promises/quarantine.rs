//! A plugin that fails again and again, or takes too much time, is left out for a while: talk goes on without it, or is
//! kept back with a word on why, and a new version starts clean.

use std::time::Duration;

use chat_host::proto::v1::{self, private_event};
use tokio::time::Instant;

use super::client::{Session, text};
use super::plugin_support::{hostile, patched};
use super::server::{Home, ROOMY, Server, until};

async fn server(policy: &str, settings: &str) -> (Home, Server) {
    let settings =
        format!("{ROOMY}[plugin]\n{settings}\n[plugins.hostile]\non-failure = \"{policy}\"\n");
    let home = Home::new(&settings);
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hostile.wasm"), hostile()).unwrap();
    let home = home.flag("--plugins").flag(folder.to_str().unwrap());
    let server = home.start().await;
    (home, server)
}

/// Exchanges the plugin for another version, and waits until that serves.
async fn new_version(home: &Home) {
    let new = patched(hostile(), "1.0.0+first", "2.0.0+other");
    std::fs::write(home.path("plugins").join("hostile.wasm"), new).unwrap();
    until("the new version serves", || {
        home.log().contains("plugin replaced")
    })
    .await;
}

fn lines(home: &Home, words: &str) -> usize {
    let log = home.log();
    log.lines().filter(|line| line.contains(words)).count()
}

const BEGINS: &str = "is put into quarantine";
const ENDS: &str = "quarantine has ended";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_in_quarantine_would_judge_is_kept_back_with_a_word_on_why() {
    let (home, server) = server("withhold", "quarantine_failures = 3").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut bob = Session::in_room(&server.url, "bob", "elsewhere").await;
    for number in 1..=3 {
        let id = format!("trap-{number}");
        let decided = alice.post("lobby", "do:trap", &id).await.unwrap();
        assert_eq!(decided.result(), v1::Result::Withheld);
        alice.private().await;
    }
    // In every room, also where nothing is wrong with what is said.
    for (who, room) in [(&mut alice, "lobby"), (&mut bob, "elsewhere")] {
        let decided = who.post(room, "hello", "during").await.unwrap();
        assert_eq!(decided.result(), v1::Result::Withheld, "{decided:?}");
        let private = who.private().await;
        let Some(private_event::Event::Withheld(withheld)) = private.event else {
            panic!("{private:?}");
        };
        assert_eq!(withheld.plugin, "hostile");
        assert!(
            withheld.reason.contains("`hostile` is paused"),
            "{withheld:?}"
        );
    }
    assert_eq!(lines(&home, BEGINS), 1, "{}", home.log());

    new_version(&home).await;
    let signed = alice.post("lobby", "do:sign", "after").await.unwrap();
    assert_eq!(signed.result(), v1::Result::Delivered, "{signed:?}");
    assert_eq!(text(&alice.event().await), "2.0.0+other");
    assert_eq!(lines(&home, ENDS), 1, "{}", home.log());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn talk_goes_on_without_a_plugin_in_quarantine_and_with_it_when_that_is_over() {
    let (home, server) = server("allow", "quarantine_failures = 3").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    // Each fails in three roles, so the first is enough.
    let began = Instant::now();
    for number in 1..=20_u64 {
        let id = number.to_string();
        let decided = alice.post("lobby", "do:loop", &id).await.unwrap();
        assert_eq!(decided.sequence, number);
        assert_eq!(text(&alice.event().await), "do:loop");
    }
    // Twenty would loop for three seconds.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let command = alice.post("lobby", "/deed hello", "command").await.unwrap();
    assert_eq!(command.result(), v1::Result::Withheld, "{command:?}");
    assert!(command.reason.contains("is paused"), "{command:?}");
    assert_eq!(lines(&home, BEGINS), 1, "{}", home.log());
    assert!(home.log().contains("3 failures within 60 s"));
    assert_eq!(lines(&home, ENDS), 0);

    until("its time is over", || lines(&home, ENDS) == 1).await;
    assert!(began.elapsed() >= Duration::from_secs(10));
    alice.post("lobby", "do:sign", "after").await.unwrap();
    assert_eq!(text(&alice.event().await), "1.0.0+first");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_slow_at_every_message_is_put_into_quarantine() {
    let (home, server) = server("allow", "").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let began = Instant::now();
    let mut number = 0_u64;
    while lines(&home, BEGINS) == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", home.log());
        number += 1;
        let id = number.to_string();
        let decided = alice.post("lobby", "do:slow", &id).await.unwrap();
        assert_eq!(decided.sequence, number, "{decided:?}");
    }
    println!("{number} messages in {:?}", began.elapsed());
    let log = home.log();
    assert!(log.contains("% of a partition's time"), "{log}");
    assert!(!log.contains("plugin failed"), "it never failed: {log}");
    // It is not asked any more.
    let decided = alice.post("lobby", "do:withhold", "during").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_may_take_its_time_is_not_put_into_quarantine_for_it() {
    let (home, server) = server("allow", "").await;
    let beside = home.path("plugins").join("hostile.toml");
    std::fs::write(beside, "on-failure = 'allow'\nquarantine-percent = 0\n").unwrap();
    until("its own settings are in force", || {
        home.log().contains("plugin replaced")
    })
    .await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let began = Instant::now();
    let mut number = 0_u64;
    // The rule looks at two seconds.
    while began.elapsed() < Duration::from_secs(5) {
        number += 1;
        let id = number.to_string();
        let decided = alice.post("lobby", "do:brink", &id).await.unwrap();
        assert_eq!(decided.sequence, number, "{decided:?}");
    }
    assert_eq!(lines(&home, BEGINS), 0, "{}", home.log());
    server.stop().await;
}
