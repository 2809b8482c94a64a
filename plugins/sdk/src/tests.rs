//! The native kit, with a plugin that has every role: what the contract of `NativePlugin` says, and what is outside.

use std::time::Duration;

use crate::native::{Failure, MemoryHost, NativePlugin, Roles, with_host};
use crate::{
    Call, Commands, Counter, Effect, Formatting, Item, Judgement, Manifest, Message, Moderation,
    PersonId, Plugin, Review, RoomId, Run, Set, State, StateError, Timer, Timers, Value, Verdict,
    directory, log,
};
use serde::Deserialize;

/// Counts the messages of a room, and does what the tests ask.
struct Counting {
    most: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    most: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { most: 3 }
    }
}

impl Plugin for Counting {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("counting", "1.0.0")
            .command("count", "[NAME]", "Counts")
            .priority(-1)
    }

    fn start(settings: Settings) -> Result<Self, String> {
        if settings.most < 0 {
            return Err(format!("`most` is {}; make it 0 or more", settings.most));
        }
        Ok(Counting {
            most: settings.most,
        })
    }
}

impl Moderation for Counting {
    fn moderate(&mut self, message: &Message, state: State) -> Verdict {
        assert_ne!(message.text, "panic", "as it was told");
        log::info(format!("took {}", message.text));
        match state.add("messages", 1) {
            Ok(count) if count <= self.most => Verdict::Allow,
            Ok(_) => Verdict::withhold("too many"),
            Err(error) => Verdict::withhold(error.to_string()),
        }
    }
}

impl Commands for Counting {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        let count = call
            .state
            .counter("messages")
            .map_err(|error| error.to_string())?;
        let by = directory::name(call.by.sender).ok_or("who are you?")?;
        Ok(vec![
            Effect::say(format!("{by}: {count} {}", call.arguments)),
            Effect::Schedule(Timer::new("reset", Duration::from_secs(60)).with(*b"now")),
        ])
    }
}

impl Formatting for Counting {
    fn format(&mut self, _: &Item) -> Option<Vec<Run>> {
        Some(vec![
            Run::text("x").strong().emphasis(),
            Run::text("y").link("https://a.example"),
        ])
    }
}

impl Review for Counting {
    fn review(&mut self, _: &Item, _: State) -> Judgement {
        Judgement::Discard
    }
}

impl Timers for Counting {
    fn fired(&mut self, _: RoomId, due: &Timer, state: State) -> Vec<Effect> {
        match state.remove("messages") {
            Ok(()) => vec![Effect::notice(due.key.as_str())],
            Err(_) => Vec::new(),
        }
    }
}

crate::export!(Counting: moderation, commands, formatting, review, timers);

/// Only one of the roles that the type has.
mod quiet {
    use super::Counting;

    crate::export!(Counting: review);
}

fn started() -> Box<dyn NativePlugin> {
    let mut plugin = native();
    plugin.start("{}").expect("it starts without settings");
    plugin
}

#[test]
fn a_plugin_is_described_without_being_started() {
    let manifest = native().describe();
    assert_eq!(manifest.name, "counting");
    assert_eq!(manifest.priority, -1);
    assert_eq!(manifest.commands.len(), 1);
    assert_eq!(native().roles(), Roles::all());
    assert_eq!(quiet::native().roles(), Roles::REVIEW);
}

#[test]
fn a_role_that_is_not_exported_is_a_failure() {
    let mut plugin = quiet::native();
    plugin.start("{}").unwrap();
    assert_eq!(plugin.moderate(&[]), Err(Failure::NoRole));
    assert_eq!(
        plugin.review(&[Item::of("a")]),
        Ok(vec![Judgement::Discard])
    );
}

