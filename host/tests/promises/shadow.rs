//! A version in the shadow is asked what the one in force is asked, and decides nothing; the operator reads what it
//! would have decided otherwise, and what plugins say.

use std::process::Stdio;

use chat_host::proto::v1;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::client::{Session, text};
use super::plugin_support::{hostile, patched};
use super::server::{Home, PATIENCE, PROGRAM, ROOMY, settled, until};

fn home() -> Home {
    let home = Home::new(ROOMY);
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hostile.wasm"), hostile()).unwrap();
    home.flag("--plugins").flag(folder.to_str().unwrap())
}

/// What `chat-host plugin …` ends with, and what it says on stdout and stderr.
async fn ask(home: &Home, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("plugin").args(words);
    command.arg("--data").arg(home.data());
    settled(&mut command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

async fn status(home: &Home) -> Value {
    let (code, said, wrong) = ask(home, &["show", "hostile", "--json"]).await;
    assert_eq!(code, 0, "{wrong}");
    serde_json::from_str(&said).unwrap()
}

fn settings(home: &Home, text: &str) {
    std::fs::write(home.path("plugins/hostile.toml"), text).unwrap();
}

const SHADOW: &str = "runs in the shadow";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_in_the_shadow_decides_nothing_and_is_compared() {
    let home = home();
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    settings(&home, "shadow = true\n");
    let new = patched(hostile(), "1.0.0+first", "2.0.0+other");
    std::fs::write(home.path("plugins/hostile.wasm"), &new).unwrap();
    until("it runs in the shadow", || {
        home.log().contains("version=\"2.0.0+other\"")
    })
    .await;

    // Three of these would have been signed otherwise, and one fails there and here.
    let texts = [
        "hello",
        "do:sign",
        "a do:sign",
        "do:withhold",
        "do:sign b",
        "do:trap",
    ];
    let mut number = 0;
    for (index, said) in texts.iter().enumerate() {
        let decided = alice.post("lobby", said, &index.to_string()).await.unwrap();
        if said.contains("withhold") || said.contains("trap") {
            assert_eq!(decided.result(), v1::Result::Withheld, "{said}");
            continue;
        }
        number += 1;
        assert_eq!(decided.sequence, number, "{decided:?}");
        let event = alice.event().await;
        assert_eq!(text(&event), said.replace("do:sign", "1.0.0+first"));
    }
    let said = alice.post("lobby", "/deed hello", "command").await.unwrap();
    assert_eq!(said.result(), v1::Result::Handled, "{said:?}");
    number += 1;
    assert_eq!(alice.event().await.sequence, number, "it was said once");

    let seen = status(&home).await;
    assert_eq!(seen["version"], "1.0.0+first", "{seen:#}");
    assert_eq!(seen["failures"], 1, "that in force failed once: {seen:#}");
    let shadow = &seen["shadow"];
    assert_eq!(shadow["version"], "2.0.0+other", "{shadow:#}");
    assert_eq!(
        (&shadow["otherwise"], &shadow["failures"]),
        (&4.into(), &1.into())
    );
    // Seven in moderation; what passed in formatting and review too, and so what the command says; and the command.
    assert_eq!(shadow["compared"], 7 + 2 * 4 + 2 + 1, "{shadow:#}");
    let examples = shadow["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 4, "{shadow:#}");
    assert_eq!(examples[1]["text"], "do:sign b");
    assert_eq!(examples[1]["room"], "lobby");
    assert_eq!(examples[1]["role"], "moderation");
    assert_eq!(examples[1]["in_force"], "revises it to \"1.0.0+first b\"");
    assert_eq!(examples[1]["shadow"], "revises it to \"2.0.0+other b\"");
    assert!(
        examples[0]["shadow"]
            .as_str()
            .unwrap()
            .starts_with("fails: trap")
    );
    let (_, listed, _) = ask(&home, &["list"]).await;
    let words = "hostile: in the shadow, 2.0.0+other would have answered 4 of 18 otherwise";
    assert!(listed.contains(words), "{listed}");
    let (_, shown, _) = ask(&home, &["show", "hostile"]).await;
    assert!(shown.contains("do:sign b"), "{shown}");
    assert!(!home.log().contains("do:sign"), "a log quotes no message");

    // So it is after a restart, too.
    server.stop().await;
    let server = home.start().await;
    let seen = status(&home).await;
    assert_eq!(seen["version"], "1.0.0+first", "{seen:#}");
    assert_eq!(seen["shadow"]["version"], "2.0.0+other", "{seen:#}");
    let mut alice = Session::in_room(&server.url, "bob", "lobby").await;
    alice.post("lobby", "do:sign", "after").await.unwrap();
    assert_eq!(text(&alice.event().await), "1.0.0+first");

    // It takes effect when it leaves the shadow.
    settings(&home, "");
    until("it serves", || home.log().contains("plugin replaced")).await;
    alice.post("lobby", "do:sign", "then").await.unwrap();
    assert_eq!(text(&alice.event().await), "2.0.0+other");
    let seen = status(&home).await;
    assert_eq!(
        (&seen["version"], &seen["shadow"]),
        (&"2.0.0+other".into(), &Value::Null)
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_may_begin_in_the_shadow_of_none_and_hurts_nobody_there() {
    let home = home();
    settings(&home, "shadow = true\n");
    let server = home.start().await;
    assert!(home.log().contains(SHADOW), "{}", home.log());
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for (number, said) in ["hello", "do:withhold", "/deed x"].iter().enumerate() {
        // Its command is nobody's.
        let id = number.to_string();
        let decided = alice.post("lobby", said, &id).await.unwrap();
        assert_eq!(decided.sequence, number as u64 + 1, "{decided:?}");
        assert_eq!(text(&alice.event().await), *said);
    }
    // Five failures put it into quarantine, and no message waits for it any more.
    for number in 0..6 {
        let id = format!("loop-{number}");
        alice.post("lobby", "do:loop", &id).await.unwrap();
        assert_eq!(text(&alice.event().await), "do:loop");
    }
    let seen = status(&home).await;
    assert_eq!(seen["state"], "in the shadow", "{seen:#}");
    assert_eq!(seen["shadow"]["failures"], 5, "{seen:#}");
    let quarantine = seen["shadow"]["quarantine"].as_str().unwrap();
    assert!(quarantine.contains("5 failures"), "{seen:#}");
    let withheld = &seen["shadow"]["examples"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(withheld["in_force"], "allows it", "{withheld:#}");
    assert_eq!(withheld["shadow"], "withholds it: because", "{withheld:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_puts_into_quarantine_stays_there_until_it_is_released() {
    let home = home();
    let server = home.start().await;
    let (code, shown, wrong) = ask(&home, &["quarantine", "hostile"]).await;
    assert_eq!(code, 0, "{wrong}");
    assert!(shown.contains("until it is released"), "{shown}");
    server.stop().await;
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let decided = alice.post("lobby", "hello", "1").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Withheld);
    assert!(
        decided.reason.contains("paused by the operator"),
        "{decided:?}"
    );
    let (code, _, wrong) = ask(&home, &["release", "hostile"]).await;
    assert_eq!(code, 0, "{wrong}");
    assert_eq!(alice.post("lobby", "hello", "2").await.unwrap().sequence, 1);
    server.stop().await;
    let server = home.start().await;
    let mut bob = Session::in_room(&server.url, "bob", "lobby").await;
    assert_eq!(bob.post("lobby", "hello", "3").await.unwrap().sequence, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_reads_what_plugins_say_as_they_say_it() {
    let home = home();
    let server = home.start().await;
    let mut follow = Command::new(PROGRAM);
    follow.args(["plugin", "logs", "-f", "-n", "0", "hostile", "--data"]);
    follow
        .arg(home.data())
        .stdout(std::fs::File::create(home.path("followed")).unwrap());
    let mut following = follow.kill_on_drop(true).spawn().unwrap();
    let followed = || std::fs::read_to_string(home.path("followed")).unwrap();

    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.post("lobby", "do:log", "1").await.unwrap();
    until("the plugin's own lines are told", || {
        followed().contains("INFO  hostile: llll")
    })
    .await;
    alice.post("lobby", "do:trap", "2").await.unwrap();
    until("what became of it is told", || {
        followed().contains("WARN  hostile: plugin failed")
    })
    .await;

    let (code, said, wrong) = ask(&home, &["logs", "hostile", "-n", "5", "--json"]).await;
    assert_eq!(code, 0, "{wrong}");
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert!(
        lines.iter().all(|line| line["plugin"] == "hostile"),
        "{said}"
    );
    let (code, _, wrong) = ask(&home, &["logs", "nobody"]).await;
    assert!(
        code == 3 && wrong.contains("nothing about a plugin `nobody`"),
        "{code} {wrong}"
    );

    server.stop().await;
    let ended = timeout(PATIENCE, following.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "it ends with the host");
    let (code, _, wrong) = ask(&home, &["logs"]).await;
    assert!(
        code == 4 && wrong.contains("no host runs on"),
        "{code} {wrong}"
    );
}
