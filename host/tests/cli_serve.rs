//! The program as its operator meets it: first line, signals, exit codes, words.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Test code, also in helpers.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

fn chat_host(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-host"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHAT_HOST_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let output: Output = timeout(Duration::from_secs(20), command.output())
        .await
        .expect("the program ends within 20 s")
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

async fn first_line(server: &mut Child) -> String {
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    timeout(Duration::from_secs(20), stdout.read_line(&mut line))
        .await
        .expect("the server tells its address within 20 s")
        .unwrap();
    line
}

#[tokio::test]
async fn a_server_tells_its_address_and_drains_on_each_signal() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut server = chat_host(&["serve", "--memory", "--listen", "127.0.0.1:0"])
            .spawn()
            .unwrap();
        let line = first_line(&mut server).await;
        let port = line
            .trim()
            .strip_prefix("listening on http://127.0.0.1:")
            .expect(&line);
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        let pid = i32::try_from(server.id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal)
            .unwrap();
        let status = timeout(Duration::from_secs(20), server.wait())
            .await
            .expect("the server ends within 20 s")
            .unwrap();
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_fails_the_start_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, err) = ended(chat_host(&["serve", "--memory", "--listen", &address])).await;
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains(&address) && err.contains("--listen"), "{err}");
}

#[tokio::test]
async fn a_missing_plugin_folder_fails_the_start_with_what_to_do() {
    let command = chat_host(&["serve", "--memory", "--plugins", "/nowhere/at/all"]);
    let (code, _, err) = ended(command).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("/nowhere/at/all") && err.contains("--plugins"),
        "{err}"
    );
}

#[tokio::test]
async fn wrong_settings_are_bad_usage_wherever_they_come_from() {
    let mut variable = chat_host(&["serve", "--memory"]);
    variable.env("CHAT_HOST_LISTN", "127.0.0.1:0");
    for (command, word) in [
        (
            chat_host(&["serve", "--memory", "--lissten", "x"]),
            "--listen",
        ),
        (
            chat_host(&["serve", "--memory", "--listen", "here"]),
            "--listen",
        ),
        (
            chat_host(&["serve", "--config", "/nowhere.toml"]),
            "/nowhere.toml",
        ),
        (variable, "CHAT_HOST_LISTEN"),
    ] {
        let (code, _, err) = ended(command).await;
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(word), "{err}");
    }
}

#[tokio::test]
async fn a_settings_file_is_judged_by_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.toml");
    let check = |path: &Path| chat_host(&["config", "check", path.to_str().unwrap()]);

    std::fs::write(&path, "listen = \"127.0.0.1:1\"\n[limits]\nrooms = 7\n").unwrap();
    let (code, _, err) = ended(check(&path)).await;
    assert_eq!(code, Some(0), "{err}");

    std::fs::write(&path, "[limits]\nroms = 7\nsessions = 0\n").unwrap();
    let (code, _, err) = ended(check(&path)).await;
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("chat.toml:2: ") && err.contains("`limits.rooms`"),
        "{err}"
    );
    assert!(
        err.contains("chat.toml:3: ") && err.contains("from 1 to"),
        "{err}"
    );
}

#[tokio::test]
async fn the_settings_in_force_are_shown_for_programs_too() {
    let mut command = chat_host(&["config", "--json", "--memory", "--limits-rooms", "7"]);
    command.env("CHAT_HOST_DRAIN", "90s");
    let (code, out, err) = ended(command).await;
    assert_eq!(code, Some(0), "{err}");
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["limits.rooms"]["value"], 7);
    assert_eq!(shown["limits.rooms"]["source"]["flag"], "--limits-rooms");
    assert_eq!(shown["drain"]["value"], "1m30s");
    assert_eq!(shown["drain"]["source"]["variable"], "CHAT_HOST_DRAIN");
}

#[tokio::test]
async fn the_version_tells_what_a_bug_report_needs() {
    let (_, short, _) = ended(chat_host(&["-V"])).await;
    assert_eq!(short.lines().count(), 1);
    let (_, long, _) = ended(chat_host(&["--version"])).await;
    assert!(long.starts_with(short.trim()), "{long}");
    assert!(
        long.contains("commit ") && long.contains("rustc "),
        "{long}"
    );
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, out, err) = ended(chat_host(&["completions", shell])).await;
        assert_eq!(code, Some(0), "{shell}: {err}");
        assert!(out.contains("limits-message-bytes"), "{shell}");
    }
}
