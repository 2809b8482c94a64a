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

/// Builds the plugin here that is written in `language`; none where that can't be done here, which is told once.
fn built(language: &str, name: &str, tests: &[&str]) -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = plugins().join(language);
    let what = format!("plugins in {language}");
    let mut unit = Command::new(tests[0]);
    unit.args(&tests[1..]).current_dir(&folder);
    match unit.output() {
        Err(error) => {
            plugin_support::skip(&format!("{what} (needs {})", tests[0]), &error.to_string());
            return None;
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
        plugin_support::skip(&what, words.lines().last().unwrap_or_default());
        return None;
    }
    Some((dir, wasm))
}

/// Where `build.sh` of the plugins here keeps its tools.
fn tools() -> PathBuf {
    std::env::var_os("PLUGIN_TOOLS")
        .map_or_else(|| plugins().join("../target/plugin-tools"), PathBuf::from)
}

fn would_be_served(language: &str, wasm: &Path) {
    let mut check = Command::new(PROGRAM);
    let output = check.args(["plugin", "check"]).arg(wasm).output().unwrap();
    assert!(output.status.success(), "{language}: {}", said(&output));
    assert!(
        !said(&output).contains("http"),
        "{language}: {}",
        said(&output)
    );
}

/// A new plugin of all roles, built by its own script with these tools, answers its own cases.
fn a_new_one_passes(language: &str, build: &mut Command, folder: &Path) {
    let wasm = folder.join("new_one.wasm");
    let output = build.current_dir(folder).arg(&wasm).output().unwrap();
    assert!(output.status.success(), "{language}: {}", said(&output));
    passes(&wasm, &folder.join("cases.toml"));
}

fn new_one(dir: &Path, language: &str) -> PathBuf {
    let folder = dir.join("new_one");
    let mut new = Command::new(PROGRAM);
    new.args(["plugin", "new", "new_one", "--lang", language, "--dir"])
        .arg(&folder)
        .args(["--role", "moderation,commands,formatting,review,timers"]);
    let output = new.output().unwrap();
    assert!(output.status.success(), "{language}: {}", said(&output));
    folder
}

#[test]
fn a_plugin_in_python_and_a_new_one_pass_theirs() {
    let Some((dir, wasm)) = built("python", "calc", &["python3", "-m", "unittest"]) else {
        return;
    };
    would_be_served("python", &wasm);
    passes(&wasm, &plugins().join("python/cases.toml"));

    let folder = new_one(dir.path(), "python");
    let mut build = Command::new("sh");
    build
        .arg("build.sh")
        .env("PLUGIN_TOOLS", tools().canonicalize().unwrap());
    a_new_one_passes("python", &mut build, &folder);
}

#[test]
fn a_plugin_in_javascript_and_a_new_one_pass_theirs() {
    let Some((dir, wasm)) = built("javascript", "shout", &["node", "--test"]) else {
        return;
    };
    would_be_served("javascript", &wasm);
    passes(&wasm, &plugins().join("javascript/cases.toml"));

    let folder = new_one(dir.path(), "javascript");
    // What `npm ci` would get; that it would is another's promise, and needs a network.
    let modules = tools()
        .canonicalize()
        .unwrap()
        .join("javascript/node_modules");
    std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
    let mut build = Command::new("node");
    build.arg("build.mjs");
    a_new_one_passes("javascript", &mut build, &folder);
}
