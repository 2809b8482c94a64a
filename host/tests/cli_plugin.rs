//! The author's tools, from nothing to a plugin that a host would serve.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod client_support;
mod plugin_support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-host");

fn tool(arguments: &[&str]) -> (i32, String) {
    said(
        &Command::new(PROGRAM)
            .arg("plugin")
            .args(arguments)
            .output()
            .unwrap(),
    )
}

fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(text).unwrap(),
    )
}

/// In the folder of a new plugin; what is built is kept between runs of the tests.
fn cargo(folder: &Path, arguments: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder).args(arguments).arg("--offline");
    cargo.env("CARGO_TARGET_DIR", built());
    let (code, said) = said(&cargo.output().unwrap());
    assert_eq!(code, 0, "cargo {arguments:?}: {said}");
}

fn built() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugin")
}

#[test]
fn a_component_that_could_ask_outside_is_told_which_grant_it_needs() {
    let asker = plugin_support::component("asker-guest", "asker");
    let asker = asker.to_str().unwrap();
    let (code, words) = tool(&["check", asker]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("http (needs a grant)"), "{words}");
    assert!(words.contains("http = [\"HOST\"] in asker.toml"), "{words}");

    let run = ["run", asker, "--text", "get http://localhost:9/"];
    let (code, words) = tool(&run);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("--http HOST"), "{words}");
    let (code, words) = tool(&[&run[..], &["--http", "https://localhost"]].concat());
    assert_eq!(code, 2, "{words}");
    assert!(
        words.contains("`https://localhost` can't be granted"),
        "{words}"
    );
    let (code, words) = tool(&[&run[..], &["--http", "localhost:8"]].concat());
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("Denied"), "{words}");

    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("asker.toml");
    std::fs::write(&settings, "http = [\"localhost:8\"]").unwrap();
    let (code, words) = tool(&["check", asker, "--settings", settings.to_str().unwrap()]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("http: localhost:8"), "{words}");
}

#[test]
fn a_new_plugin_passes_its_tests_builds_and_would_be_served() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("all_rounder");
    let path = folder.to_str().unwrap();
    let all = "moderation,commands,formatting,review,timers";
    let (code, words) = tool(&["new", "all_rounder", "--role", all, "--dir", path]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("cargo test"), "{words}");
    cargo(&folder, &["test", "--quiet"]);
    cargo(
        &folder,
        &["build", "--release", "--target", "wasm32-wasip2", "--quiet"],
    );

    let wasm = dir.path().join("all_rounder.wasm");
    std::fs::copy(
        built().join("wasm32-wasip2/release/all_rounder.wasm"),
        &wasm,
    )
    .unwrap();
    let file = wasm.to_str().unwrap();
    let (code, words) = tool(&["check", file]);
    assert_eq!(code, 0, "{words}");
    for part in [
        "all_rounder 0.1.0: a host would serve it",
        "moderation, commands, formatting, review, timers",
        "/all-rounder SECONDS TEXT",
        "clocks",
        "needs none",
        "at rest, of 64.0 MiB allowed",
    ] {
        assert!(words.contains(part), "{part:?} is not in\n{words}");
    }

    let (code, words) = tool(&["run", file, "--text", "HELLO EVERYBODY"]);
    assert_eq!(code, 0, "{words}");
    assert!(
        words.contains("withholds it: please do not shout"),
        "{words}"
    );
    let (_, words) = tool(&["run", file, "--text", "(c) 2026 https://a"]);
    assert!(
        words.contains("\"©\" (strong)") && words.contains("review      allows it"),
        "{words}"
    );
    let (_, words) = tool(&["run", file, "--text", "/all-rounder 60 tea"]);
    assert!(words.contains("sets the timer \"1\" in 1m"), "{words}");

    // Its settings, beside it or named.
    std::fs::write(
        dir.path().join("all_rounder.toml"),
        "[settings]\nlimit = 50\n",
    )
    .unwrap();
    let (_, words) = tool(&["run", file, "--text", "HELLO EVERYBODY"]);
    assert!(words.contains("moderation  allows it"), "{words}");
    let own = dir.path().join("own.toml");
    std::fs::write(&own, "[settings]\nlimmit = 50\n").unwrap();
    let (code, words) = tool(&["check", file, "--settings", own.to_str().unwrap()]);
    assert_eq!(code, 3, "{words}");
    assert!(
        words.contains("does not start") && words.contains("limmit"),
        "{words}"
    );
    std::fs::write(&own, "memmory-bytes = 5\n").unwrap();
    let (code, words) = tool(&["check", file, "--settings", own.to_str().unwrap()]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("memmory-bytes"), "{words}");

    let (code, words) = tool(&["bench", file]);
    assert_eq!(code, 0, "{words}");
    assert!(
        words.contains("of 64") && words.contains("moderation"),
        "{words}"
    );
}

