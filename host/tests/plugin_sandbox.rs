//! No plugin can hurt the host: every attack, in every role, ends within the limits and is blamed on whom it should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_host::plugin::{
    Blame, Effect, Fault, Instance, OpenError, Plugins, Reason, Run, Style, Target, TextBody,
    Verdict,
};
use plugin_support::{House, Memory, hostile, item, message, patched, plugin, timer, until};

/// What a role answers, as far as these tests care.
type Ask = fn(&mut dyn Instance, &str) -> Result<(), Fault>;

const ROLES: [(&str, Ask); 5] = [
    ("moderation", |instance, text| {
        instance.moderate(&[message(text)]).map(drop)
    }),
    ("commands", |instance, text| {
        instance.run("deed", text, &message("/deed")).map(drop)
    }),
    ("formatting", |instance, text| {
        instance.format(&[item(text)]).map(drop)
    }),
    ("review", |instance, text| {
        instance.review(&[item(text)]).map(drop)
    }),
    ("timers", |instance, text| {
        instance.fired(3, &timer(text)).map(drop)
    }),
];

fn instance(plugins: &Plugins) -> Box<dyn Instance> {
    plugin(plugins, "hostile")
        .instance(Arc::new(Memory::default()))
        .unwrap()
}

/// Does a deed in every role; each must be blamed as given, and a fresh instance must work afterwards.
fn each_role_is_blamed(deed: &str, blames: &[Blame]) {
    let mut house = House::hostile("");
    // On a busy machine 50 ms are too few to fill 64 MiB.
    house.config.defaults.memory_bytes = 8 << 20;
    let plugins = house.open().unwrap();
    for (role, ask) in ROLES {
        let mut guilty = instance(&plugins);
        let started = Instant::now();
        let fault = ask(&mut *guilty, &format!("do:{deed}")).expect_err(role);
        let took = started.elapsed();
        assert!(blames.contains(&fault.blame), "{role}: {fault}");
        assert!(
            !fault.detail.is_empty() && fault.detail.len() <= 512,
            "{role}: {fault}"
        );
        // The limit is 50 ms; the rest is a busy machine.
        assert!(
            took < Duration::from_secs(3),
            "{role}: ended after {took:?}"
        );
        let again = ask(&mut *guilty, "hello").expect_err("a failed instance is not called again");
        assert_eq!(again.blame, Blame::Host, "{role}");
        ask(&mut *instance(&plugins), "hello").unwrap_or_else(|fault| panic!("{role}: {fault}"));
    }
}

/// Does a deed in every role that the host survives by bounding it.
fn each_role_survives(deed: &str) {
    let plugins = House::hostile("").open().unwrap();
    for (role, ask) in ROLES {
        let mut instance = instance(&plugins);
        for _ in 0..2 {
            ask(&mut *instance, &format!("do:{deed}"))
                .unwrap_or_else(|fault| panic!("{role}: {fault}"));
        }
    }
}

#[test]
fn a_loop_ends_at_the_running_time() {
    each_role_is_blamed("loop", &[Blame::RunningTime]);
}

#[test]
fn a_sleep_ends_on_the_clock() {
    each_role_is_blamed("sleep", &[Blame::WallClock]);
}

#[test]
fn many_short_sleeps_end_like_a_long_one() {
    each_role_is_blamed("nap-and-work", &[Blame::WallClock]);
}

#[test]
fn a_trap_is_a_trap() {
    each_role_is_blamed("trap", &[Blame::Trap]);
}

#[test]
fn a_panic_is_a_trap_that_tells_its_message() {
    each_role_is_blamed("panic", &[Blame::Trap]);
    let plugins = House::hostile("").open().unwrap();
    let fault = instance(&plugins)
        .moderate(&[message("do:panic")])
        .unwrap_err();
    assert!(fault.last_words.contains("as I was told"), "{fault}");
    assert!(fault.last_words.lines().count() > 1, "{}", fault.last_words);
    // What a guest says may quote a message, and the log has the detail.
    assert!(!fault.detail.contains("as I was told"), "{fault}");
}

#[test]
fn an_exit_is_a_trap() {
    each_role_is_blamed("exit", &[Blame::Trap]);
}

#[test]
fn endless_recursion_is_a_trap() {
    each_role_is_blamed("recursion", &[Blame::Trap]);
}

#[test]
fn a_hoard_of_memory_is_blamed_on_memory() {
    each_role_is_blamed("memory", &[Blame::Memory]);
    each_role_is_blamed("memory-grow", &[Blame::Memory]);
}

#[test]
fn a_loop_of_host_calls_is_bounded() {
    each_role_is_blamed("host-calls", &[Blame::Answer]);
}

#[test]
fn data_handed_to_the_host_is_bounded() {
    each_role_is_blamed("enormous", &[Blame::Answer, Blame::Memory]);
    let plugins = House::hostile("").open().unwrap();
    let fault = instance(&plugins)
        .moderate(&[message("do:huge-value")])
        .unwrap_err();
    assert_eq!(fault.blame, Blame::Answer, "{fault}");
}

