//! What the service is asked, what its answers mean, and what is done without one.

use std::time::Duration;

use chat_plugin::http::{Error, Request, Response};
use chat_plugin::native::{MemoryHost, with_host};
use chat_plugin::{Message, PersonId, RoomId, Verdict};
use serde_json::json;

use crate::native;

/// What becomes of a message where the service answers so, what it was asked, and how much was logged.
fn judged(more: &str, answer: Result<Response, Error>) -> (Verdict, Request, usize) {
    let host = MemoryHost::shared();
    host.borrow_mut().answers.push_back(answer);
    host.borrow_mut().names.insert(PersonId(1), "ann".into());
    host.borrow_mut().rooms.insert(RoomId(1), "lobby".into());
    let settings = format!(r#"{{"url": "http://judge/ask"{more}}}"#);
    let verdict = with_host(host.clone(), || {
        let mut plugin = native();
        plugin.start(&settings).expect("good settings");
        let mut verdicts = plugin.moderate(&[Message::of("hello")]).unwrap();
        verdicts.remove(0)
    });
    let asked = host.borrow_mut().asked.remove(0);
    let logged = host.borrow().logged.len();
    (verdict, asked, logged)
}

fn says(status: u16, body: &str) -> Result<Response, Error> {
    Ok(Response {
        status,
        body: body.into(),
        ..Response::default()
    })
}

fn unchecked() -> Verdict {
    Verdict::withhold("messages can't be checked at the moment; try again in a while")
}

#[test]
fn the_service_is_told_who_says_what_and_where() {
    let more = r#", "token": "s3cret", "timeout_ms": 250"#;
    let (_, asked, _) = judged(more, says(200, r#"{"verdict": "allow"}"#));
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.url, "http://judge/ask");
    assert_eq!(asked.timeout, Duration::from_millis(250));
    let header = |name: &str| asked.headers.iter().find(|(there, _)| there == name);
    assert_eq!(header("authorization").unwrap().1, "Bearer s3cret");
    assert_eq!(header("content-type").unwrap().1, "application/json");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    let told = json!({ "room": "lobby", "sender": "ann", "text": "hello" });
    assert_eq!(body, told);
}

#[test]
fn its_answer_counts() {
    for (answer, verdict) in [
        (r#"{"verdict": "allow", "score": 0.1}"#, Verdict::Allow),
        (r#"{"verdict": "discard"}"#, Verdict::Discard),
        (
            r#"{"verdict": "revise", "text": "hi"}"#,
            Verdict::Revise("hi".into()),
        ),
        (
            r#"{"verdict": "withhold", "reason": "no"}"#,
            Verdict::withhold("no"),
        ),
        (
            r#"{"verdict": "withhold"}"#,
            Verdict::withhold("this message is not allowed here"),
        ),
    ] {
        let more = r#", "when_unreachable": "withhold""#;
        let (judged, _, logged) = judged(more, says(200, answer));
        assert_eq!((judged, logged), (verdict, 0), "{answer}");
    }
}

#[test]
fn without_an_answer_of_use_the_operator_has_decided() {
    let wordy = json!({ "verdict": "withhold", "reason": "x".repeat(513) }).to_string();
    for answer in [
        Err(Error::Late),
        Err(Error::Unreachable("refused".into())),
        Err(Error::Denied),
        Err(Error::TooLarge),
        says(500, r#"{"verdict": "allow"}"#),
        says(302, ""),
        says(200, "yes, of course"),
        says(200, r#"{"verdict": "maybe"}"#),
        says(200, r#"{"verdict": "revise"}"#),
        says(200, r#"{"verdict": "revise", "text": ""}"#),
        says(200, r#"{"verdict": "revise", "text": "\u0007"}"#),
        says(200, &wordy),
    ] {
        let (verdict, _, logged) = judged("", answer.clone());
        assert_eq!((verdict, logged), (Verdict::Allow, 1), "{answer:?}");
        let more = r#", "when_unreachable": "withhold""#;
        let (verdict, _, logged) = judged(more, answer.clone());
        assert_eq!((verdict, logged), (unchecked(), 1), "{answer:?}");
    }
}

#[test]
fn settings_out_of_bounds_are_named() {
    for (settings, named) in [
        ("{}", "missing field `url`"),
        (r#"{"url": "judge:9000"}"#, "`url` is `judge:9000`"),
        (
            r#"{"url": "http://judge", "timeout_ms": 5001}"#,
            "`timeout_ms` is 5001; make it 1 to 5000",
        ),
        (
            r#"{"url": "http://judge", "when_unreachable": "panic"}"#,
            "unknown variant `panic`",
        ),
        (r#"{"url": "http://judge", "tokn": ""}"#, "`tokn`"),
    ] {
        let told = native().start(settings).unwrap_err();
        assert!(told.contains(named), "{told}");
    }
}

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}