#[test]
fn settings_are_checked() {
    let mut plugin = native();
    let error = plugin.start(r#"{"moist": 1}"#).unwrap_err();
    assert!(
        error.contains("unknown field `moist`, expected `most`"),
        "{error}"
    );
    assert_eq!(
        plugin.start(r#"{"most": -1}"#),
        Err("`most` is -1; make it 0 or more".into())
    );
    assert_eq!(
        plugin.moderate(&[Message::of("a")]),
        Err(Failure::NotStarted)
    );
}

#[test]
fn state_log_and_directory_are_those_of_the_installed_host() {
    let host = MemoryHost::shared();
    host.borrow_mut().names.insert(PersonId(1), "ann".into());
    let mut plugin = started();
    with_host(host.clone(), || {
        let batch = ["a", "b", "c", "d"].map(Message::of);
        let verdicts = plugin.moderate(&batch).unwrap();
        assert_eq!(
            verdicts[2..],
            [Verdict::Allow, Verdict::withhold("too many")]
        );
        let effects = plugin
            .run("count", "all", &Message::of("/count all"))
            .unwrap()
            .unwrap();
        assert_eq!(effects[0], Effect::say("ann: 4 all"));
        let due = Timer::new("reset", Duration::from_secs(60));
        assert_eq!(
            plugin.fired(RoomId(1), &due),
            Ok(vec![Effect::notice("reset")])
        );
    });
    let host = host.borrow();
    assert_eq!(host.logged.len(), 4);
    assert!(host.state.is_empty(), "the timer removed the counter");
}

#[test]
fn without_a_host_nothing_is_remembered() {
    let verdicts = started().moderate(&[Message::of("a")]).unwrap();
    let [Verdict::Withhold(reason)] = verdicts.as_slice() else {
        panic!("{verdicts:?}");
    };
    assert!(reason.contains("no host is installed"), "{reason}");
}

#[test]
fn a_panic_costs_the_instance() {
    let mut plugin = started();
    let failure = plugin.moderate(&[Message::of("panic")]).unwrap_err();
    assert!(
        matches!(&failure, Failure::Panicked(text) if text.contains("as it was told")),
        "{failure}"
    );
    assert_eq!(plugin.format(&[]), Err(Failure::NotStarted));
    plugin.start("{}").unwrap();
    assert_eq!(plugin.format(&[]), Ok(Vec::new()));
}

#[test]
fn the_host_is_put_back_after_the_call() {
    let (outer, inner) = (MemoryHost::shared(), MemoryHost::shared());
    with_host(outer.clone(), || {
        let _ = std::panic::catch_unwind(|| {
            let inner = MemoryHost::shared();
            with_host(inner, || panic!("in the middle of a call"));
        });
        with_host(inner.clone(), || log::info("inner"));
        log::info("outer");
    });
    log::info("nobody");
    assert_eq!(outer.borrow().logged[0].1, "outer");
    assert_eq!(
        (outer.borrow().logged.len(), inner.borrow().logged.len()),
        (1, 1)
    );
}

/// Reads and writes every kind of state.
struct Remembering;

impl Plugin for Remembering {
    type Settings = crate::NoSettings;

    fn manifest() -> Manifest {
        Manifest::new("remembering", "1.0.0")
    }

    fn start(_: Self::Settings) -> Result<Self, String> {
        Ok(Remembering)
    }
}

impl Moderation for Remembering {
    fn moderate(&mut self, _: &Message, state: State) -> Verdict {
        match round_trip(state).and_then(|()| typed_round_trip(state)) {
            Ok(()) => Verdict::Allow,
            Err(error) => Verdict::withhold(error.to_string()),
        }
    }
}

fn round_trip(state: State) -> Result<(), StateError> {
    let minute = Duration::from_secs(60);
    assert_eq!(state.get::<String>("word")?, None);
    state.put("word", &"one word")?;
    state.put_for("pair", &(1, true), minute)?;
    assert_eq!(state.get::<String>("word")?.as_deref(), Some("one word"));
    assert_eq!(state.get::<(i32, bool)>("pair")?, Some((1, true)));
    assert!(matches!(
        state.get::<i32>("word"),
        Err(StateError::Shape { .. })
    ));
    assert_eq!(state.counter("count")?, 0);
    assert_eq!(state.add_for("count", -7, minute)?, -7);
    assert_eq!(state.counter("count")?, -7);
    assert_eq!(state.add_for("count", 7, minute)?, 0);
    assert!(matches!(
        state.add("word", 1),
        Err(StateError::Refused { .. })
    ));
    state.remove("word")?;
    assert_eq!(state.get::<String>("word")?, None);
    Ok(())
}

/// The same, by constants that name their keys.
fn typed_round_trip(state: State) -> Result<(), StateError> {
    const WORD: Value<String> = Value::new("word");
    const COUNT: Counter = Counter::new("count").lasting(Duration::from_secs(60));
    const NAMES: Set<String> = Set::new("names");
    WORD.put(state, &"the room's".into())?;
    WORD.of(PersonId(7)).put(state, &"their own".into())?;
    assert_eq!(state.get::<String>("word/7")?.as_deref(), Some("their own"));
    WORD.of(PersonId(7)).remove(state)?;
    assert_eq!(WORD.get(state)?.as_deref(), Some("the room's"));
    assert_eq!(WORD.of(PersonId(7)).get(state)?, None);
    assert_eq!((COUNT.add(state, 2)?, COUNT.get(state)?), (2, 2));
    assert_eq!(COUNT.of(PersonId(7)).get(state)?, 0);
    assert!(NAMES.insert(state, "ann".into())?);
    assert!(!NAMES.insert(state, "ann".into())?);
    assert!(NAMES.all(state)?.contains("ann"));
    assert!(!NAMES.remove(state, &"bob".into())?);
    assert!(NAMES.remove(state, &"ann".into())?);
    assert_eq!(state.get::<Vec<String>>("names")?, None);
    WORD.remove(state)?;
    COUNT.remove(state)
}

mod remembering {
    use super::Remembering;

    crate::export!(Remembering: moderation);
}

#[test]
fn state_is_read_as_it_was_written() {
    let mut plugin = remembering::native();
    plugin.start("{}").unwrap();
    let verdicts = with_host(MemoryHost::shared(), || {
        plugin.moderate(&[Message::of("a")])
    });
    assert_eq!(verdicts, Ok(vec![Verdict::Allow]));
}
