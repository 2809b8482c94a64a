//! What plugins remember outlives their versions: it is brought along once a room, with the outcome of one message; and
//! what the operator does to it happens at one point of the log.

use std::time::Duration;

use chat_host::proto::log::v1::change::Change;
use chat_host::proto::log::v1::{
    CreateRoom, DeletePluginState, ImportPluginState, Outcome, PluginEntry, Verdict,
    ingress::Request,
};
use chat_host::state::ids::RoomId;
use chat_host::state::remembered;
use proptest::prelude::*;

use crate::partition::{House, Made, shown};

/// Numbers messages under `all`, and holds the number in its memory too: a cache, as it may be.
mod old {
    use std::collections::BTreeMap;

    use chat_plugin::{Manifest, Message, Moderation, NoSettings, Plugin, RoomId, State, Verdict};

    struct Tally {
        numbers: BTreeMap<RoomId, i64>,
    }

    impl Plugin for Tally {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("tally", "1.0.0")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            let numbers = BTreeMap::new();
            Ok(Self { numbers })
        }
    }

    impl Moderation for Tally {
        fn moderate(&mut self, message: &Message, state: State) -> Verdict {
            let number = match self.numbers.get(&message.room) {
                Some(number) => *number,
                None => state.counter("all").unwrap(),
            };
            state.add("all", 1).unwrap();
            self.numbers.insert(message.room, number + 1);
            Verdict::revise(format!("{} #{}", message.text, number + 1))
        }
    }

    chat_plugin::export!(Tally: moderation);
}

/// Numbers them under `count`, tells how often it brought its memory along, and panics at `boom`. Can't bring along what
/// has a key `poison`, and writes everything else anew.
mod next {
    use chat_plugin::{
        Manifest, Memory, Message, Migration, Moderation, NoSettings, Plugin, State, Verdict,
    };

    struct Tally;

    impl Plugin for Tally {
        type Settings = NoSettings;
        fn manifest() -> Manifest {
            Manifest::new("tally", "2.0.0")
        }
        fn start(_: NoSettings) -> Result<Self, String> {
            Ok(Self)
        }
    }

    impl Moderation for Tally {
        fn moderate(&mut self, message: &Message, state: State) -> Verdict {
            let number = state.add("count", 1).unwrap();
            let brought = state.counter("brought").unwrap();
            assert_eq!(state.counter("all").unwrap(), 0, "of the older layout");
            if message.text == "boom" {
                std::panic::resume_unwind(Box::new("boom"));
            }
            Verdict::revise(format!("{} ##{number} {brought}", message.text))
        }
    }

    impl Migration for Tally {
        const LAYOUT: u32 = 1;
        fn migrate(&mut self, from: u32, memory: &mut Memory) -> Result<(), String> {
            assert_eq!(from, 0);
            if memory.remove("poison").is_some() {
                return Err("I do not like it".into());
            }
            memory.rename("all", "count");
            let brought = memory.counter("brought").map_err(|e| e.to_string())?;
            memory.set_counter("brought", brought + 1);
            for key in memory.keys() {
                if key.starts_with("fill") {
                    memory.rename(&key, key.replace("fill", "full"));
                }
            }
            Ok(())
        }
    }

    chat_plugin::export!(Tally: moderation, migration);
}

const OLD: &Made<'static> = &[(old::native, "{}")];
const NEXT: &Made<'static> = &[(next::native, "{}")];
const LOBBY: RoomId = RoomId(1);

/// A house with the rooms `lobby` and `tea`.
async fn house(plugins: &Made<'_>, batch: usize) -> House {
    let mut house = House::new(plugins, batch).await;
    let tea = CreateRoom { room: "tea".into() };
    house.request(Request::CreateRoom(tea)).await;
    house
}

fn import(layout: u32, entries: &[(&str, Vec<u8>)]) -> Request {
    let entry = |(key, value): &(&str, Vec<u8>)| PluginEntry {
        key: (*key).into(),
        value: Some(value.clone().into()),
        expires_ms: 0,
    };
    Request::ImportPluginState(ImportPluginState {
        plugin: "tally".into(),
        room: "lobby".into(),
        import: vec![1; 16].into(),
        last: true,
        replace: true,
        layout,
        entries: entries.iter().map(entry).collect(),
        ..ImportPluginState::default()
    })
}

fn number(number: i64) -> Vec<u8> {
    number.to_le_bytes().into()
}

/// Without that of the second room.
async fn outcomes(house: &House) -> Vec<Outcome> {
    house.outcomes().await.split_off(1)
}

fn all_shown(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().flat_map(shown).collect()
}

/// In which outcomes something was brought along.
fn migrations(outcomes: &[Outcome]) -> Vec<usize> {
    let migrated = |outcome: &Outcome| {
        let mut changes = outcome.changes.iter().filter_map(|c| c.change.as_ref());
        changes.any(|change| matches!(change, Change::PluginStateMigrated(_)))
    };
    let found = outcomes.iter().enumerate().filter(|(_, o)| migrated(o));
    found.map(|(at, _)| at).collect()
}

