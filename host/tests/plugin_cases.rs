//! What a plugin's golden cases say of its native functions holds for its component, in every language.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-host");

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn passes(component: &Path, cases: &Path) {
    let mut tool = Command::new(PROGRAM);
    tool.args(["plugin", "test"]).arg(component).arg(cases);
    let output = tool.output().unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        cases.display(),
        said(&output)
    );
    println!("{}: {}", cases.display(), said(&output).trim());
}

/// What could not run here, for the tally of the test command.
fn skip(what: &str, why: &str) {
    use std::io::Write;
    println!("SKIPPED: {what}: {why}");
    if let Some(path) = std::env::var_os("CHAT_HOST_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "SKIPPED: {what}: {why}").unwrap();
    }
}

#[test]
fn the_components_of_the_rust_plugins_pass_their_cases() {
    for name in [
        "ask-outside",
        "basics",
        "flood",
        "links",
        "markdown",
        "poll",
        "remind",
        "wordlist",
    ] {
        let component = plugin_support::component(name, &name.replace('-', "_"));
        // A plugin's name is that of its file.
        let dir = tempfile::tempdir().unwrap();
        let named = dir.path().join(format!("{name}.wasm"));
        std::fs::copy(component, &named).unwrap();
        // Those that need settings come with some.
        let settings = plugins().join(name).join(format!("{name}.toml"));
        if settings.exists() {
            std::fs::copy(settings, named.with_extension("toml")).unwrap();
        }
        passes(&named, &plugins().join(name).join("cases.toml"));
    }
}

#[test]
fn a_wrong_expectation_fails_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let cases = dir.path().join("cases.toml");
    let text = "[[case]]\nname = \"a shrug is a shout\"\nsteps = [{ command = \"/shrug\", expect = { effects = [{ say = \"no\" }] } }]\n";
    std::fs::write(&cases, text).unwrap();
    let mut tool = Command::new(PROGRAM);
    tool.args(["plugin", "test"])
        .arg(plugin_support::component("basics", "basics"))
        .arg(&cases);
    let output = tool.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("a shrug is a shout"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_plugin_in_python_and_one_in_javascript_pass_theirs() {
    for (language, name, tests) in [
        ("python", "calc", &["python3", "-m", "unittest"][..]),
        ("javascript", "shout", &["node", "--test"][..]),
    ] {
        let folder = plugins().join(language);
        let mut unit = Command::new(tests[0]);
        unit.args(&tests[1..]).current_dir(&folder);
        match unit.output() {
            Err(error) => {
                skip(
                    &format!("a plugin in {language} (needs {})", tests[0]),
                    &error.to_string(),
                );
                continue;
            }
            Ok(output) => assert!(output.status.success(), "{language}: {}", said(&output)),
        }
        let dir = tempfile::tempdir().unwrap();
        let wasm = dir.path().join(format!("{name}.wasm"));
        let mut build = Command::new("sh");
        build.arg("build.sh").arg(&wasm).current_dir(&folder);
        let output = build.output().unwrap();
        if !output.status.success() {
            let words = said(&output);
            let unreachable = words.contains("is missing") || words.contains("reachable");
            assert!(unreachable, "{language}: {words}");
            let last = words.lines().last().unwrap_or_default();
            skip(&format!("a plugin in {language}"), last);
            continue;
        }
        let mut check = Command::new(PROGRAM);
        let output = check.args(["plugin", "check"]).arg(&wasm).output().unwrap();
        assert!(output.status.success(), "{language}: {}", said(&output));
        assert!(
            !said(&output).contains("http"),
            "{language}: {}",
            said(&output)
        );
        passes(&wasm, &folder.join("cases.toml"));
    }
}
