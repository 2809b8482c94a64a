//! What reminders hold, whatever people type.

use chat_plugin::native::{MemoryHost, with_host};
use chat_plugin::{Effect, Message, PersonId, RoomId, Timer};
use proptest::prelude::*;

use crate::{ALL_MOST, native};

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}

#[test]
fn settings_out_of_bounds_are_named() {
    let start = |settings| native().start(settings);
    assert_eq!(
        start(r#"{"per_person": 21}"#),
        Err("`per_person` is 21; make it 1 to 20".into())
    );
    assert_eq!(
        start(r#"{"days": 367}"#),
        Err("`days` is 367; make it 1 to 366".into())
    );
}

#[test]
fn the_longest_list_fits_into_a_message() {
    with_host(MemoryHost::shared(), || {
        let mut plugin = native();
        plugin.start(r#"{"per_person": 20}"#).unwrap();
        let text = format!("30d {}", "가".repeat(160));
        for _ in 0..20 {
            plugin
                .run("remind", &text, &Message::of("/"))
                .unwrap()
                .unwrap();
        }
        let listed = plugin
            .run("reminders", "", &Message::of("/"))
            .unwrap()
            .unwrap();
        let [Effect::Reply(listed)] = listed.as_slice() else {
            panic!("{listed:?}");
        };
        assert_eq!(listed.lines().count(), 20);
        assert!(listed.len() < 4_000, "{} bytes", listed.len());
    });
}

#[test]
fn a_room_has_a_bound_on_all_reminders() {
    let host = MemoryHost::shared();
    host.borrow_mut()
        .state
        .insert("all".into(), ALL_MOST.to_le_bytes().into());
    with_host(host.clone(), || {
        let mut plugin = native();
        plugin.start("{}").unwrap();
        let error = plugin
            .run("remind", "10m tea", &Message::of("/"))
            .unwrap()
            .unwrap_err();
        assert!(error.starts_with("this room has 900 reminders"), "{error}");
    });
    assert_eq!(host.borrow().state["all"], ALL_MOST.to_le_bytes());
}

proptest! {
    /// Sets and cancels at random; in the end every timer fires once.
    #[test]
    fn each_reminder_is_told_once_or_cancelled(
        deeds in proptest::collection::vec((1..4_u64, 0..5_u32), 1..60),
    ) {
        let host = MemoryHost::shared();
        host.borrow_mut().names = (1..4).map(|person| (PersonId(person), format!("p{person}"))).collect();
        with_host(host.clone(), || {
            let mut plugin = native();
            plugin.start(r#"{"per_person": 3}"#).unwrap();
            let mut timers: Vec<Timer> = Vec::new();
            for (person, what) in deeds {
                let by = Message { sender: PersonId(person), ..Message::of("/") };
                let arguments = if what == 0 { "10m tea".into() } else { format!("cancel {what}") };
                for effect in plugin.run("remind", &arguments, &by).unwrap().unwrap_or_default() {
                    match effect {
                        Effect::Schedule(timer) => {
                            assert!(timers.iter().all(|set| set.key != timer.key), "{} again", timer.key);
                            timers.push(timer);
                        }
                        Effect::Cancel(key) => timers.retain(|timer| timer.key != key),
                        _ => {}
                    }
                }
            }
            for timer in &timers {
                let told = plugin.fired(RoomId(1), timer).unwrap();
                assert!(matches!(told.as_slice(), [Effect::Whisper { .. }]), "{told:?}");
                let again = plugin.fired(RoomId(1), timer).unwrap();
                assert_eq!(again, [], "told twice");
            }
            let host = host.borrow();
            assert!(host.state.keys().all(|key| key == "all"), "{:?}", host.state);
            assert!(host.state.get("all").is_none_or(|all| *all == 0_i64.to_le_bytes()));
        });
    }

    #[test]
    fn whatever_is_typed_is_answered_within_bounds(typed in "\\PC{0,200}|(cancel )?[0-9a-z ]{0,20}") {
        with_host(MemoryHost::shared(), || {
            let mut plugin = native();
            plugin.start("{}").unwrap();
            if let Err(usage) = plugin.run("remind", typed.trim(), &Message::of("/")).unwrap() {
                assert!(usage.len() <= 1_024, "{} bytes", usage.len());
            }
        });
    }
}
