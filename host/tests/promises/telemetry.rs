//! What a server tells of itself: numbers that move with what it does, and log lines that never hold what people said.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chat_host::proto::v1::{self, client_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::client::{Session, client, frame, send};
use super::plugin_support::{hostile, patched};
use super::raw;
use super::server::{Home, NO_QUARANTINE, PATIENCE, ROOMY, Server, until};

/// A home with the hostile plugin; what it fails at passes, so that each role has its turn.
fn home(more: &str) -> Home {
    let settings = format!(
        "partitions = 1\n{more}\n{ROOMY}{NO_QUARANTINE}[plugins.hostile]\non-failure = \"allow\"\n"
    );
    let home = Home::new(&settings);
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hostile.wasm"), hostile()).unwrap();
    home.flag("--plugins").flag(folder.to_str().unwrap())
}

/// The numbers at one moment, by name and labels.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    async fn of(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
        let lines = answer.lines().filter(|line| line.starts_with("chat_"));
        let numbers = lines.map(|line| {
            let (name, number) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), number.parse().unwrap())
        });
        Self(numbers.collect())
    }

    /// 0 where it was never counted.
    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}

/// Scrapes until it fits.
async fn scraped(address: SocketAddr, what: &str, fits: impl Fn(&Scrape) -> bool) -> Scrape {
    let began = Instant::now();
    loop {
        let scrape = Scrape::of(address).await;
        if fits(&scrape) {
            return scrape;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {:#?}", scrape.0);
    }
}

fn assert_numbers(scrape: &Scrape, expected: &[(&str, f64)]) {
    for (name, number) in expected {
        let found = scrape.get(name);
        assert!(
            (found - number).abs() < 1e-9,
            "{name} is {found}, not {number}"
        );
    }
}

/// A server whose numbers can be had, and where.
async fn counting() -> (Home, Server, SocketAddr) {
    let home = home("").flag("--metrics").flag("127.0.0.1:0");
    let server = home.start().await;
    let address = || {
        let log = home.log();
        let line = log.lines().find(|line| line.contains("metrics served"))?;
        line.split_once("address=")?.1.trim().parse().ok()
    };
    until("the log says where metrics are", || address().is_some()).await;
    let address = address().unwrap();
    (home, server, address)
}

#[tokio::test]
async fn a_repeat_is_counted_as_one() {
    let (_home, server, address) = counting().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    for _ in 0..2 {
        alice.post("lobby", "hello", "1").await.unwrap();
    }
    let scrape = Scrape::of(address).await;
    let expected = [
        ("chat_outcomes_total{verdict=\"delivered\"}", 1.0),
        ("chat_outcomes_total{verdict=\"repeat\"}", 1.0),
    ];
    assert_numbers(&scrape, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_of_a_serving_host_move_with_what_it_does() {
    let (_home, server, address) = counting().await;
    // That the run began is a record, too.
    let settled = |scrape: &Scrape| scrape.get("chat_lag{partition=\"0\"}") == 0.0;
    let before = scraped(address, "all is decided", settled).await;
    let idle = [
        ("chat_sessions", 0.0),
        ("chat_accepted_total", 0.0),
        ("chat_deliveries_total", 0.0),
        ("chat_outcomes_total{verdict=\"delivered\"}", 0.0),
        ("chat_append_seconds_count", 0.0),
        ("chat_lag{partition=\"0\"}", 0.0),
    ];
    assert_numbers(&before, &idle);
    for (name, _) in idle {
        assert!(before.0.contains_key(name), "{name} is not shown at first");
    }

    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut bob = Session::in_room(&server.url, "bob", "lobby").await;
    for (id, text) in [
        ("1", "hello"),
        ("2", "hello again"),
        ("3", "do:withhold"),
        ("4", "do:discard"),
        ("5", "/deed"),
        ("6", "do:trap"),
    ] {
        alice.post("lobby", text, id).await.unwrap();
    }
    let refused = alice.post("lobby", "", "7").await.unwrap_err();
    assert_eq!(
        refused.message,
        "the text is empty; send at least one character"
    );
    let call = v1::SendRequest {
        name: "alice".into(),
        token: alice.welcome.token.clone(),
        room: "lobby".into(),
        text: "without a session".into(),
        wait: true,
        ..v1::SendRequest::default()
    };
    client(&server.url).await.send(call).await.unwrap();
    // Four were delivered, to two, and alice has a private event on what was withheld.
    for member in [&mut alice, &mut bob] {
        for number in 1..=4 {
            assert_eq!(member.event().await.sequence, number);
        }
    }
    alice.private().await;
    // What plugins do is looked at once a second.
    let calls = "chat_plugin_calls_total{plugin=\"hostile\",role=\"moderation\"}";
    let failures = "chat_plugin_failures_total{plugin=\"hostile\",blame=\"trap\"}";
    let after = scraped(address, "the traffic shows", |scrape| {
        scrape.get(failures) > 0.0
            && scrape.get(calls) >= 6.0
            && scrape.get("chat_rooms") > 0.0
            && scrape.get("chat_dead_letters_total") == 1.0
    })
    .await;
    assert_numbers(
        &after,
        &[
            ("chat_sessions", 2.0),
            ("chat_rooms", 1.0),
            ("chat_accepted_total", 7.0),
            ("chat_refused_total{code=\"INVALID_ARGUMENT\"}", 1.0),
            ("chat_outcomes_total{verdict=\"delivered\"}", 4.0),
            // The command was not understood.
            ("chat_outcomes_total{verdict=\"withheld\"}", 2.0),
            ("chat_outcomes_total{verdict=\"discarded\"}", 1.0),
            ("chat_append_seconds_count", 7.0),
            ("chat_append_seconds_bucket{le=\"+Inf\"}", 7.0),
            ("chat_lag{partition=\"0\"}", 0.0),
        ],
    );
    for (name, least) in [
        ("chat_connections", 2.0),
        ("chat_deliveries_total", 9.0),
        ("chat_outcomes_total{verdict=\"handled\"}", 1.0),
        ("chat_append_seconds_sum", 1e-6),
        ("chat_decision_seconds_count", 7.0),
        ("chat_decision_seconds_sum", 1e-6),
        ("chat_fold_seconds_count", 1.0),
        ("chat_journal_bytes", 1.0),
        (
            "chat_plugin_seconds_total{plugin=\"hostile\",role=\"moderation\"}",
            1e-6,
        ),
        (
            "chat_plugin_calls_total{plugin=\"hostile\",role=\"commands\"}",
            1.0,
        ),
        (
            "chat_plugin_calls_total{plugin=\"hostile\",role=\"formatting\"}",
            4.0,
        ),
        (
            "chat_plugin_calls_total{plugin=\"hostile\",role=\"review\"}",
            4.0,
        ),
    ] {
        let found = after.get(name);
        assert!(found >= least, "{name} is {found}, less than {least}");
    }

    // What is not decided yet is the lag: these take their time, and then there is none.
    for number in 0..30 {
        alice
            .say(send("lobby", "do:nap-and-work", &format!("lag-{number}")))
            .await;
    }
    let lag = "chat_lag{partition=\"0\"}";
    scraped(address, "there is a lag", |scrape| scrape.get(lag) > 0.0).await;
    scraped(address, "the lag is made up", |scrape| {
        scrape.get(lag) == 0.0 && scrape.get("chat_outcomes_total{verdict=\"delivered\"}") == 34.0
    })
    .await;

    drop((alice, bob));
    scraped(address, "the sessions have ended", |scrape| {
        scrape.get("chat_sessions") == 0.0 && scrape.get("chat_connections") == 0.0
    })
    .await;
    server.stop().await;
}

/// In every text that is said here, and in nothing else.
const SECRET: &str = "kumquat";

/// What people say, what goes wrong with it, and what is refused: each with the secret.
async fn secret_traffic(home: &Home, server: &Server) {
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut bob = Session::in_room(&server.url, "bob", "lobby").await;
    let deeds = [
        "hello",
        "do:withhold",
        "do:discard",
        "do:revise",
        "do:loop",
        "do:sleep",
        "do:trap",
        "do:panic",
        "do:memory",
        "do:recursion",
        "do:exit",
        "do:miscount",
        "do:huge",
        "do:enormous",
        "do:bell",
        "do:wordy",
        "do:empty",
        "do:script",
        "do:stderr",
        "do:stdout",
        "do:log",
    ];
    for (number, deed) in deeds.into_iter().enumerate() {
        for (kind, said) in [
            ("text", format!("{SECRET} {deed} {SECRET}")),
            ("command", format!("/deed {SECRET} {deed} {SECRET}")),
        ] {
            let id = format!("{kind}-{number}");
            alice.post("lobby", &said, &id).await.unwrap();
        }
    }
    alice
        .post("lobby", &format!("/{SECRET} x"), "no-command")
        .await
        .unwrap();
    for (number, bad) in [
        format!("{SECRET}\u{7}"),
        format!("{SECRET}{}", "x".repeat(5000)),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("bad-{number}");
        alice.post("lobby", &bad, &id).await.unwrap_err();
    }
    alice
        .post("elsewhere", SECRET, "elsewhere")
        .await
        .unwrap_err();
    for (text, wait) in [(SECRET.to_owned(), true), (format!("{SECRET}\0"), false)] {
        let call = v1::SendRequest {
            name: "alice".into(),
            token: alice.welcome.token.clone(),
            room: "lobby".into(),
            text,
            wait,
            ..v1::SendRequest::default()
        };
        let sent = client(&server.url).await.send(call).await;
        assert_eq!(sent.is_ok(), wait, "{sent:?}");
    }
    // Bytes that are no message, with the secret in them.
    let noise = raw::whole(raw::flagged(0, format!("\x1a\x7f{SECRET}").as_bytes()));
    raw::end_of(server, "/chat.v1.Chat/Send", noise).await;
    // A protocol that is broken in the middle of talk.
    bob.post("lobby", SECRET, "bye").await.unwrap();
    let again = v1::Hello {
        name: "bob".into(),
        ..v1::Hello::default()
    };
    bob.say(frame(client_frame::Frame::Hello(again))).await;
    super::client::end(&mut bob.frames).await;

    // While they talk: a reload, a file that is refused, and a session that is there at the end.
    let file = home.path("plugins").join("hostile.wasm");
    let new = patched(hostile(), "1.0.0+first", "2.0.0+other");
    std::fs::write(&file, &new).unwrap();
    until("it is reloaded", || home.log().contains("plugin replaced")).await;
    std::fs::write(&file, &new[..new.len() / 2]).unwrap();
    until("it is refused", || home.log().contains("file is refused")).await;
    let kept = alice
        .post("lobby", &format!("{SECRET} do:panic"), "last")
        .await;
    kept.unwrap();
}

#[track_caller]
fn assert_silent(log: &str) {
    for line in log.lines() {
        assert!(!line.contains(SECRET), "what was said is logged: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_for_people_tells_of_faults_and_not_what_was_said() {
    let home = home("log_level = \"info\"");
    let server = home.start().await;
    secret_traffic(&home, &server).await;
    server.stop().await;
    let log = home.log();
    for told in [
        "serving",
        "plugin failed",
        "plugin replaced",
        "refused",
        "stopped",
    ] {
        assert!(log.contains(told), "`{told}` is not in it:\n{log}");
    }
    assert_silent(&log);
    // Started anew on what is durable.
    home.start().await.stop().await;
    assert_silent(&home.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_json_log_is_an_object_a_line_with_fields_and_not_what_was_said() {
    let home = home("log_level = \"info\"").flag("--log").flag("json");
    let server = home.start().await;
    secret_traffic(&home, &server).await;
    server.stop().await;
    let log = home.log();
    assert_silent(&log);
    let mut lines: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    let mut last: Option<jiff::Timestamp> = None;
    for line in log.lines() {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |field: &str| {
            let value = object.get(field).and_then(serde_json::Value::as_str);
            value
                .unwrap_or_else(|| panic!("no {field}: {line}"))
                .to_owned()
        };
        let time: jiff::Timestamp = text("timestamp").parse().unwrap();
        assert!(time <= jiff::Timestamp::now(), "{line}");
        // Threads write at once, and a line is stamped before it is written.
        assert!(
            last.is_none_or(|last| time + std::time::Duration::from_secs(5) > last),
            "{line}"
        );
        last = Some(time);
        let level = text("level");
        assert!(["INFO", "WARN", "ERROR"].contains(&&*level), "{line}");
        assert!(text("target").starts_with("chat_host"), "{line}");
        lines.insert(text("message"), object);
    }
    // A line per start, reload, fault and stop, whose fields a program can read.
    for (message, level, fields) in [
        ("serving", "INFO", &["data", "partitions"][..]),
        ("plugin replaced", "INFO", &["plugin", "version", "took_ms"]),
        (
            "a plugin's file is refused, and what is loaded stays",
            "WARN",
            &["plugin", "version", "reason"],
        ),
        (
            "plugin failed",
            "WARN",
            &["plugin", "version", "role", "blame", "detail"],
        ),
        (
            "draining; a second signal ends at once",
            "INFO",
            &["signal"],
        ),
        ("stopped", "INFO", &[]),
    ] {
        let line = lines
            .get(message)
            .unwrap_or_else(|| panic!("no `{message}`:\n{log}"));
        assert_eq!(line["level"], level, "{line}");
        for field in fields {
            let value = &line[*field];
            assert!(value.is_string() || value.is_number(), "no {field}: {line}");
        }
    }
    assert_eq!(lines["plugin replaced"]["version"], "2.0.0+other");
    assert_eq!(lines["serving"]["partitions"], 1);
    assert_eq!(lines["plugin failed"]["plugin"], "hostile");
}
