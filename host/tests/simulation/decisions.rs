//! What the pipeline makes of messages, with plugins that do what plugins may do.

use std::time::Duration;

use chat_host::proto::log::v1::{Outcome, Verdict};
use chat_host::state::ids::{PersonId, RoomId};
use chat_host::state::keys::{self, Key, Tag};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::partition::{House, Made, P, shown};

/// Sets topics, mutes, and sets timers that panic when they are due.
mod helper {
    use std::time::Duration;

    use chat_plugin::{
        Call, Commands, Effect, Manifest, NoSettings, PersonId, Plugin, RoomId, State, Timer,
        Timers,
    };

    struct Helper;

    impl Plugin for Helper {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("helper", "1.0.0")
                .command("topic", "TEXT", "Sets the topic")
                .command("mute", "PERSON", "Mutes for a minute")
                .command("unmute", "PERSON", "Takes it back")
                .command("soon", "WORD", "Says the word in a second")
                .command("fail", "", "Panics")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            Ok(Self)
        }
    }

    impl Commands for Helper {
        fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
            let person = || PersonId(call.arguments.parse().unwrap());
            Ok(vec![match call.name {
                "topic" => Effect::topic(call.arguments),
                "mute" => Effect::mute(person(), Duration::from_secs(60)),
                "unmute" => Effect::mute(person(), Duration::ZERO),
                "fail" => panic!("as I was told"),
                _ => Effect::Schedule(Timer::new(call.arguments, Duration::from_secs(1))),
            }])
        }
    }

    impl Timers for Helper {
        fn fired(&mut self, _: RoomId, due: &Timer, _: State) -> Vec<Effect> {
            vec![Effect::notice(due.key.clone())]
        }
    }

    chat_plugin::export!(Helper: commands, timers);
}

/// Keeps back what holds `secret`, in what members would read.
mod censor {
    use chat_plugin::{Body, Item, Judgement, Manifest, NoSettings, Plugin, Review, State};

    struct Censor;

    impl Plugin for Censor {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("censor", "1.0.0")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            Ok(Self)
        }
    }

    impl Review for Censor {
        fn review(&mut self, item: &Item, _: State) -> Judgement {
            let text = match &item.body {
                Body::Plain(text) => text.clone(),
                Body::Styled(runs) => runs.iter().map(|run| run.text.as_str()).collect(),
            };
            if text.contains("secret") {
                Judgement::withhold("that is a secret")
            } else {
                Judgement::Allow
            }
        }
    }

    chat_plugin::export!(Censor: review);
}

/// Counts messages, and panics at `boom`: after it has counted it.
mod fragile {
    use chat_plugin::{Manifest, Message, Moderation, NoSettings, Plugin, State, Verdict};

    struct Fragile;

    impl Plugin for Fragile {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("fragile", "1.0.0")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            Ok(Self)
        }
    }

    impl Moderation for Fragile {
        fn moderate(&mut self, message: &Message, state: State) -> Verdict {
            let number = state.add("all", 1).unwrap();
            assert_ne!(message.text, "boom");
            Verdict::revise(format!("{} #{number}", message.text))
        }
    }

    chat_plugin::export!(Fragile: moderation);
}

fn verdicts(outcomes: &[Outcome]) -> Vec<Verdict> {
    outcomes.iter().map(Outcome::verdict).collect()
}

