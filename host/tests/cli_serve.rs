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

fn send(server: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(server.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Starts with these arguments, drains at once, and gives what was logged.
async fn logged(arguments: &[&str]) -> String {
    let mut command = chat_host(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = command.args(arguments).spawn().unwrap();
    let line = first_line(&mut server).await;
    assert!(line.starts_with("listening on "), "{line}");
    send(&server, rustix::process::Signal::TERM);
    let output = timeout(Duration::from_secs(20), server.wait_with_output())
        .await
        .expect("the server ends within 20 s")
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("WARN")).collect()
}

#[tokio::test]
async fn what_is_set_and_does_nothing_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();

    let log = logged(&["--memory", "--data", data]).await;
    let found = warnings(&log);
    assert_eq!(found.len(), 1, "{log}");
    assert!(
        found[0].contains(data) && found[0].contains("--memory"),
        "{log}"
    );

    let log = logged(&["--data", data, "--partitions", "2"]).await;
    assert!(warnings(&log).is_empty(), "{log}");
    let log = logged(&["--data", data, "--partitions", "8"]).await;
    let found = warnings(&log);
    assert_eq!(found.len(), 1, "{log}");
    assert!(
        found[0].contains("asked=8") && found[0].contains("kept=2"),
        "{log}"
    );
    let log = logged(&["--data", data]).await;
    assert!(warnings(&log).is_empty(), "nothing was asked for: {log}");

    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let config = folder.path().join("chat.toml");
    std::fs::write(
        &config,
        "plugin.folder = \"plugins\"\n[plugins.nosuch]\npriority = 1\n",
    )
    .unwrap();
    let log = logged(&["--memory", "--config", config.to_str().unwrap()]).await;
    let found = warnings(&log);
    assert_eq!(found.len(), 1, "{log}");
    assert!(found[0].contains("[plugins.nosuch]"), "{log}");
    let (code, _, err) = ended(chat_host(&["config", "check", config.to_str().unwrap()])).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("warning") && err.contains("[plugins.nosuch]"),
        "{err}"
    );
}

#[tokio::test]
async fn a_data_folder_in_use_is_told_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let serve = || {
        let mut command = chat_host(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(&data);
        command
    };
    let mut server = serve().spawn().unwrap();
    first_line(&mut server).await;
    let (code, _, err) = ended(serve()).await;
    assert_eq!(code, Some(1), "{err}");
    let told = format!(
        "the data folder {} is in use by another chat-host (process {})",
        data.display(),
        server.id().unwrap()
    );
    assert!(err.contains(&told), "{err}");
}

#[tokio::test]
async fn a_data_folder_that_can_not_be_used_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let long = folder.path().join("x".repeat(120));
    let broken = folder.path().join("broken");
    logged(&["--data", broken.to_str().unwrap()]).await;
    for entry in std::fs::read_dir(broken.join("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(path, "rubbish").unwrap();
        }
    }
    for (data, words) in [
        (&file, ["is not a folder", "--data"]),
        (&long, ["at most", "shorter path with --data"]),
        (&broken, ["can't be read", "`chat-host backup`"]),
    ] {
        let data = data.to_str().unwrap();
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data];
        let (code, _, err) = ended(chat_host(&arguments)).await;
        assert_eq!(code, Some(1), "{err}");
        assert!(
            err.contains(&format!("{data} ")) || err.contains(&format!("{data}:")),
            "{err}"
        );
        for word in words {
            assert!(err.contains(word), "{word}: {err}");
        }
    }
}

#[tokio::test]
async fn a_backup_says_what_is_wrong_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let to = folder.path().join("copy");
    for (data, words) in [
        (file.as_path(), "is not a folder"),
        (folder.path(), "is no data folder of chat-host"),
        (
            Path::new("/nowhere/at/all"),
            "is no data folder of chat-host",
        ),
    ] {
        let mut command = chat_host(&["backup"]);
        command.arg("--data").arg(data).arg(&to);
        let (code, _, err) = ended(command).await;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(words), "{err}");
    }
}

#[tokio::test]
async fn a_server_tells_its_address_and_drains_on_each_signal() {
    for signal in [
        rustix::process::Signal::TERM,
        rustix::process::Signal::INT,
        rustix::process::Signal::HUP,
    ] {
        let mut server = chat_host(&["serve", "--memory", "--listen", "127.0.0.1:0"])
            .spawn()
            .unwrap();
        let line = first_line(&mut server).await;
        let port = line
            .trim()
            .strip_prefix("listening on http://127.0.0.1:")
            .expect(&line);
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        send(&server, signal);
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
        (
            chat_host(&["serve", "--retain", "10"]),
            "KiB, MiB, GiB, TiB, KB, MB, GB or TB",
        ),
        (
            chat_host(&["serve", "--drain", "-5s"]),
            "`drain` is \"-5s\"",
        ),
        (
            chat_host(&["serve", "--limits-rooms", "-1"]),
            "`limits.rooms` is \"-1\"",
        ),
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
async fn the_keys_of_single_plugins_are_in_the_help() {
    let (_, out, _) = ended(chat_host(&["config", "--help"])).await;
    for key in [
        "on-failure",
        "priority",
        "running-ms",
        "wall-ms",
        "memory-bytes",
        "may-lose-roles",
        "settings",
    ] {
        assert!(out.contains(&format!("  {key} ")), "{key}: {out}");
    }
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
