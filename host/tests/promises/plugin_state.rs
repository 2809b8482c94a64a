//! What a plugin remembers is the operator's: shown, written down, brought back and deleted, at one point of the log.
//! And it never disagrees with the log, however the server ends.

use std::path::Path;
use std::process::Stdio;

use chat_host::proto::v1;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::client::{Session, assert_dense, client, history, text};
use super::plugin_support::component;
use super::server::{Home, NO_QUARANTINE, PATIENCE, PROGRAM, ROOMY, Server, settled, until};

/// A home with the plugin `tally`.
fn home(settings: &str) -> Home {
    let home = Home::new(&format!("{ROOMY}{NO_QUARANTINE}{settings}"));
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    let tally = component("tally-guest", "tally");
    std::fs::copy(tally, folder.join("tally.wasm")).unwrap();
    home.flag("--plugins").flag(folder.to_str().unwrap())
}

/// What `chat-host plugin state …` ends with, and what it says on stdout and stderr.
async fn ask(home: &Home, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["plugin", "state"]).args(words);
    command.arg("--data").arg(home.data());
    settled(&mut command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

async fn done(home: &Home, words: &[&str]) -> String {
    let (code, said, wrong) = ask(home, words).await;
    assert_eq!(code, 0, "{words:?}: {wrong}");
    said
}

async fn refused(home: &Home, words: &[&str], exit: i32, reason: &str) {
    let (code, _, wrong) = ask(home, words).await;
    assert!(
        code == exit && wrong.contains(reason),
        "{words:?}: {code} {wrong}"
    );
}

/// How it stands in each room.
async fn shown(home: &Home) -> Vec<Value> {
    let said = done(home, &["show", "tally", "--json"]).await;
    serde_json::from_str(&said).unwrap()
}

/// What is exported, without where and when.
async fn exported(home: &Home) -> Vec<Value> {
    let said = done(home, &["export", "tally"]).await;
    let lines = said.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let object = line.as_object_mut().unwrap();
        for word in ["time", "partition", "outcome"] {
            object.remove(word);
        }
        line
    });
    lines.collect()
}

async fn say(session: &mut Session, room: &str, said: &str) -> String {
    let id = format!("{said}-in-{room}");
    let decided = session.post(room, said, &id).await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
    loop {
        let event = session.event().await;
        if event.client_id == id {
            return text(&event).to_owned();
        }
    }
}

/// An export with these entries in one room.
fn file(path: &Path, room: &str, layout: u32, entries: &[Value]) {
    let head = json!({"plugin": "tally", "host": "0", "time": "", "rooms": 1});
    let line = json!({"room": room, "layout": layout, "entries": entries.len()});
    let mut lines = vec![head.to_string(), line.to_string()];
    lines.extend(entries.iter().map(Value::to_string));
    std::fs::write(path, lines.join("\n")).unwrap();
}

