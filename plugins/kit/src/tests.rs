//! The kit itself: what passes, what a failure says, and which files are refused.

use std::time::Duration;

use chat_plugin::{
    Call, Commands, Counter, Effect, Formatting, Item, Manifest, Message, Moderation, NoSettings,
    Plugin, RoomId, Run, State, Timer, Timers, Value, Verdict,
};

use crate::{CaseFile, Native, run};

const COUNT: Counter = Counter::new("count").lasting(Duration::from_secs(10));
const LAST: Value<String> = Value::new("last");

/// Counts messages, and does what the tests ask.
struct Asked {
    /// What an instance remembers, which cases must notice.
    own: i64,
}

impl Plugin for Asked {
    type Settings = NoSettings;

    fn manifest() -> Manifest {
        Manifest::new("asked", "1.0.0").command("later", "TEXT", "Says it later")
    }

    fn start(_: NoSettings) -> Result<Self, String> {
        Ok(Asked { own: 0 })
    }
}

impl Moderation for Asked {
    fn moderate(&mut self, message: &Message, state: State) -> Verdict {
        self.own += 1;
        let count = COUNT.add(state, 1).unwrap();
        LAST.of(message.sender).put(state, &message.text).unwrap();
        match message.text.as_str() {
            "count" => Verdict::revise(count.to_string()),
            "own" => Verdict::revise(self.own.to_string()),
            "long" => Verdict::withhold("x".repeat(513)),
            "random" => Verdict::revise(chat_plugin::random_u64().to_string()),
            "panic" => panic!("as it was told"),
            _ => Verdict::Allow,
        }
    }
}

impl Commands for Asked {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        if call.arguments.is_empty() {
            return Err("usage: /later TEXT".into());
        }
        let timer = Timer::new("later", Duration::from_secs(60)).with(call.arguments);
        Ok(vec![Effect::Schedule(timer)])
    }
}

impl Timers for Asked {
    fn fired(&mut self, _: RoomId, due: &Timer, _: State) -> Vec<Effect> {
        match due.data.as_slice() {
            b"reply" => vec![Effect::reply("to whom?")],
            data => vec![Effect::notice(String::from_utf8_lossy(data))],
        }
    }
}

impl Formatting for Asked {
    fn format(&mut self, item: &Item) -> Option<Vec<Run>> {
        match &item.body {
            chat_plugin::Body::Plain(text) => Some(vec![Run::text(text).strong()]),
            chat_plugin::Body::Styled(_) => None,
        }
    }
}

chat_plugin::export!(Asked: moderation, commands, timers, formatting);

/// Everything that a report on these cases says.
fn report(cases: &str) -> String {
    let cases = CaseFile::parse(cases).expect("a good file");
    run(&cases, &Native(native)).to_string()
}

fn refused(cases: &str) -> String {
    let error = CaseFile::parse(cases).expect_err("a bad file");
    error.to_string()
}

fn one_step(step: &str) -> String {
    report(&format!(
        "[[case]]\nname = \"one\"\nsteps = [\n  {step},\n]\n"
    ))
}

const GOOD: &str = r#"
[[case]]
name = "messages are counted for ten seconds, by room"
given = { lobby = { count = { counter = 4 } } }
steps = [
  { send = "count", expect = { revise = "5" } },
  { send = "count", at = "9s", from = "bob", expect = { revise = "6" } },
  { send = "count", room = "tea", expect = { revise = "1" } },
  { send = "hello", at = "19s", expect = "allow" },
  { send = "count", at = "20s", expect = { revise = "2" } },
]
left = { lobby = { count = { counter = 2 }, "last/2" = { json = "count" }, "last/3" = "absent" }, tea = { count = "absent" } }

[[case]]
name = "what is said later is said once"
steps = [
  { command = "/later tea", expect = { effects = [{ schedule = { key = "later", delay = "1m", data = "tea" } }] } },
  { command = "/later", expect = { usage = "usage: /later TEXT" } },
  { timer = "later", at = "1m", expect = { effects = [{ notice = "tea" }] } },
]

[[case]]
name = "text is strong"
steps = [
  { format = "a", expect = { runs = [{ text = "a", style = ["strong"] }] } },
  { format = [{ text = "a", url = "https://a.example" }], expect = "unchanged" },
]

