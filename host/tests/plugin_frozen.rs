//! What was built for a released interface works for as long as the host serves it: the components in `frozen/` are
//! those of then, are never built again, and answer today what they answered then.
//!
//! `frozen/VERSION/NAME.wasm` has its answers in `NAME.cases.toml` beside it; `echo`, which does all that an interface
//! has, has them here. A later interface gets a folder of its own, with its own components.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_host::plugin::{
    Calls, Effect, Instance, OpenError, Plugins, Run, Style, Target, TextBody, Timer, Verdict,
};
use plugin_support::{House, Memory, item, message, patched, plugin, timer};
use sha2::{Digest, Sha256};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The components of this interface, by name.
fn frozen(version: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(version)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|is| is == "wasm"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} has no component", version.display());
    found
}

fn versions() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(here("tests/frozen"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn echo() -> Vec<u8> {
    std::fs::read(here("tests/frozen/1.0/echo.wasm")).unwrap()
}

#[test]
fn a_released_interface_is_not_touched() {
    let bytes = std::fs::read(here("../wit/1.0/plugin.wit")).unwrap();
    let sum: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        sum, "31f15a73eb32e3bc5c1a4850e86d1586a637663d62ae30017689fe96e3c0255c",
        "wit/1.0 is released and frozen, its comments too: people have built plugins on it. A change needs a new \
         folder: wit/1.x for interfaces that are added, wit/2.0 for anything else"
    );
}

#[test]
fn every_frozen_component_says_of_itself_what_it_said() {
    let house = House::new();
    for path in frozen(&here("tests/frozen/1.0")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        house.put(name, &std::fs::read(&path).unwrap());
    }
    let plugins = house.open().unwrap();
    let set = plugins.set().borrow().clone();
    let mut said: Vec<String> = set
        .plugins
        .iter()
        .map(|plugin| {
            let it = plugin.manifest();
            let commands: Vec<String> = it
                .commands
                .iter()
                .map(|command| format!("/{} {}", command.name, command.usage))
                .collect();
            format!(
                "{} {} {:?} {:?} {} {}",
                it.name,
                it.version,
                it.roles.names(),
                commands,
                it.priority,
                it.batch
            )
        })
        .collect();
    said.sort();
    let expected = [
        r#"basics 0.1.0 ["commands"] ["/help [COMMAND]", "/me ACTION", "/roll [NdM+K]", "/shrug [TEXT]", "/topic TEXT", "/whisper NAME TEXT"] 0 0"#,
        r#"echo 1.0.0 ["moderation", "commands", "formatting", "review", "timers"] ["/echo TEXT", "/recall "] -3 5"#,
        r#"flood 0.1.0 ["moderation"] [] -10 0"#,
        r#"links 0.1.0 ["review"] [] 0 0"#,
        r#"markdown 0.1.0 ["formatting"] [] 0 0"#,
        r#"poll 0.1.0 ["commands"] ["/poll QUESTION | A | B", "/vote NUMBER", "/results "] 0 0"#,
        r#"remind 0.1.0 ["commands", "timers"] ["/remind TIME TEXT", "/reminders "] 0 0"#,
        r#"wordlist 0.1.0 ["moderation"] [] 0 0"#,
    ];
    assert_eq!(said, expected);
}

#[test]
fn every_frozen_component_answers_what_it_answered() {
    for path in versions().iter().flat_map(|version| frozen(version)) {
        if path.file_stem().unwrap() == "echo" {
            continue;
        }
        let cases = path.with_extension("cases.toml");
        assert!(cases.exists(), "{} has no cases", path.display());
        let mut tool = Command::new(env!("CARGO_BIN_EXE_chat-host"));
        let output = tool
            .args(["plugin", "test"])
            .args([&path, &cases])
            .output()
            .unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{}: {said}", path.display());
        assert!(said.contains(" 0 failed"), "{}: {said}", path.display());
    }
}

/// A host that writes down what it is asked for.
#[derive(Default)]
struct Asked {
    memory: Memory,
    asked: Mutex<Vec<String>>,
}

impl Asked {
    fn note(&self, line: String) {
        self.asked.lock().unwrap().push(line);
    }
}

impl Calls for Asked {
    fn state_get(&self, plugin: &str, at: u32, key: &str) -> Option<Vec<u8>> {
        self.note(format!("get {plugin} {at} {key}"));
        self.memory.state_get(plugin, at, key)
    }

    fn state_put(
        &self,
        plugin: &str,
        at: u32,
        key: &str,
        value: Option<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        self.note(format!("put {plugin} {at} {key} {value:?} {ttl:?}"));
        self.memory.state_put(plugin, at, key, value, ttl)
    }

    fn state_add(
        &self,
        plugin: &str,
        at: u32,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, String> {
        self.note(format!("add {plugin} {at} {key} {by} {ttl:?}"));
        self.memory.state_add(plugin, at, key, by, ttl)
    }

    fn person_name(&self, person: u64) -> String {
        self.memory.person_name(person)
    }

    fn room_name(&self, room: u64) -> String {
        self.memory.room_name(room)
    }

    fn members(&self, room: u64, limit: u32) -> Vec<u64> {
        self.note(format!("members {room} {limit}"));
        self.memory.members(room, limit)
    }

    fn commands(&self) -> Vec<(String, String, String)> {
        self.memory.commands()
    }
}

/// `echo` under some settings, and the host that it asks.
fn echoing() -> (Plugins, Box<dyn Instance>, Arc<Asked>) {
    let mut house = House::new();
    house.set("echo", "loud = true");
    house.put("echo", &echo());
    let plugins = house.open().unwrap();
    let asked = Arc::new(Asked::default());
    let instance = plugin(&plugins, "echo").instance(asked.clone()).unwrap();
    (plugins, instance, asked)
}

#[test]
fn a_batch_of_then_is_judged_as_then() {
    let (_plugins, mut it, asked) = echoing();
    let batch = ["allow", "withhold", "discard", "hello"].map(message);
    let told = "hello: of person-5 in room-3, sequence 7, time 1700000000000, count Ok(4), before Some(\"discard\"), \
                kept Ok(()), settings Some(\"{\\\"loud\\\":true}\")";
    assert_eq!(
        it.moderate(&batch).unwrap(),
        [
            Verdict::Allow,
            Verdict::Withhold("withheld from person-5".into()),
            Verdict::Discard,
            Verdict::Revise(told.into()),
        ]
    );
    let asked = asked.asked.lock().unwrap();
    assert_eq!(
        asked[9..],
        [
            "add echo 3 count 1 None",
            "get echo 3 last",
            "put echo 3 last Some([104, 101, 108, 108, 111]) Some(60s)",
        ]
    );
}

#[test]
fn the_commands_of_then_do_what_they_did() {
    let (_plugins, mut it, asked) = echoing();
    let by = message("/echo hi");
    let effects = vec![
        Effect::Say("hi".into()),
        Effect::Act("of /echo hi".into()),
        Effect::Notice("echo".into()),
        Effect::Whisper {
            to: "bob".into(),
            text: "hi".into(),
        },
        Effect::Reply("hi".into()),
        Effect::Topic("hi".into()),
        Effect::Mute {
            person: 5,
            duration: Duration::from_millis(1500),
        },
        Effect::Schedule(Timer {
            key: "later".into(),
            delay: Duration::from_secs(60),
            data: b"hi".to_vec(),
        }),
        Effect::Cancel("earlier".into()),
    ];
    assert_eq!(it.run("echo", "hi", &by), Ok(Ok(effects)));
    assert_eq!(it.run("echo", "", &by), Ok(Err("usage: /echo TEXT".into())));

    it.moderate(&[message("allow")]).unwrap();
    asked.asked.lock().unwrap().clear();
    let reply = "members [1, 2, 3], commands [(\"help\", \"[NAME]\", \"Shows commands\")], last Some([97, 108, 108, \
                 111, 119]), sum Ok(-9), not a counter true, forgotten Ok(()), gone None";
    assert_eq!(
        it.run("recall", "", &message("/recall")),
        Ok(Ok(vec![Effect::Reply(reply.into())]))
    );
    assert_eq!(
        *asked.asked.lock().unwrap(),
        [
            "put echo 0 gone None None",
            "members 3 3",
            "get echo 0 last",
            "add echo 0 count -10 Some(1s)",
            "add echo 0 last 1 None",
            "get echo 0 gone",
        ]
    );
}

#[test]
fn bodies_of_then_are_laid_out_and_reviewed_as_then() {
    let (_plugins, mut it, _) = echoing();
    let run = |text: &str, style, target| Run {
        text: text.into(),
        style: Style(style),
        target,
    };
    let runs = |body: &str| {
        vec![
            run(&format!("{body}: room 3, sender 5"), 0, Target::None),
            run("strong", 1, Target::Url("https://example.org/".into())),
            run("emphasis", 2 | 4, Target::None),
            run("code", 8 | 16, Target::None),
            run("person-5", 32, Target::Mention),
        ]
    };
    let mut styled = item("");
    styled.body = TextBody::Styled(runs("hello"));
    let shown = "hello: room 3, sender 5 0x0 none|strong 0x1 https://example.org/|emphasis 0x6 none|code 0x18 none|\
                 person-5 0x20 mention";
    assert_eq!(
        it.format(&[item("plain"), item("hello"), styled.clone()])
            .unwrap(),
        [None, Some(runs("hello")), Some(runs(shown))]
    );
    assert_eq!(
        it.review(&[item("allow"), item("discard"), item("hm"), styled])
            .unwrap(),
        [
            Verdict::Allow,
            Verdict::Discard,
            Verdict::Withhold("hm: room 3, sender 5, count Ok(1)".into()),
            Verdict::Withhold(format!("{shown}: room 3, sender 5, count Ok(2)")),
        ]
    );
}

#[test]
fn a_timer_of_then_fires_as_then() {
    let (_plugins, mut it, _) = echoing();
    let effects = vec![
        Effect::Notice("tea in 3 after 60000 ms with [100, 97, 116, 97], count Ok(1)".into()),
        Effect::Schedule(Timer {
            delay: Duration::from_secs(120),
            ..timer("tea")
        }),
    ];
    assert_eq!(it.fired(3, &timer("tea")), Ok(effects));
}

fn refused(bytes: &[u8], settings: &str) -> String {
    let mut house = House::new();
    house.set("echo", settings);
    house.put("echo", bytes);
    match house.open().err() {
        Some(OpenError::Load(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_start_that_refuses_is_told_as_then() {
    assert_eq!(
        refused(&echo(), "refuse = 1"),
        "the plugin `echo` does not load: it does not start: I refuse {\"refuse\":1}"
    );
}

#[test]
fn what_only_a_later_interface_has_is_refused_by_its_name() {
    let role = refused(&patched(&echo(), "timers@1.0.0", "gossip@1.9.0"), "");
    assert_eq!(
        role,
        "the plugin `echo` does not load: it has the role `gossip` of the interface chat:plugin 1.9, which this host \
         does not know; update the host"
    );
    let import = refused(&patched(&echo(), "directory@1.0.0", "telephone@1.9.0"), "");
    assert!(
        import.contains("it imports what this host does not give")
            && import.contains("chat:plugin/telephone@1.9.0"),
        "{import}"
    );
    let major = refused(&patched(&echo(), "@1.0.0", "@2.0.0"), "");
    assert!(
        major.contains("it answers the interface chat:plugin 2.0, and this host knows 1.x"),
        "{major}"
    );
}
