//! A message that a plugin fails at is never lost, and holds nothing up: it is a dead letter, which the operator sees,
//! and can send again when the plugin is mended. Once.

use std::process::Stdio;

use chat_host::proto::v1;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::client::{Session, assert_dense, client, head, history, text};
use super::plugin_support::hostile;
use super::server::{Home, NO_QUARANTINE, PATIENCE, PROGRAM, ROOMY, Server, settled, until};

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

/// Takes the plugin out, and waits until it serves no more.
async fn without_plugin(home: &Home) {
    std::fs::remove_file(home.path("plugins").join("hostile.wasm")).unwrap();
    until("the plugin is gone", || {
        home.log().contains("plugin removed")
    })
    .await;
}

/// What `chat-host dead-letters …` ends with, and what it says on stdout and stderr.
async fn ask(home: &Home, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("dead-letters").args(words);
    command.arg("--data").arg(home.data());
    settled(&mut command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

async fn letters(home: &Home) -> Vec<Value> {
    let (code, said, wrong) = ask(home, &["list", "--json"]).await;
    assert_eq!(code, 0, "{wrong}");
    let parsed = said.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_message_is_kept_for_the_operator_and_its_room_goes_on() {
    let (home, server) = server("withhold").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for number in 1..=4_u64 {
        let poison = format!("do:panic {number}");
        let id = format!("poison-{number}");
        let decided = alice.post("lobby", &poison, &id).await.unwrap();
        assert_eq!(decided.result(), v1::Result::Withheld, "{decided:?}");
        let id = format!("good-{number}");
        let decided = alice.post("lobby", "hello", &id).await.unwrap();
        assert_eq!(decided.sequence, number, "{decided:?}");
    }

    let found = letters(&home).await;
    assert_eq!(found.len(), 4, "{found:#?}");
    for (letter, number) in found.iter().zip([4, 3, 2, 1]) {
        assert_eq!(letter["text"], format!("do:panic {number}"), "{letter:#}");
        assert_eq!(letter["room"], "lobby");
        assert_eq!(letter["sender"], "alice");
        assert_eq!(letter["outcome"], "withheld");
        let failure = &letter["failures"][0];
        assert_eq!(failure["plugin"], "hostile", "{letter:#}");
        assert_eq!(failure["version"], "1.0.0+first");
        assert_eq!(failure["role"], "moderation");
        assert_eq!(failure["blame"], "trap");
        assert_eq!(failure["policy"], "withhold");
        let detail = failure["detail"].as_str().unwrap();
        assert!(detail.contains("as I was told"), "{detail}");
        let output: Vec<&str> = failure["output"].as_str().unwrap().lines().collect();
        assert!(output[0].contains("panicked at"), "{output:?}");
        assert!(output[1].contains("as I was told"), "{output:?}");
    }
    // A panic often quotes the message, so the log has none of it.
    assert!(!home.log().contains("as I was told"), "{}", home.log());

    let id = found[1]["id"].as_str().unwrap();
    let message = found[1]["message"].as_str().unwrap();
    for name in [id, message] {
        let (code, shown, wrong) = ask(&home, &["show", name]).await;
        assert_eq!(code, 0, "{wrong}");
        for word in [id, message, "do:panic 3", "hostile 1.0.0+first", "offset"] {
            assert!(shown.contains(word), "no {word} in\n{shown}");
        }
        let indented = shown
            .lines()
            .filter(|line| line.starts_with("            "));
        assert!(
            indented.clone().any(|line| line.contains("panicked at")),
            "{shown}"
        );
    }
    let (code, listed, _) = ask(&home, &["list", "--limit", "1"]).await;
    assert!(
        code == 0 && listed.contains("hostile (trap)"),
        "{code} {listed}"
    );

    // They are part of the log: as many after a kill.
    server.kill().await;
    let server = home.start().await;
    assert_eq!(letters(&home).await, found);
    let (code, said, wrong) = ask(&home, &["clear"]).await;
    assert_eq!(
        (code, said.as_str()),
        (0, "4 dead letters cleared\n"),
        "{wrong}"
    );
    assert_eq!(letters(&home).await, Vec::<Value>::new());
    server.stop().await;

    let (code, _, wrong) = ask(&home, &["list"]).await;
    assert!(code == 4 && wrong.contains("no server runs on"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_delivered_once_however_often_it_is_sent_again() {
    let (home, server) = server("withhold").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut bob = Session::in_room(&server.url, "bob", "lobby").await;
    let decided = alice.post("lobby", "do:trap", "1").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Withheld);
    let id = letters(&home).await[0]["id"].as_str().unwrap().to_owned();

    // Still as it was: it fails again, which makes another letter.
    let (code, _, wrong) = ask(&home, &["retry", &id]).await;
    assert!(code == 3 && wrong.contains("withheld"), "{code} {wrong}");
    let found = letters(&home).await;
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[1]["retried"]["outcome"], "withheld");
    assert_eq!(found[1]["retried"]["message"], found[0]["message"]);

    without_plugin(&home).await;
    let (code, _, wrong) = ask(&home, &["retry", &id]).await;
    assert!(code == 3 && wrong.contains("before"), "{code} {wrong}");
    let id = found[0]["id"].as_str().unwrap();
    // Two at once, and one after them.
    let retry = ["retry", id];
    let (one, other) = tokio::join!(ask(&home, &retry), ask(&home, &retry));
    let later = ask(&home, &retry).await;
    let said: Vec<&str> = [&one, &other, &later]
        .map(|(_, said, _)| said.trim())
        .into();
    let before = said.iter().filter(|said| said.contains("before")).count();
    assert!(
        said.iter().all(|said| said.contains("delivered")),
        "{said:?}"
    );
    assert_eq!(before, 2, "{said:?}");

    let event = bob.event().await;
    assert_eq!((text(&event), event.sender.as_str()), ("do:trap", "alice"));
    let decided = alice.post("lobby", "on", "2").await.unwrap();
    assert_eq!(decided.sequence, 2, "it is there once");
    let events = history(&mut client(&server.url).await, "lobby").await;
    assert_dense(&events);
    assert_eq!(events.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_passed_all_the_same_is_not_sent_again() {
    let (home, server) = server("allow").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let decided = alice.post("lobby", "do:trap", "1").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
    let found = letters(&home).await;
    assert_eq!(found.len(), 1, "one letter a message: {found:#?}");
    let roles: Vec<&Value> = found[0]["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| &failure["role"])
        .collect();
    assert_eq!(roles, ["moderation", "formatting", "review"]);
    let id = found[0]["id"].as_str().unwrap();
    for (name, words) in [
        (id, "had passed all the same"),
        ("0-77", "there is no dead letter `0-77`"),
        ("nonsense", "`nonsense` is no dead letter's id"),
    ] {
        let (code, _, wrong) = ask(&home, &["retry", name]).await;
        assert!(code == 3 && wrong.contains(words), "{code} {wrong}");
    }
    assert_eq!(head(&mut client(&server.url).await, "lobby").await, 1);
    server.stop().await;
}