fn all_shown(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().flat_map(shown).collect()
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_reviewed_like_all_that_members_read() {
    let plugins: &Made<'_> = &[(helper::native, "{}"), (censor::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    house.say(7, "/topic tea").await;
    house.say(7, "/topic a secret").await;
    house.decide(|_| true).await;

    let outcomes = house.outcomes().await;
    assert_eq!(
        all_shown(&outcomes),
        ["topic: tea", "to 7: that is a secret"]
    );
    assert_eq!(
        verdicts(&outcomes),
        [Verdict::Handled, Verdict::Withheld],
        "{outcomes:#?}"
    );
    let rooms = house.rooms.list("", 10).unwrap();
    assert_eq!(rooms[0].topic, "tea");
}

#[tokio::test(start_paused = true)]
async fn who_is_muted_is_heard_again_when_it_is_over_or_taken_back() {
    let plugins: &Made<'_> = &[(helper::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    for text in ["/mute 8", "/mute 9"] {
        house.say(7, text).await;
    }
    for person in [8, 9, 7] {
        house.say(person, "now").await;
    }
    house.say(7, "/unmute 9").await;
    house.say(9, "at once").await;
    house.decide(|_| true).await;
    sleep(Duration::from_secs(61)).await;
    house.say(8, "at last").await;
    house.decide(|_| true).await;

    let muted = "you are muted in lobby for 60 s";
    assert_eq!(
        all_shown(&house.outcomes().await),
        [
            &format!("to 8: {muted}"),
            &format!("to 9: {muted}"),
            "now",
            "at once",
            "at last"
        ]
    );
    // A second later the log has forgotten it too.
    sleep(Duration::from_secs(2)).await;
    house.say(7, "still here").await;
    house.decide(|_| true).await;
    let mute = keys::mute(RoomId(P.id(1)), PersonId(8));
    assert_eq!(house.view().get(&mute).unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn only_the_guilty_message_of_a_batch_meets_the_failure_policy() {
    let plugins: &Made<'_> = &[(fragile::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    for text in ["one", "two", "boom", "three", "four"] {
        house.say(7, text).await;
    }
    house.decide(|_| true).await;

    let outcomes = house.outcomes().await;
    // What the guilty one counted never was.
    assert_eq!(
        all_shown(&outcomes),
        [
            "one #1",
            "two #2",
            "to 7: the plugin `fragile` failed; try again later",
            "three #3",
            "four #4"
        ]
    );
    let failures: Vec<usize> = outcomes.iter().map(|o| o.failures.len()).collect();
    assert_eq!(failures, [0, 0, 1, 0, 0]);
    assert_eq!(outcomes[2].failures[0].kind, "trap");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_plugin_fails_at_is_a_dead_letter_which_is_sent_again_once() {
    let plugins: &Made<'_> = &[(fragile::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    for text in ["one", "boom", "two"] {
        house.say(7, text).await;
    }
    house.decide(|_| true).await;

    let letters = house.rooms.dead_letters(10).unwrap();
    let [(partition, letter)] = letters.as_slice() else {
        panic!("{letters:#?}");
    };
    // The room and the first message lie before it.
    assert_eq!((*partition, letter.number, letter.offset), (P, 1, 2));
    assert_eq!((letter.person, letter.name.as_str()), (7, "person-7"));
    assert_eq!(
        (letter.room_name.as_str(), letter.text.as_str()),
        ("lobby", "boom")
    );
    assert_eq!(letter.verdict(), Verdict::Withheld);
    let failure = &letter.failures[0];
    assert_eq!(
        (&*failure.plugin, &*failure.role, &*failure.kind),
        ("fragile", "moderation", "trap")
    );
    assert_eq!(failure.policy, "withhold");

    for _ in 0..2 {
        house.say_again(letter).await;
    }
    house.decide(|_| true).await;
    let again = verdicts(&house.outcomes().await).split_off(3);
    assert_eq!(again, [Verdict::Withheld, Verdict::Repeat]);
    let letters = house.rooms.dead_letters(10).unwrap();
    // It failed again: what was sent again is a letter too, and the first one says what became of it.
    let [(_, second), (_, first)] = letters.as_slice() else {
        panic!("{letters:#?}");
    };
    assert_eq!((second.number, second.offset), (2, 4));
    let retried = first.retried.as_ref().expect("it is marked");
    assert_eq!(retried.verdict(), Verdict::Withheld);
    assert_eq!(retried.id, second.id);
    assert!(second.retried.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_in_quarantine_is_not_called_and_its_policy_decides() {
    let plugins: &Made<'_> = &[(fragile::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    house.say(7, "before").await;
    for _ in 0..6 {
        house.say(7, "boom").await;
    }
    house.say(7, "during").await;
    house.decide(|_| true).await;
    let outcomes = house.outcomes().await;
    let failed = outcomes.iter().filter(|o| !o.failures.is_empty()).count();
    assert_eq!(failed, 5, "{outcomes:#?}");
    let paused = "to 7: the plugin `fragile` is paused, for it failed or was slow too often; try again in 10 s";
    assert_eq!(all_shown(&outcomes[6..]), [paused, paused]);
    assert_eq!(house.rooms.dead_letters(100).unwrap().len(), 5);

    sleep(Duration::from_secs(11)).await;
    house.say(7, "after").await;
    house.decide(|_| true).await;
    // What it counted is what it was called for.
    assert_eq!(all_shown(&house.outcomes().await[8..]), ["after #2"]);
}

#[tokio::test(start_paused = true)]
async fn a_timer_of_a_plugin_in_quarantine_is_late_and_fires_once() {
    let plugins: &Made<'_> = &[(helper::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    house.say(7, "/soon tea").await;
    for _ in 0..5 {
        house.say(7, "/fail").await;
    }
    house.say(7, "/topic tea").await;
    house.decide(no_timers).await;
    let outcomes = house.outcomes().await;
    let shown = all_shown(&outcomes);
    let [.., topic, tea] = shown.as_slice() else {
        panic!("{shown:#?}");
    };
    assert!(topic.contains("is paused"), "{shown:#?}");
    assert_eq!(tea, "tea");
    let put_off = outcomes.iter().filter(|o| o.reason.contains("put off"));
    assert_eq!(put_off.count(), 1, "{outcomes:#?}");
    let fired = outcomes.last().unwrap().time_ms - outcomes[0].time_ms;
    assert!((10_000..13_000).contains(&fired), "{fired}");
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_ends_its_owners_is_concluded_and_the_next_one_fires() {
    let plugins: &Made<'_> = &[(helper::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    house.say(7, "/soon first").await;
    house.say(7, "/soon second").await;
    house.decide(|_| true).await;
    sleep(Duration::from_secs(5)).await;
    // The owners that died of it, one after the other.
    house.claim_in_vain(3).await;
    house.decide(no_timers).await;

    let outcomes = house.outcomes().await;
    assert_eq!(all_shown(&outcomes), ["second"], "{outcomes:#?}");
    let given_up = &outcomes[2];
    assert!(given_up.reason.contains("again and again"), "{given_up:#?}");
    assert_eq!(given_up.failures[0].role, "timers");
}

/// Without this nothing would count the owners that a timer ends.
#[tokio::test(start_paused = true)]
async fn a_claim_tells_that_a_timer_is_due() {
    let plugins: &Made<'_> = &[(helper::native, "{}")];
    let mut house = House::new(plugins, 64).await;
    house.say(7, "/soon only").await;
    house.decide(|_| true).await;
    sleep(Duration::from_secs(5)).await;
    house.claim_in_vain(2).await;
    // The fourth that finds it due is the owner itself.
    house.decide(no_timers).await;
    assert_eq!(all_shown(&house.outcomes().await), ["only"]);
    assert_eq!(house.claims_with_backlog().await, 1 + 2 + 1);
}

fn no_timers(house: &House) -> bool {
    let timers = Key::of(P, Tag::TimerDue).end();
    house.view().prefixed(&timers, 1).unwrap().is_empty()
}

/// Counts in both roles that judge, and says how far it has come.
mod judge {
    use chat_plugin::{
        Counter, Item, Judgement, Manifest, Message, Moderation, NoSettings, Plugin, Review, State,
        Verdict,
    };

    const SEEN: Counter = Counter::new("seen");

    struct Judge;

    impl Plugin for Judge {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("judge", "1.0.0")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            Ok(Self)
        }
    }

    impl Moderation for Judge {
        fn moderate(&mut self, message: &Message, state: State) -> Verdict {
            let seen = SEEN.add(state, 1).unwrap();
            match message.text.starts_with('a') {
                true => Verdict::revise(format!("{} {seen}", message.text)),
                false => Verdict::Allow,
            }
        }
    }

    impl Review for Judge {
        fn review(&mut self, _: &Item, state: State) -> Judgement {
            match SEEN.add(state, 1).unwrap() % 5 {
                0 => Judgement::withhold("every fifth"),
                _ => Judgement::Allow,
            }
        }
    }

    chat_plugin::export!(Judge: moderation, review);
}

/// What somebody says.
#[derive(Debug, Clone)]
struct Said {
    text: String,
    /// Its gateway's clock is so much behind the others'.
    behind: Duration,
    /// It is sent again under the same id, right away.
    twice: bool,
}

/// What is decided where this reaches the owner in such pieces, and goes to plugins in such batches.
fn decided(said: &[Said], pieces: &[usize], batch: usize) -> Vec<Outcome> {
    const WORDS: &str = r#"{"entries": [
        {"text": "darn"},
        {"text": "forbidden", "action": "withhold", "reason": "not here"},
        {"text": "vanish", "action": "discard"}
    ]}"#;
    let plugins: &Made<'_> = &[
        (
            flood::native,
            r#"{"messages": 5, "within": 4, "same": 3, "mute": 2, "longest_mute": 8}"#,
        ),
        (wordlist::native, WORDS),
        (crate::counter::native, "{}"),
        (judge::native, "{}"),
        (basics::native, "{}"),
        (poll::native, "{}"),
        (remind::native, "{}"),
        (markdown::native, "{}"),
        (
            links::native,
            r#"{"deny": ["bad.example"], "protect": ["good.example"]}"#,
        ),
    ];
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut house = House::new(plugins, batch).await;
        let mut records = said
            .iter()
            .enumerate()
            .flat_map(|(n, said)| std::iter::repeat_n((n, said), 1 + usize::from(said.twice)))
            .peekable();
        for piece in pieces.iter().cycle() {
            for (n, said) in records.by_ref().take(*piece) {
                // Ahead of the clock, which the cuts move: no timer is due, and what plugins remember expires.
                let after = Duration::from_secs(1000) + Duration::from_millis(700) * n as u32;
                let (person, id) = (n as u64 % 3 + 1, format!("id-{n}"));
                house
                    .say_after(after - said.behind, person, &id, &said.text)
                    .await;
            }
            house.decide(|_| true).await;
            if records.peek().is_none() {
                break;
            }
        }
        let mut outcomes = house.outcomes().await;
        // Each piece has an owner of its own, which is not what the outcomes are about.
        for (step, outcome) in outcomes.iter_mut().enumerate() {
            outcome.generation = 0;
            outcome.nonce = bytes::Bytes::new();
            outcome.step = step as u64;
        }
        outcomes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Batches cannot be observed, and neither can a partition that is handed to fresh instances in mid-conversation:
    /// each piece has an owner of its own. Over all plugins of this repository in Rust, with what they remember.
    #[test]
    fn any_cut_of_the_same_input_gives_the_same_outcomes(
        said in proptest::collection::vec(
            (
                prop_oneof![
                    "[a-c ]{1,8}",
                    "(darn|d a r n|forbidden|vanish|hello) [a-z]{0,5}",
                    "\\*\\*[a-z]{1,5}\\*\\* `[a-z]{1,3}` @[a-z]{1,4}",
                    "/later [a-z]{3}",
                    "/nothing [a-z]{0,3}",
                    "/poll (tea|cake)\\? \\| yes \\| no",
                    "/poll end",
                    "/vote [123]",
                    "/results",
                    "/remind (5m|1h|soon) [a-z]{1,3}",
                    "/reminders",
                    "/remind cancel [12]",
                    "/(roll 2d6|me waves|topic [a-z]{3}|whisper person-[12] hi|help)",
                    "(see |)https://(good|bad|g00d)\\.example/[a-z]",
                    "\\[good\\.example\\]\\(https://(good|bad)\\.example\\)",
                    "//[a-z]{1,4}",
                ],
                0u64..5000,
                proptest::bool::weighted(0.2),
            ).prop_map(|(text, behind_ms, twice)| Said {
                text,
                behind: Duration::from_millis(behind_ms),
                twice,
            }),
            1..24,
        ),
        pieces in proptest::collection::vec(1usize..9, 1..6),
        batch in 1usize..9,
    ) {
        let whole = decided(&said, &[1000], 64);
        prop_assert_eq!(whole.len(), said.iter().map(|said| 1 + usize::from(said.twice)).sum::<usize>());
        prop_assert_eq!(decided(&said, &pieces, batch), whole);
    }
}
