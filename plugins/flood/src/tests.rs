//! What is stopped, for how long, and what is not.

use chat_plugin::native::{MemoryHost, NativePlugin, with_host};
use chat_plugin::{Message, Verdict};
use proptest::prelude::*;

use crate::native;

fn started(settings: &str) -> Box<dyn NativePlugin> {
    let mut plugin = native();
    plugin.start(settings).expect("good settings");
    plugin
}

/// What becomes of one sender's messages, given as time and text.
fn verdicts(settings: &str, messages: &[(u64, &str)]) -> Vec<Verdict> {
    let batch: Vec<Message> = messages
        .iter()
        .map(|(time_ms, text)| Message {
            time_ms: *time_ms,
            ..Message::of(*text)
        })
        .collect();
    with_host(MemoryHost::shared(), || {
        started(settings).moderate(&batch).expect("no failure")
    })
}

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}

#[test]
fn settings_out_of_bounds_are_named() {
    for (settings, why) in [
        (r#"{"messages": 0}"#, "`messages` is 0; make it 1 to 1000"),
        (
            r#"{"mute": 60, "longest_mute": 59}"#,
            "`longest_mute` is 59; make it 60 to 604800",
        ),
        (
            r#"{"same_within": 86401}"#,
            "`same_within` is 86401; make it 1 to 86400",
        ),
    ] {
        assert_eq!(native().start(settings), Err(why.into()));
    }
    let error = native().start(r#"{"mutes": 1}"#).unwrap_err();
    assert!(error.contains("unknown field `mutes`"), "{error}");
}

#[test]
fn a_mute_grows_to_the_longest_and_no_further() {
    let settings =
        r#"{"messages": 1, "within": 1, "mute": 1, "longest_mute": 5, "forget_after": 9}"#;
    // Two messages at once, again as soon as the mute ends.
    let mut times = vec![(0, "a"), (0, "b")];
    let mut end_ms = 0;
    for lasts_ms in [1_000, 2_000, 4_000, 5_000, 5_000, 5_000] {
        end_ms += lasts_ms;
        times.extend([(end_ms, "a"), (end_ms, "b")]);
    }
    let verdicts = verdicts(settings, &times);
    for (round, pair) in verdicts.chunks(2).enumerate() {
        assert_eq!(pair[0], Verdict::Allow, "round {round}");
        assert!(matches!(pair[1], Verdict::Withhold(_)), "round {round}");
    }
}

#[test]
fn texts_that_differ_too_much_to_be_remembered_are_stopped_by_the_rate() {
    let texts: Vec<String> = (0..100_u64)
        .map(|number| format!("text {number}"))
        .collect();
    let messages: Vec<(u64, &str)> = (0..)
        .step_by(100)
        .zip(texts.iter().map(String::as_str))
        .collect();
    let verdicts = verdicts("{}", &messages);
    assert!(
        verdicts[..10]
            .iter()
            .all(|verdict| *verdict == Verdict::Allow)
    );
    assert!(
        verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Withhold(_)))
    );
}

proptest! {
    #[test]
    fn no_more_pass_in_a_time_than_at_once_and_at_the_rate(
        gaps in proptest::collection::vec(0..3_000_u64, 1..200),
        messages in 1..8_u64,
    ) {
        let settings = format!("{{\"messages\": {messages}, \"within\": 10, \"same\": 1000, \"mute\": 1}}");
        let mut now_ms = 0;
        let sent: Vec<(u64, &str)> = gaps.iter().map(|gap| { now_ms += gap; (now_ms, "a") }).collect();
        let verdicts = verdicts(&settings, &sent);
        let passed: Vec<u64> = sent.iter().zip(&verdicts)
            .filter(|(_, verdict)| **verdict == Verdict::Allow).map(|((at, _), _)| *at).collect();
        for (index, begin) in passed.iter().enumerate() {
            let within = passed[index..].iter().filter(|at| **at < begin + 1_000).count() as u64;
            // A mute of a second lies between any two beginnings.
            prop_assert!(within <= 2 * messages, "{within} in a second from {begin}");
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_stopped(count in 1..100_u64) {
        let sent: Vec<(u64, &str)> = (0..count).map(|at| (at * 1_000, "a")).collect();
        let verdicts = verdicts(r#"{"messages": 10, "within": 10, "same": 1000}"#, &sent);
        prop_assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Allow));
    }
}