[[case]]
name = "settings are refused"
settings = { most = 1 }
refused = "the settings are not what this plugin takes: unknown field `most`, there are no fields at line 1 column 7"
"#;

#[test]
fn what_is_as_expected_passes() {
    assert_eq!(report(GOOD), "4 passed, 0 failed");
}

#[test]
fn a_wrong_expectation_is_named() {
    let cases = GOOD.replace(r#"revise = "6""#, r#"revise = "7""#);
    assert_eq!(
        report(&cases),
        "3 passed, 1 failed\n\n\
         case `messages are counted for ten seconds, by room` (line 3)\n  \
         step 2 (line 7): bob sends \"count\"\n    \
         expected: { revise = \"7\" }\n    \
         got:      { revise = \"6\" }"
    );
}

#[test]
fn wrong_state_is_named() {
    let cases = GOOD.replace("{ counter = 2 }", "{ counter = 9 }");
    let report = report(&cases);
    let why =
        "left, `count` in `lobby`\n    expected: { counter = 9 }\n    got:      { counter = 2 }";
    assert!(report.contains(why), "{report}");
}

#[test]
fn a_plugin_that_sees_batches_or_its_own_past_does_not_pass() {
    let report = one_step(
        r#"{ send = "hello", expect = "allow" }, { send = "own", expect = { revise = "2" } }"#,
    );
    assert!(
        report.contains("step 2 (line 4): ann sends \"own\": the answer depends on how messages are cut into calls"),
        "{report}"
    );
    assert!(
        report.contains("each on a fresh instance: { revise = \"1\" }"),
        "{report}"
    );
}

#[test]
fn a_failure_costs_its_own_message_only() {
    let report = one_step(
        r#"{ send = "hello", expect = "allow" }, { send = "panic", expect = "allow" }, { send = "count", expect = { revise = "2" } }"#,
    );
    assert!(
        report.contains("got:      a failure: the plugin panicked: as it was told"),
        "{report}"
    );
    assert!(!report.contains("step 1"), "{report}");
    assert!(
        !report.contains("step 3"),
        "what failed left state: {report}"
    );
}

#[test]
fn what_breaks_the_interface_is_a_failure() {
    for (step, why) in [
        (
            r#"{ send = "long", expect = "allow" }"#,
            "a reason has 513 bytes; at most 512 are allowed",
        ),
        (
            r#"{ command = "/nosuch", expect = { usage = "" } }"#,
            "its manifest lists no command `nosuch`",
        ),
        (
            r#"{ review = "a", expect = "allow" }"#,
            "the plugin does not have this role",
        ),
        (
            r#"{ timer = "later", expect = { effects = [] } }"#,
            "no timer `later` is set in this room",
        ),
        (
            r#"{ command = "/later reply", expect = { effects = [{ schedule = { key = "later", delay = "1m", data = "reply" } }] } }, { timer = "later", at = "1m", expect = { effects = [] } }"#,
            "a timer has nobody to reply to",
        ),
        (
            r#"{ command = "/later a", expect = { effects = [{ schedule = { key = "later", delay = "1m", data = "a" } }] } }, { timer = "later", at = "59s", expect = { effects = [] } }"#,
            "is due 60000 ms after the case's begin",
        ),
    ] {
        let report = one_step(step);
        assert!(report.contains(why), "{step}\n{report}");
    }
}

#[test]
fn random_numbers_come_from_the_seed() {
    let case = |seed: u64| {
        let steps = r#"steps = [{ send = "random", expect = "allow" }]"#;
        report(&format!("[[case]]\nname = \"a\"\nseed = {seed}\n{steps}\n"))
    };
    assert_eq!(case(1), case(1));
    assert_ne!(case(1), case(2));
}

#[test]
fn what_a_file_can_t_mean_is_refused_with_its_line() {
    let unknown =
        refused("[[case]]\nname = \"a\"\nsteps = [\n  { sent = \"a\", expect = \"allow\" },\n]\n");
    assert!(
        unknown.contains("line 4") && unknown.contains("unknown field `sent`"),
        "{unknown}"
    );
    let in_run = refused(
        "[[case]]\nname = \"a\"\nsteps = [\n  { review = [\n    { text = \"a\", link = \"b\" },\n  ], expect = \"allow\" },\n]\n",
    );
    assert!(
        in_run.contains("line 5") && in_run.contains("unknown field `link`"),
        "{in_run}"
    );
    let of_file = refused("setting = {}\n");
    assert!(
        of_file.contains("line 1") && of_file.contains("`setting`"),
        "{of_file}"
    );
    let step = |step: &str| {
        refused(&format!(
            "[[case]]\nname = \"a\"\nsteps = [\n  {step},\n]\n"
        ))
    };
    for (wrong, why) in [
        (
            r#"{ send = "a", expect = "unchanged" }"#,
            "line 4: what this step is answered can't be this",
        ),
        (
            r#"{ review = "a", expect = { revise = "b" } }"#,
            "`allow`, `withhold` or `discard`",
        ),
        (
            r#"{ expect = "allow" }"#,
            "line 4: a step has one of `send`",
        ),
        (
            r#"{ send = "a", format = "a", expect = "allow" }"#,
            "line 4: a step has one of `send`",
        ),
        (
            r#"{ send = "a", from = "zoe", expect = "allow" }"#,
            "line 4: there is no person `zoe`, but `ann`, `bob`, `cho`",
        ),
        (
            r#"{ send = "a", at = "1 week", expect = "allow" }"#,
            "a time such as",
        ),
        (
            r#"{ send = "a", at = "2s", expect = "allow" }, { send = "a", at = "1s", expect = "allow" }"#,
            "line 4: `at` is before",
        ),
    ] {
        let error = step(wrong);
        assert!(error.contains(why), "{wrong}\n{error}");
    }
    assert_eq!(refused(""), "line 1: the file has no `[[case]]`");
    let empty = refused("[[case]]\nname = \"a\"\n");
    assert_eq!(empty, "line 2: the case has no `steps`");
}

/// A component's host calls are made from threads of their own.
#[test]
fn a_world_can_be_reached_from_any_thread() {
    fn reached<T: Send + Sync + 'static>() {}
    reached::<crate::World>();
}

#[test]
#[should_panic(expected = "1 failed")]
fn check_fails_the_test_that_calls_it() {
    crate::check(env!("CARGO_MANIFEST_DIR"), "tests/wrong.toml", native);
}

/// The next version of a plugin: what was under `count` is under `messages`.
mod next {
    use chat_plugin::{
        Manifest, Memory, Message, Migration, Moderation, NoSettings, Plugin, State, Verdict,
    };

    struct Next;

    impl Plugin for Next {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("asked", "2.0.0")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            Ok(Next)
        }
    }

    impl Moderation for Next {
        fn moderate(&mut self, _: &Message, state: State) -> Verdict {
            Verdict::revise(state.add("messages", 1).unwrap().to_string())
        }
    }

    impl Migration for Next {
        const LAYOUT: u32 = 2;
        fn migrate(&mut self, from: u32, memory: &mut Memory) -> Result<(), String> {
            if from == 1 {
                return Err("layout 1 was never released".into());
            }
            memory.rename("count", "messages");
            Ok(())
        }
    }

    chat_plugin::export!(Next: moderation, migration);
}

#[test]
fn what_is_given_in_an_older_layout_is_brought_along() {
    let report = |layout: u32, left: &str| {
        let text = format!(
            r#"
            [[case]]
            name = "counted before"
            layout = {layout}
            given = {{ lobby = {{ count = {{ counter = 6 }} }} }}
            steps = [{{ send = "x", expect = {{ revise = "7" }} }}]
            left = {{ lobby = {{ {left} }} }}
            "#
        );
        run(&CaseFile::parse(&text).unwrap(), &Native(next::native)).to_string()
    };
    let left = r#"count = "absent", messages = { counter = 7 }"#;
    let passed = report(0, left);
    assert!(passed.contains("1 passed"), "{passed}");
    let as_it_was = report(2, left);
    assert!(as_it_was.contains("1 failed"), "{as_it_was}");
    let failed = report(1, left);
    assert!(failed.contains("layout 1 was never released"), "{failed}");
    let newer = report(3, left);
    assert!(newer.contains("this version writes 2"), "{newer}");
}