async fn kill_and_start(home: &Home, server: Server) -> Server {
    server.kill().await;
    home.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_deleted_and_imported_is_there_again_and_goes_on() {
    let home = home("");
    let server = home.start().await;
    refused(&home, &["show", "tally"], 3, "remembers nothing here").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.join("tea", None).await.unwrap();
    for (room, said, heard) in [
        ("lobby", "one", "one #1"),
        ("lobby", "two", "two #2"),
        ("tea", "three", "three #1"),
    ] {
        assert_eq!(say(&mut alice, room, said).await, heard);
    }
    let decided = alice.post("tea", "/later", "later").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Handled, "{decided:?}");

    let before = shown(&home).await;
    let lobby = json!({"room": "lobby", "entries": 2, "bytes": 22, "layout": 0, "timers": 0});
    assert_eq!(before[0], lobby);
    assert_eq!(
        (&before[1]["entries"], &before[1]["timers"]),
        (&json!(2), &json!(1))
    );
    let kept = exported(&home).await;
    assert_eq!(kept[0]["rooms"], 2, "{kept:?}");
    assert_eq!(kept[2], json!({"key": "all", "counter": 2}), "{kept:?}");
    assert_eq!(kept[3]["text"], "\"two\"", "{kept:?}");
    let path = home.path("kept.jsonl");
    let path = path.to_str().unwrap();
    done(&home, &["export", "tally", path]).await;
    refused(&home, &["export", "tally", path], 1, "exists already").await;

    refused(
        &home,
        &["delete", "tally"],
        2,
        "4 entries and 1 timers of `tally` in 2 rooms",
    )
    .await;
    assert_eq!(
        shown(&home).await,
        before,
        "without --yes nothing is deleted"
    );
    done(&home, &["delete", "tally", "--yes"]).await;
    refused(&home, &["show", "tally"], 3, "remembers nothing here").await;
    assert_eq!(say(&mut alice, "lobby", "new").await, "new #1");

    let server = kill_and_start(&home, server).await;
    refused(
        &home,
        &["show", "tally", "--room", "tea"],
        3,
        "nothing in #tea",
    )
    .await;
    let said = done(&home, &["import", "tally", path, "--replace"]).await;
    assert_eq!(said, "2 rooms imported\n");
    assert_eq!(exported(&home).await, kept);
    let server = kill_and_start(&home, server).await;
    assert_eq!(exported(&home).await, kept, "it is part of the log");

    let mut bob = Session::in_room(&server.url, "bob", "lobby").await;
    assert_eq!(say(&mut bob, "lobby", "on").await, "on #3");
    // What has another key stays, what has the same one comes back.
    done(&home, &["import", "tally", path]).await;
    let lobby = shown(&home).await[0].clone();
    assert_eq!(lobby["entries"], 3, "{lobby}");
    assert_eq!(say(&mut bob, "lobby", "again").await, "again #3");
    done(&home, &["delete", "tally", "--room", "lobby", "--yes"]).await;
    assert_eq!(shown(&home).await.len(), 1, "the other room is left alone");
    server.stop().await;
    refused(&home, &["show", "tally"], 4, "no host runs on").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_imported_changes_nothing_and_is_told() {
    let home = home("");
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    say(&mut alice, "lobby", "one").await;
    let before = exported(&home).await;
    let path = home.path("file.jsonl");
    let import = |flag: &'static str| {
        let words = vec!["import", "tally", path.to_str().unwrap(), flag];
        words
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
    };
    let entry = |key: String, bytes: usize| json!({"key": key, "text": "x".repeat(bytes)});

    file(&path, "nowhere", 0, &[]);
    refused(&home, &import(""), 3, "there is no room `nowhere`").await;
    file(&path, "lobby", 1, &[]);
    refused(
        &home,
        &import(""),
        3,
        "has layout 0, and what is imported has layout 1",
    )
    .await;
    file(&path, "lobby", 0, &[entry("k".repeat(257), 1)]);
    refused(&home, &import(""), 3, "257 bytes; 1 to 256 are allowed").await;
    file(&path, "lobby", 0, &[entry("k".into(), 65_537)]);
    refused(&home, &import(""), 3, "65537 bytes; at most 65536").await;
    let many: Vec<Value> = (0..10_001).map(|n| entry(n.to_string(), 1)).collect();
    file(&path, "lobby", 0, &many);
    refused(&home, &import("--replace"), 3, "at most 10000").await;
    let much: Vec<Value> = (0..65).map(|n| entry(n.to_string(), 65_000)).collect();
    file(&path, "lobby", 0, &much);
    refused(&home, &import("--replace"), 3, "and 4194304 are allowed").await;
    // With what is there it is one too many.
    file(&path, "lobby", 0, &many[..9_999]);
    refused(&home, &import(""), 3, "10001 entries").await;
    std::fs::write(&path, "nonsense").unwrap();
    refused(&home, &import(""), 2, "line 1").await;
    assert_eq!(exported(&home).await, before);

    // As much as there may be, in many pieces.
    file(&path, "lobby", 0, &many[..10_000]);
    done(&home, &import("--replace")).await;
    assert_eq!(shown(&home).await[0]["entries"], 10_000);
    let full: Vec<Value> = (0..64).map(|n| entry(n.to_string(), 65_000)).collect();
    file(&path, "lobby", 0, &full);
    done(&home, &import("--replace")).await;
    assert_eq!(shown(&home).await[0]["entries"], 64);
    assert_eq!(exported(&home).await.len(), 66);
    // What has expired meanwhile does not come back.
    let old = json!({"key": "old", "text": "x", "expires_ms": 1});
    file(&path, "lobby", 0, &[old]);
    done(&home, &import("--replace")).await;
    refused(&home, &["show", "tally"], 3, "remembers nothing").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_among_messages_happens_between_two_of_them() {
    let home = home("");
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut sent = 0;
    for _ in 0..3 {
        for _ in 0..50 {
            sent += 1;
            let frame = super::client::send("lobby", "hello", &sent.to_string());
            alice.say(frame).await;
        }
        // Some are decided, and some are on their way.
        alice.decided(&(sent - 45).to_string()).await.unwrap();
        done(&home, &["delete", "tally", "--yes"]).await;
    }
    sent += 1;
    alice
        .post("lobby", "hello", &sent.to_string())
        .await
        .unwrap();
    let events = history(&mut client(&server.url).await, "lobby").await;
    assert_dense(&events);
    assert_eq!(events.len(), sent);
    let mut begun = 0;
    let mut last = 0;
    for event in &events {
        let number: u64 = text(event)
            .strip_prefix("hello #")
            .unwrap()
            .parse()
            .unwrap();
        if number == 1 {
            begun += 1;
        } else {
            assert_eq!(number, last + 1, "{event:?}");
        }
        last = number;
    }
    assert!((2..=4).contains(&begun), "it began {begun} times");
    let left = done(&home, &["show", "tally", "--json"]).await;
    let counted = exported(&home).await;
    assert_eq!(counted[2], json!({"key": "all", "counter": last}), "{left}");
    server.stop().await;
}

fn kills() -> u64 {
    let asked = std::env::var("CHAT_HOST_STATE_KILLS").ok();
    asked.map_or(5, |n| n.parse().expect("a number of kills"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_agrees_with_the_log_after_kills() {
    let home = home("[plugins.tally]\non-failure = \"withhold\"\n");
    let mut server = home.start().await;
    let (mut sent, mut withheld, mut token) = (0_u64, 0, String::new());
    for kill in 0..=kills() {
        let mut alice = Session::open(&server.url, "alice", &token).await.unwrap();
        token.clone_from(&alice.welcome.token);
        alice.join("lobby", None).await.unwrap();
        // A message that fails is numbered, and the number is taken back with it.
        for _ in 0..40 {
            sent += 1;
            let said = if sent.is_multiple_of(9) {
                "do:panic"
            } else {
                "hello"
            };
            withheld += u64::from(said == "do:panic");
            alice
                .say(super::client::send("lobby", said, &sent.to_string()))
                .await;
        }
        if kill == kills() {
            alice.decided(&sent.to_string()).await.unwrap();
            break;
        }
        // Killed while most of them are on their way; what is not decided is sent again.
        alice.decided(&(sent - 35).to_string()).await.unwrap();
        server = kill_and_start(&home, server).await;
        let mut alice = Session::open(&server.url, "alice", &token).await.unwrap();
        alice.join("lobby", None).await.unwrap();
        for number in sent - 39..=sent {
            let said = if number.is_multiple_of(9) {
                "do:panic"
            } else {
                "hello"
            };
            alice
                .say(super::client::send("lobby", said, &number.to_string()))
                .await;
        }
        alice.decided(&sent.to_string()).await.unwrap();
    }
    let events = history(&mut client(&server.url).await, "lobby").await;
    assert_dense(&events);
    for (event, number) in events.iter().zip(1..) {
        assert_eq!(text(event), format!("hello #{number}"), "{event:?}");
    }
    assert_eq!(events.len() as u64, sent - withheld);
    let counted = exported(&home).await;
    let all = json!({"key": "all", "counter": events.len()});
    assert_eq!(counted[2], all, "{counted:?}");
    server.stop().await;
}

/// What `chat-host plugin …` or `dead-letters …` says.
async fn tool(home: &Home, words: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(words).arg("--data").arg(home.data());
    settled(&mut command);
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {wrong}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the tally tells after a message.
async fn told(session: &mut Session, room: &str, said: &str) -> String {
    let heard = say(session, room, said).await;
    heard.split_once(' ').unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_brings_each_room_along_once_whatever_ends_the_server() {
    // Of all partitions.
    const ROOMS: [&str; 6] = ["lobby", "tea", "one", "two", "three", "four"];
    let home = home("");
    let server = home.start().await;
    let mut alice = Session::open(&server.url, "alice", "").await.unwrap();
    let token = alice.welcome.token.clone();
    for room in ROOMS {
        alice.join(room, None).await.unwrap();
        assert_eq!(told(&mut alice, room, "a").await, "#1");
        assert_eq!(told(&mut alice, room, "b").await, "#2");
    }
    let old = home.path("old.jsonl");
    done(&home, &["export", "tally", old.to_str().unwrap()]).await;

    let folder = home.path("plugins");
    let file = folder.join("tally.wasm.new");
    std::fs::copy(component("tally-next-guest", "tally_next"), &file).unwrap();
    std::fs::rename(&file, folder.join("tally.wasm")).unwrap();
    until("the new version serves", || {
        home.log().contains("plugin replaced")
    })
    .await;
    for room in &ROOMS[..3] {
        assert_eq!(told(&mut alice, room, "c").await, "##3 1", "{room}");
    }
    let server = kill_and_start(&home, server).await;
    let mut alice = Session::open(&server.url, "alice", &token).await.unwrap();
    for (at, room) in ROOMS.into_iter().enumerate() {
        alice.join(room, None).await.unwrap();
        let number = if at < 3 { 4 } else { 3 };
        let expected = format!("##{number} 1");
        assert_eq!(told(&mut alice, room, "d").await, expected, "{room}");
    }
    let layouts: Vec<Value> = shown(&home).await;
    assert!(
        layouts.iter().all(|room| room["layout"] == 1),
        "{layouts:?}"
    );

    // Back to a version that can't read it: it is left alone, and the operator is told.
    let before = exported(&home).await;
    tool(&home, &["plugin", "rollback", "tally"]).await;
    let decided = alice.post("lobby", "back", "back").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Withheld, "{decided:?}");
    let letters = tool(&home, &["dead-letters", "list", "--json"]).await;
    assert!(
        letters.contains("(layout 1; this one writes 0)"),
        "{letters}"
    );
    assert_eq!(exported(&home).await, before);
    // An older export is what it can go on with; and what the newer one then brings along again.
    let import = ["import", "tally", old.to_str().unwrap()];
    refused(&home, &import, 3, "they don't mix").await;
    done(&home, &[&import[..], &["--replace"]].concat()).await;
    assert_eq!(told(&mut alice, "lobby", "e").await, "#3");
    tool(&home, &["plugin", "reload", "tally"]).await;
    assert_eq!(told(&mut alice, "lobby", "f").await, "##4 1");
    assert_eq!(told(&mut alice, "tea", "f").await, "##3 1");
    server.stop().await;
}