#[test]
fn an_answer_beyond_the_bounds_of_the_interface_is_a_failure() {
    for deed in ["miscount", "wordy", "huge", "bell"] {
        each_role_is_blamed(deed, &[Blame::Answer]);
    }
    let plugins = House::hostile("").open().unwrap();
    let fault_of = |ask: fn(&mut dyn Instance) -> Result<(), Fault>| {
        ask(&mut *instance(&plugins)).unwrap_err()
    };
    for fault in [
        fault_of(|it| it.moderate(&[message("do:empty")]).map(drop)),
        fault_of(|it| it.run("deed", "do:empty", &message("x")).map(drop)),
        fault_of(|it| it.fired(1, &timer("do:empty")).map(drop)),
        fault_of(|it| it.fired(1, &timer("do:reply")).map(drop)),
        fault_of(|it| it.review(&[item("do:revise")]).map(drop)),
        fault_of(|it| it.format(&[item("do:script")]).map(drop)),
    ] {
        assert_eq!(fault.blame, Blame::Answer, "{fault}");
    }
}

#[test]
fn floods_of_log_and_output_are_dropped_without_harm() {
    each_role_survives("log");
    each_role_survives("stderr");
    each_role_survives("stdout");
}

#[test]
fn an_end_of_stdin_is_read_at_once() {
    each_role_survives("stdin");
}

#[test]
fn nothing_outside_can_be_reached() {
    each_role_survives("escape");
}

#[test]
fn handles_of_the_host_are_bounded() {
    let plugins = House::hostile("").open().unwrap();
    // It holds on to a million; whichever bound it meets first, it is ended.
    let started = Instant::now();
    let ended = instance(&plugins).moderate(&[message("do:resources")]);
    assert!(started.elapsed() < Duration::from_secs(3));
    if let Err(fault) = ended {
        assert_ne!(fault.blame, Blame::Host, "{fault}");
    }
}

#[test]
fn formatting_has_no_state() {
    let plugins = House::hostile("").open().unwrap();
    let fault = instance(&plugins).format(&[item("do:state")]).unwrap_err();
    assert_eq!(fault.blame, Blame::Answer);
    assert!(fault.detail.contains("state"), "{fault}");
    assert_eq!(
        instance(&plugins).moderate(&[message("do:state")]),
        Ok(vec![Verdict::Allow])
    );
}

#[test]
fn a_batch_has_more_time_than_a_message() {
    let plugins = House::hostile("").open().unwrap();
    let batch = vec![message("do:slow"); 8];
    assert_eq!(
        instance(&plugins)
            .moderate(&batch)
            .map(|answers| answers.len()),
        Ok(8)
    );
}

#[test]
fn a_batch_ends_after_a_quarter_of_a_second() {
    let plugins = House::hostile("").open().unwrap();
    let mut batch = vec![message("hello"); 63];
    batch.push(message("do:loop"));
    let mut guilty = instance(&plugins);
    let started = Instant::now();
    let fault = guilty.moderate(&batch).unwrap_err();
    assert_eq!(fault.blame, Blame::RunningTime);
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_secs(4),
        "{took:?}"
    );
}

#[test]
fn good_answers_arrive_as_they_were_given() {
    let plugins = House::hostile("").open().unwrap();
    let mut it = instance(&plugins);
    let batch = [
        "a",
        "do:withhold",
        "do:discard",
        "x do:revise y",
        "do:echo-room",
    ]
    .map(message);
    let expected = [
        Verdict::Allow,
        Verdict::Withhold("because".into()),
        Verdict::Discard,
        Verdict::Revise("x done y".into()),
        Verdict::Revise("room-3".into()),
    ];
    assert_eq!(it.moderate(&batch).unwrap(), expected);
    let said = it.run("deed", "hello", &message("/deed hello"));
    assert_eq!(said, Ok(Ok(vec![Effect::Say("hello".into())])));
    assert_eq!(
        it.run("deed", "", &message("/deed")),
        Ok(Err("do what?".into()))
    );
    let run = |text: &str, target| Run {
        text: text.into(),
        style: Style::STRONG,
        target,
    };
    let runs = vec![
        run("see ", Target::None),
        run("there", Target::Url("https://example.org/".into())),
    ];
    let bodies = it.format(&[item("plain"), item("do:style")]).unwrap();
    assert_eq!(bodies, [None, Some(runs.clone())]);
    let mut styled = item("");
    styled.body = TextBody::Styled(runs);
    assert_eq!(
        it.review(&[styled, item("do:withhold")]).unwrap(),
        [Verdict::Allow, Verdict::Withhold("because".into())]
    );
    assert_eq!(
        it.fired(3, &timer("egg")),
        Ok(vec![Effect::Notice("egg".into())])
    );
}

