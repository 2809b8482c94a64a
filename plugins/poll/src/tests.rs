//! What polls hold, whatever people type.

use std::collections::BTreeMap;

use chat_plugin::native::{MemoryHost, with_host};
use chat_plugin::{Effect, Message, PersonId};
use proptest::prelude::*;

use crate::{Poll, native};

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}

#[test]
fn a_running_time_out_of_bounds_is_named() {
    let error = native().start(r#"{"hours": 721}"#).unwrap_err();
    assert_eq!(error, "`hours` is 721; make it 1 to 720");
    assert!(native().start(r#"{"hours": 720}"#).is_ok());
}

#[test]
fn the_largest_poll_fits_into_a_message() {
    let options: Vec<String> = (0..10)
        .map(|number| format!("{number}{}", "x".repeat(99)))
        .collect();
    let arguments = format!("{} | {}", "q".repeat(300), options.join(" | "));
    with_host(MemoryHost::shared(), || {
        let mut plugin = native();
        plugin.start("{}").unwrap();
        for (name, arguments) in [
            ("poll", arguments.as_str()),
            ("vote", "10"),
            ("results", ""),
        ] {
            let effects = plugin
                .run(name, arguments, &Message::of("/"))
                .unwrap()
                .unwrap();
            let [Effect::Notice(text) | Effect::Reply(text)] = effects.as_slice() else {
                panic!("{effects:?}");
            };
            assert!(text.len() < 2_000, "{} bytes", text.len());
        }
    });
}

proptest! {
    #[test]
    fn the_tally_is_that_of_everybodys_last_vote(
        votes in proptest::collection::vec((1..5_u64, 0..5_usize), 0..40),
    ) {
        let host = MemoryHost::shared();
        with_host(host.clone(), || {
            let mut plugin = native();
            plugin.start("{}").unwrap();
            let mut give = |name: &str, arguments: &str, sender: u64| {
                let by = Message { sender: PersonId(sender), ..Message::of("/") };
                plugin.run(name, arguments, &by).unwrap()
            };
            give("poll", "q | a | b | c", 1).unwrap();
            let mut last = BTreeMap::new();
            for (sender, number) in &votes {
                let taken = give("vote", &number.to_string(), *sender).is_ok();
                assert_eq!(taken, (1..=3).contains(number));
                if taken {
                    last.insert(*sender, *number);
                }
            }
            let expected: Vec<u64> = (1..=3)
                .map(|option| last.values().filter(|number| **number == option).count() as u64)
                .collect();
            let bytes = host.borrow().state["poll"].clone();
            let poll: Poll = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(poll.tally, expected);
        });
    }

    #[test]
    fn whatever_is_typed_is_answered_within_bounds(name in "poll|vote|results", typed in "\\PC{0,400}|[a |]{0,80}") {
        with_host(MemoryHost::shared(), || {
            let mut plugin = native();
            plugin.start("{}").unwrap();
            plugin.run("poll", "q | a | b", &Message::of("/")).unwrap().unwrap();
            if let Err(usage) = plugin.run(&name, &typed, &Message::of("/")).unwrap() {
                assert!(usage.len() <= 1_024, "{} bytes", usage.len());
            }
        });
    }
}