#[tokio::test(start_paused = true)]
async fn each_room_is_brought_along_at_its_first_message_and_never_again() {
    let mut house = house(OLD, 64).await;
    for room in ["lobby", "tea", "lobby"] {
        house.say_in(room, "old").await;
    }
    house.decide(|_| true).await;
    house.load(NEXT);
    for room in ["tea", "lobby", "lobby", "tea"] {
        house.say_in(room, "new").await;
    }
    house.decide(|_| true).await;
    house.say_in("tea", "later").await;
    house.decide(|_| true).await;

    let outcomes = outcomes(&house).await;
    let told = ["old #1", "old #1", "old #2"];
    let now = [
        "new ##2 1",
        "new ##3 1",
        "new ##4 1",
        "new ##3 1",
        "later ##4 1",
    ];
    assert_eq!(all_shown(&outcomes), [&told[..], &now].concat());
    assert_eq!(migrations(&outcomes), [3, 4]);
    let account = remembered::account(&house.view(), LOBBY, "tally").unwrap();
    assert_eq!((account.entries, account.layout), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_older_version_leaves_alone_what_a_newer_one_wrote() {
    let mut house = house(NEXT, 64).await;
    house.say_in("lobby", "new").await;
    house.decide(|_| true).await;
    house.load(OLD);
    house.say_in("lobby", "back").await;
    house.say_in("tea", "empty").await;
    house.decide(|_| true).await;
    house.load(NEXT);
    house.say_in("lobby", "on").await;
    house.say_in("tea", "on").await;
    house.decide(|_| true).await;

    let outcomes = outcomes(&house).await;
    let failed = "to 7: the plugin `tally` failed; try again later";
    assert_eq!(
        all_shown(&outcomes),
        ["new ##1 0", failed, "empty #1", "on ##2 0", "on ##2 1"]
    );
    let failure = &outcomes[1].failures[0];
    assert!(
        failure
            .detail
            .contains("(layout 1; this one writes 0); roll forward"),
        "{failure:?}"
    );
    assert_eq!((&*failure.kind, &*failure.role), ("answer", "moderation"));
    assert_eq!(migrations(&outcomes), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_fails_is_a_failure_at_each_message_of_its_room_alone() {
    let mut house = house(NEXT, 64).await;
    let poison = [("all", number(5)), ("poison", vec![1])];
    house.request(import(0, &poison)).await;
    for room in ["lobby", "tea", "lobby"] {
        house.say_in(room, "now").await;
    }
    house.decide(|_| true).await;
    let outcomes_now = outcomes(&house).await;
    let failed = "to 7: the plugin `tally` failed; try again later";
    assert_eq!(all_shown(&outcomes_now), [failed, "now ##1 0", failed]);
    for at in [1, 3] {
        let failure = &outcomes_now[at].failures[0];
        assert!(failure.detail.contains("I do not like it"), "{failure:?}");
    }
    assert_eq!(house.rooms.dead_letters(10).unwrap().len(), 2);
    let left = remembered::entries(&house.view(), LOBBY, "tally").unwrap();
    assert_eq!(left.len(), 2, "it is left as it was");

    // As the operator may mend it.
    house.request(import(0, &[("all", number(5))])).await;
    house.say_in("lobby", "mended").await;
    house.decide(|_| true).await;
    let outcomes = outcomes(&house).await;
    assert_eq!(all_shown(&outcomes[4..]), ["mended ##6 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_brought_along_stays_so_where_the_message_itself_fails() {
    let mut house = house(NEXT, 64).await;
    house.request(import(0, &[("all", number(5))])).await;
    for text in ["boom", "on"] {
        house.say_in("lobby", text).await;
    }
    house.decide(|_| true).await;
    let outcomes = outcomes(&house).await;
    assert_eq!(outcomes[1].verdict(), Verdict::Withheld);
    assert_eq!(migrations(&outcomes), [1]);
    assert_eq!(all_shown(&outcomes[2..]), ["on ##6 1"]);
}

#[tokio::test(start_paused = true)]
async fn as_much_as_a_plugin_may_remember_is_brought_along_at_once() {
    let mut house = house(NEXT, 64).await;
    for piece in 0..10_u32 {
        let mut request = import(0, &[]);
        if let Request::ImportPluginState(import) = &mut request {
            (import.piece, import.last) = (piece, piece == 9);
            let fill = |n: u32| PluginEntry {
                key: format!("fill/{piece}/{n}"),
                value: Some(vec![7; 400].into()),
                expires_ms: 0,
            };
            import.entries = (0..999).map(fill).collect();
        }
        house.request(request).await;
    }
    house.say_in("lobby", "one").await;
    house.say_in("lobby", "two").await;
    house.decide(|_| true).await;
    let outcomes = outcomes(&house).await;
    assert_eq!(all_shown(&outcomes), ["one ##1 1", "two ##2 1"]);
    let left = remembered::entries(&house.view(), LOBBY, "tally").unwrap();
    assert_eq!(left.len(), 9_990 + 2);
    assert!(left.iter().all(|(key, _)| !key.starts_with("fill")));
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_does_is_seen_by_the_next_message_whatever_an_instance_has_cached() {
    let mut house = house(OLD, 64).await;
    let delete = |room: &str| {
        Request::DeletePluginState(DeletePluginState {
            plugin: "tally".into(),
            room: room.into(),
        })
    };
    for request in [
        None,
        Some(delete("lobby")),
        Some(import(0, &[("all", number(40))])),
        Some(delete("")),
    ] {
        if let Some(request) = request {
            house.request(request).await;
        }
        house.say_in("lobby", "a").await;
        house.say_in("lobby", "b").await;
    }
    house.request(delete("nowhere")).await;
    house.decide(|_| true).await;
    let outcomes = outcomes(&house).await;
    assert_eq!(
        all_shown(&outcomes),
        [
            "a #1", "b #2", "a #1", "b #2", "a #41", "b #42", "a #1", "b #2"
        ]
    );
    let last = outcomes.last().unwrap();
    assert_eq!(last.verdict(), Verdict::Refused);
    assert!(last.reason.contains("no room `nowhere`"), "{}", last.reason);
}

#[tokio::test(start_paused = true)]
async fn pieces_count_together_or_not_at_all() {
    let piece = |import: u8, piece: u32, last: bool, key: &str| {
        Request::ImportPluginState(ImportPluginState {
            plugin: "tally".into(),
            room: "lobby".into(),
            import: vec![import; 16].into(),
            piece,
            last,
            entries: vec![PluginEntry {
                key: key.into(),
                value: Some(vec![1].into()),
                expires_ms: 0,
            }],
            ..ImportPluginState::default()
        })
    };
    let keys = |house: &House| -> Vec<String> {
        let left = remembered::entries(&house.view(), LOBBY, "tally").unwrap();
        left.into_iter().map(|(key, _)| key).collect()
    };
    let mut house = house(OLD, 64).await;
    // The first is given up, and its place is taken by the second.
    house.request(piece(1, 0, false, "lost")).await;
    house.request(piece(2, 0, false, "a")).await;
    house.request(piece(1, 1, true, "late")).await;
    house.request(piece(2, 2, true, "too far")).await;
    house.decide(|_| true).await;
    assert_eq!(keys(&house), Vec::<String>::new());
    house.request(piece(2, 1, true, "b")).await;
    house.decide(|_| true).await;
    assert_eq!(keys(&house), ["a", "b"]);
    // What was given up is not taken along by one that is whole.
    house.request(piece(3, 0, false, "lost")).await;
    house.request(piece(4, 0, true, "c")).await;
    house.decide(|_| true).await;
    assert_eq!(keys(&house), ["a", "b", "c"]);
    let verdicts: Vec<Verdict> = outcomes(&house)
        .await
        .iter()
        .map(Outcome::verdict)
        .collect();
    use Verdict::{Handled, Refused};
    let expected = [
        Handled, Handled, Refused, Refused, Handled, Handled, Handled,
    ];
    assert_eq!(verdicts, expected);
}

/// What is decided where this reaches the owner in such pieces, and goes to plugins in such batches.
fn decided(
    said: &[(bool, bool)],
    imports: &[usize],
    pieces: &[usize],
    batch: usize,
) -> Vec<Outcome> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut house = house(OLD, batch).await;
        house.say_in("lobby", "old").await;
        house.say_in("tea", "old").await;
        house.decide(|_| true).await;
        house.load(NEXT);
        let mut left = pieces.iter().cycle();
        let mut piece = left.next().copied().unwrap_or(1);
        for (at, (in_tea, fails)) in said.iter().enumerate() {
            // Ahead of the clock, which the cuts move.
            let after = Duration::from_secs(1000) + Duration::from_millis(100) * at as u32;
            if imports.contains(&at) {
                house
                    .request_after(after, import(0, &[("all", number(100))]))
                    .await;
            }
            let text = if *fails { "boom" } else { "new" };
            let room = if *in_tea { "tea" } else { "lobby" };
            house.say_in_after(after, room, text).await;
            piece -= 1;
            if piece == 0 {
                piece = left.next().copied().unwrap_or(1);
                house.decide(|_| true).await;
            }
        }
        house.decide(|_| true).await;
        let mut outcomes = outcomes(&house).await;
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

    /// Batches cannot be observed, also where something is brought along in the middle of one.
    #[test]
    fn any_cut_brings_the_same_along(
        mut said in proptest::collection::vec((any::<bool>(), proptest::bool::weighted(0.2)), 1..16),
        imports in proptest::collection::vec(0usize..16, 0..3),
        pieces in proptest::collection::vec(1usize..9, 1..6),
        batch in 1usize..9,
    ) {
        // A fifth failure is followed by a quarantine, which judges by the clock.
        let failing: Vec<usize> = (0..said.len()).filter(|at| said[*at].1).skip(4).collect();
        failing.into_iter().for_each(|at| said[at].1 = false);
        let whole = decided(&said, &imports, &[1000], 64);
        prop_assert_eq!(decided(&said, &imports, &pieces, batch), whole);
    }
}