#[test]
fn state_reaches_the_host_that_the_instance_was_made_for() {
    let plugins = House::hostile("").open().unwrap();
    let memory = Arc::new(Memory::default());
    let mut it = plugin(&plugins, "hostile")
        .instance(memory.clone())
        .unwrap();
    it.moderate(&[message("do:write")]).unwrap();
    assert_eq!(memory.state.lock().unwrap()["key"], b"value");
}

fn refusal(house: &House) -> (Reason, String) {
    match house.open().err() {
        Some(OpenError::Load(error)) => {
            let text = error.to_string();
            assert!(
                text.starts_with("the plugin `hostile` does not load: "),
                "{text}"
            );
            (error.reason, text)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_start_that_attacks_keeps_the_plugin_from_loading() {
    for (deed, blames) in [
        ("loop", &[Blame::RunningTime][..]),
        ("sleep", &[Blame::WallClock]),
        ("trap", &[Blame::Trap]),
        ("memory", &[Blame::Memory]),
        ("recursion", &[Blame::Trap]),
        ("state", &[Blame::Answer]),
        ("host-calls", &[Blame::Answer]),
    ] {
        let mut house = House::hostile(&format!("deed = 'do:{deed}'"));
        house.config.defaults.start_ms = 100;
        house.config.defaults.memory_bytes = 8 << 20;
        let started = Instant::now();
        let (reason, text) = refusal(&house);
        assert!(started.elapsed() < Duration::from_secs(20), "{deed}");
        match reason {
            Reason::Fault(fault) => assert!(blames.contains(&fault.blame), "{deed}: {fault}"),
            _ => panic!("{deed}: {text}"),
        }
    }
}

#[test]
fn a_start_may_log() {
    House::hostile("deed = 'do:log'").open().unwrap();
}

#[test]
fn a_refusal_to_start_is_told() {
    let (_, text) = refusal(&House::hostile("refuse = true"));
    assert!(
        text.ends_with("it does not start: I do not like these settings"),
        "{text}"
    );
}

#[test]
fn an_unknown_interface_version_is_named() {
    let house = House::new();
    house.put("hostile", &patched(hostile(), "@1.0.0", "@2.0.0"));
    let (_, text) = refusal(&house);
    assert_eq!(
        text,
        "the plugin `hostile` does not load: it answers the interface chat:plugin 2.0, and this host knows 1.x; \
         build it with chat-plugin 1"
    );
}

#[test]
fn an_import_that_is_not_given_is_named() {
    let house = House::new();
    house.put(
        "hostile",
        &patched(hostile(), "wasi:io/poll@", "wasi:ii/poll@"),
    );
    let (reason, text) = refusal(&house);
    assert!(matches!(reason, Reason::Link(_)), "{text}");
    assert!(text.contains("wasi:ii/poll@"), "{text}");
}

#[test]
fn a_name_that_is_not_the_files_is_refused() {
    let house = House::new();
    house.put("other", hostile());
    match house.open().err() {
        Some(OpenError::Load(error)) => assert!(error.to_string().contains("`hostile`"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [
        &b""[..],
        b"hello",
        b"\0asm\x01\0\0\0",
        &hostile()[..hostile().len() / 2],
    ] {
        let house = House::new();
        house.put("hostile", bytes);
        let (reason, text) = refusal(&house);
        assert!(matches!(reason, Reason::Compile(_)), "{text}");
    }
}

#[test]
fn what_compiles_and_does_not_fit_is_told_as_that() {
    // A module of nothing, and 65 instances of it.
    let mut bytes = b"\0asm\x0d\0\x01\0\x01\x08\0asm\x01\0\0\0\x02\xc4\x01\x41".to_vec();
    bytes.extend([0, 0, 0].repeat(65));
    let house = House::new();
    house.put("hostile", &bytes);
    let (reason, text) = refusal(&house);
    assert!(matches!(reason, Reason::Load(_)), "{text}");
    assert!(
        text.contains("it compiles, but this host can't load it") && text.contains("65"),
        "{text}"
    );
}

#[test]
fn calls_are_counted_and_failures_blamed_in_the_counters() {
    let plugins = House::hostile("").open().unwrap();
    let mut it = instance(&plugins);
    it.moderate(&vec![message("hello"); 10]).unwrap();
    it.moderate(&[message("do:trap")]).unwrap_err();
    let stats = plugins.stats().plugins();
    let (name, stats) = &stats[0];
    assert_eq!(name, "hostile");
    assert_eq!(stats.moderation.calls.get(), 2);
    assert_eq!(stats.moderation.messages.get(), 11);
    assert_eq!(stats.failures.trap.get(), 1);
    assert!(stats.moderation.nanos.get() > 0);
}

#[test]
fn a_spare_waits_for_the_next_instance() {
    let plugins = House::hostile("").open().unwrap();
    let stats = plugins.stats().plugins().remove(0).1;
    let mut taken = 0;
    until("a spare was taken", || {
        drop(instance(&plugins));
        taken += 1;
        stats.spares.get() > 0
    });
    assert_eq!(stats.instances.get(), taken);
}
