//! `chat-host bench` as its user meets it: with a server of its own, and with one that is killed under it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests, which clippy takes for code.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use chat_host::bench::{Counts, Options, Rate, Target, run};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-host");

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("bench").args(arguments).arg("--json");
    command.stdin(Stdio::null()).output().unwrap()
}

fn report(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn a_run_on_a_server_of_its_own_is_clean_and_tells_its_cost() {
    let arguments = "--members 60 --rooms 3 --senders 2 --rate 300 --seconds 2 --size 120";
    let report = report(&bench(&arguments.split(' ').collect::<Vec<_>>()));
    assert!(
        report["accepted_per_s"].as_f64().unwrap() > 250.0,
        "{report}"
    );
    assert!(
        report["deliveries_per_s"].as_f64().unwrap() > 5_000.0,
        "{report}"
    );
    for kind in ["acknowledged_ms", "seen_ms"] {
        for part in ["p50", "p95", "p99", "max"] {
            assert!(
                report[kind][part].as_f64().unwrap() > 0.0,
                "{kind} {part}: {report}"
            );
        }
    }
    for violation in ["lost", "repeated", "reordered", "wrong"] {
        assert_eq!(report[violation], 0, "{report}");
    }
    if cfg!(target_os = "linux") {
        assert!(
            report["server_cpu_us_per_delivery"].as_f64().unwrap() > 0.0,
            "{report}"
        );
        assert!(
            report["server_bytes_per_connection"].as_u64().is_some(),
            "{report}"
        );
    }
}

#[test]
fn as_fast_as_possible_is_verified_too() {
    let arguments =
        "--members 40 --rooms 4 --senders 4 --rate max --window 32 --seconds 2 --warmup 0";
    let report = report(&bench(&arguments.split(' ').collect::<Vec<_>>()));
    assert!(
        report["accepted_per_s"].as_f64().unwrap() > 100.0,
        "{report}"
    );
}

#[test]
fn idle_connections_are_weighed() {
    let report = report(&bench(&[
        "--members",
        "300",
        "--rate",
        "0",
        "--seconds",
        "1",
    ]));
    assert_eq!(report["deliveries"], 0, "{report}");
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let output = bench(&["--server", "http://127.0.0.1:9"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(
        stderr.contains("could not connect to 127.0.0.1:9"),
        "{stderr}"
    );
}

#[test]
fn a_run_that_can_not_be_is_bad_usage() {
    for (arguments, told) in [
        ("--members 0", "--members is 0; it must be 1 to 20000"),
        ("--threads 0", "--threads is 0; it must be 1 to 64"),
        ("--members 2 --rooms 3", "--rooms is 3; it must be 1 to 2"),
        ("--size 99999", "--size is 99999; it must be 1 to 32000"),
        ("--seconds 0", "'0' for '--seconds"),
        ("--members -1", "'-1' for '--members"),
        ("--server foo", "`foo` is not understood"),
    ] {
        let output = bench(&arguments.split(' ').collect::<Vec<_>>());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {stderr}");
        assert!(stderr.contains(told), "{arguments}: {stderr}");
    }
}

#[test]
fn a_server_that_takes_nothing_fails_the_run_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = Server::start(folder.path(), "127.0.0.1:0");
    for (size, reason) in [("5000", "at most 4096"), ("20000", "at most 8192")] {
        let arguments = [
            "--server",
            &url,
            "--members",
            "2",
            "--seconds",
            "1",
            "--warmup",
            "0",
            "--size",
            size,
        ];
        let output = bench(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("nothing was acknowledged") && stderr.contains(reason),
            "{stderr}"
        );
    }
}

struct Server(Child);

impl Server {
    /// The first start chooses a port, later ones are given it.
    fn start(folder: &Path, listen: &str) -> (Self, String) {
        let mut command = Command::new(PROGRAM);
        command
            .args(["serve", "--listen", listen, "--data"])
            .arg(folder);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect("the server says where it listens")
            .to_owned();
        (Self(child), url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kill -9 shows what a crash of the process does; the loss of power is modelled elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_repeated_while_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, url) = Server::start(folder.path(), "127.0.0.1:0");
    let target = Target::resolve(&url).await.unwrap();
    let listen = target.authority.clone();
    let options = Options {
        members: 20,
        rooms: 2,
        senders: 2,
        rate: Rate::PerSecond(30), // Below what the default limits allow a session.
        duration: Duration::from_secs(3600),
        settle: Duration::from_secs(60),
        resume: true,
        ..Options::new(target)
    };
    let (counts, stop) = (
        std::sync::Arc::new(Counts::default()),
        CancellationToken::new(),
    );
    let running = tokio::spawn(run(options, counts.clone(), stop.clone()));
    for kill in 1..=3_u64 {
        let enough = Counts::get(&counts.acknowledged) + 40;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while Counts::get(&counts.acknowledged) < enough {
            assert!(
                tokio::time::Instant::now() < deadline,
                "kill {kill}: {counts:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(server);
        server = Server::start(folder.path(), &listen).0;
    }
    stop.cancel();
    let report = running.await.unwrap().unwrap();
    drop(server);
    assert_eq!(report.violations(), [], "{report}");
    assert_eq!(report.sent, report.acknowledged, "{report}");
    assert!(report.resumed >= 22, "{report}");
}