#[test]
fn a_new_plugin_in_another_language_passes_its_tests_in_every_role() {
    let dir = tempfile::tempdir().unwrap();
    for (language, program, arguments, ran) in [
        ("python", "python3", &["-m", "unittest"][..], "OK"),
        ("javascript", "node", &["--test"][..], "# fail 0"),
    ] {
        if Command::new(program).arg("--version").output().is_err() {
            plugin_support::skip(
                &format!("new plugins in {language}"),
                &format!("{program} is missing"),
            );
            continue;
        }
        for (number, roles) in [
            "moderation",
            "commands",
            "formatting",
            "review",
            "timers",
            "moderation,commands,formatting,review,timers",
        ]
        .iter()
        .enumerate()
        {
            let folder = dir.path().join(format!("{language}-{number}"));
            let path = folder.to_str().unwrap();
            let (code, words) = tool(&[
                "new", "a_b", "--lang", language, "--role", roles, "--dir", path,
            ]);
            assert_eq!(code, 0, "{words}");
            assert!(words.contains("chat-host plugin test a_b.wasm"), "{words}");
            let mut tests = Command::new(program);
            tests.args(arguments).current_dir(&folder);
            let (code, words) = said(&tests.output().unwrap());
            assert_eq!(code, 0, "{language}, {roles}: {words}");
            assert!(words.contains(ran), "{language}, {roles}: {words}");
            nothing_is_left_to_fill_in(&folder, roles);
            if language == "javascript" {
                its_tools_are_the_pinned_ones(&folder);
            }
        }
    }
}

/// `npm ci` refuses a package.json that says other than the lock.
fn its_tools_are_the_pinned_ones(folder: &Path) {
    let read = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
    };
    let (package, lock) = (read("package.json"), read("package-lock.json"));
    let locked = &lock["packages"][""];
    for key in ["name", "version", "devDependencies", "engines"] {
        assert_eq!(package[key], locked[key], "{key}");
    }
}

fn nothing_is_left_to_fill_in(folder: &Path, roles: &str) {
    let mut files = vec![folder.to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        // The interface is what it is, and bytecode is none of ours.
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if path.ends_with("plugin.wit") {
            continue;
        }
        for slot in [
            "NAME",
            "VERB",
            "IMPORTS",
            "PARTS",
            "COMMAND",
            "@@ ",
            "\"shout\"",
        ] {
            assert!(
                !text.contains(slot),
                "{slot} in {} for {roles}",
                path.display()
            );
        }
    }
}

#[test]
fn what_can_not_be_made_or_served_is_told_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (arguments, code, words) in [
        (vec!["new", "Bad Name"], 2, "can't be a plugin's name"),
        (
            vec!["new", "good", "--role", "cooking"],
            2,
            "possible values: moderation",
        ),
        (
            vec!["new", "good", "--lang", "cobol"],
            2,
            "possible values: rust, python, javascript",
        ),
        (
            vec!["new", "good", "--lang", "python", "--sdk", "."],
            2,
            "--sdk is for plugins in Rust",
        ),
        (
            vec!["new", "Bad Name", "--lang", "javascript"],
            2,
            "can't be a plugin's name",
        ),
        (
            vec!["check", "/nowhere/it.wasm"],
            2,
            "/nowhere/it.wasm can't be read",
        ),
    ] {
        let (ended, said) = tool(&arguments);
        assert_eq!(ended, code, "{said}");
        assert!(said.contains(words), "{said}");
    }
    let here = path("here");
    std::fs::create_dir(&here).unwrap();
    let (ended, said) = tool(&["new", "here", "--dir", &here]);
    assert_eq!(ended, 2, "{said}");
    assert!(said.contains("exists already"), "{said}");
    let (ended, said) = tool(&["new", "here", "--lang", "python", "--dir", &here]);
    assert_eq!(ended, 2, "{said}");
    assert!(said.contains("exists already"), "{said}");
    let (ended, said) = tool(&["new", "other", "--dir", &path("other"), "--sdk", &here]);
    assert_eq!(ended, 2, "{said}");
    assert!(said.contains("--sdk"), "{said}");
    assert!(!Path::new(&path("other")).exists(), "nothing is half made");

    let text = path("text.wasm");
    std::fs::write(&text, "no component").unwrap();
    let (ended, said) = tool(&["check", &text]);
    assert_eq!(ended, 3, "{said}");
    assert!(said.contains("the plugin `text` does not load"), "{said}");
}

#[test]
fn orders_reach_a_running_host_and_say_what_came_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (data, plugins) = (dir.path().join("data"), dir.path().join("plugins"));
    for folder in [&data, &plugins] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::copy(
        plugin_support::component("basics", "basics"),
        plugins.join("basics.wasm"),
    )
    .unwrap();
    let server = client_support::Server::start_with(&data, &plugins);
    let data = data.to_str().unwrap();
    let (code, words) = tool(&["list", "--data", data]);
    assert_eq!(code, 0, "{words}");
    assert!(
        words.contains("NAME") && words.contains("basics"),
        "{words}"
    );
    let (code, words) = tool(&["disable", "basics", "--data", data]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("state      disabled"), "{words}");
    let (code, words) = tool(&["enable", "basics", "--data", data, "--json"]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("\"state\":\"serving\""), "{words}");
    let (code, words) = tool(&["rollback", "basics", "--data", data]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("no older version"), "{words}");
    let (code, words) = tool(&["show", "nothing", "--data", data]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("there are: basics"), "{words}");
    drop(server);
    let (code, words) = tool(&["list", "--data", data]);
    assert_eq!(code, 4, "{words}");
    assert!(words.contains("no host runs on"), "{words}");
}
