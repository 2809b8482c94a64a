//! The checker's own tests: defects that are planted, and that it must find.
//!
//! What breaks a rule of the fold is planted where records land: a record that the rule would drop is stamped anew, so
//! that the unchanged fold takes it, as a fold without the rule would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_host::journal::Log;
use chat_host::proto::log::v1::{Change, Outcome, Record, change, record};
use chat_host::state::fold::Fold;
use chat_host::state::ids::{Offset, Partition};
use chat_host::state::keys::Tag;
use chat_host::state::store::{Direction, Store};
use chat_host::state::view::View;
use prost::Message;
use tokio::time::{Instant, sleep};

use crate::checker::{Evidence, check};
use crate::host::Host;
use crate::journal::{Disk, Place, Plant};
use crate::member::{Member, Seen};
use crate::replay::replay;
use crate::seeds::{run, run_plan};
use crate::world::{Dice, Plan, Trouble};

/// Runs in which a planted rule may go unneeded.
const TRIES: u64 = 60;

/// A run in which members see something, and nothing is wrong.
fn clean() -> Evidence {
    let run = run(7, None);
    assert_eq!(check(&run.evidence), Vec::<String>::new());
    run.evidence
}

/// Where a member saw events of one room in a row.
fn two_in_a_row(seen: &[Seen]) -> usize {
    let room = |seen: &Seen| match seen {
        Seen::Room(event) => Some(event.room.clone()),
        _ => None,
    };
    let at = seen
        .windows(2)
        .position(|pair| room(&pair[0]).is_some() && room(&pair[0]) == room(&pair[1]));
    at.expect("nobody saw two events in a row")
}

fn complains(evidence: &Evidence, of: &str) {
    let wrong = check(evidence);
    assert!(
        wrong.iter().any(|what| what.contains(of)),
        "nothing says `{of}`: {wrong:#?}"
    );
}

#[test]
fn an_event_that_is_lost_is_found() {
    let mut evidence = clean();
    let seen = &mut evidence.members[1].seen;
    seen.remove(two_in_a_row(seen));
    complains(&evidence, ": saw ");
}

#[test]
fn the_last_event_that_is_lost_is_found() {
    let mut evidence = clean();
    let seen = &mut evidence.members[1].seen;
    let last = seen.iter().rposition(|seen| matches!(seen, Seen::Room(_)));
    seen.remove(last.unwrap());
    complains(&evidence, "saw up to");
}

#[test]
fn an_event_that_is_repeated_is_found() {
    let mut evidence = clean();
    let seen = &mut evidence.members[1].seen;
    let at = two_in_a_row(seen);
    seen.insert(at, seen[at].clone());
    complains(&evidence, ": saw ");
}

#[test]
fn events_that_are_swapped_are_found() {
    let mut evidence = clean();
    let seen = &mut evidence.members[1].seen;
    let at = two_in_a_row(seen);
    seen.swap(at, at + 1);
    complains(&evidence, ": saw ");
}

#[test]
fn events_that_are_swapped_under_dense_numbers_are_found() {
    let mut evidence = clean();
    let seen = &mut evidence.members[1].seen;
    let at = two_in_a_row(seen);
    seen.swap(at, at + 1);
    let mut numbers = Vec::new();
    for seen in &mut seen[at..at + 2] {
        if let Seen::Room(event) = seen {
            numbers.push(event.sequence);
        }
    }
    for (seen, number) in seen[at..at + 2].iter_mut().zip(numbers.into_iter().rev()) {
        if let Seen::Room(event) = seen {
            event.sequence = number;
        }
    }
    complains(&evidence, "saw another event");
}

#[test]
fn a_store_that_strays_is_found() {
    let evidence = clean();
    let store = evidence.stores[0].clone();
    let entries = Store::range(&store, &[], &[u8::MAX; 4], usize::MAX, Direction::Forward).unwrap();
    let counter = entries
        .iter()
        .find(|(key, _)| key.get(2) == Some(&(Tag::Plugin as u8)));
    let (key, _) = counter.expect("no plugin remembers anything");
    store.apply(vec![(key.to_vec(), None)]).unwrap();
    complains(&evidence, "entries differ");
    complains(&evidence, "counter remembers");
}

/// What the fold knows of a partition, as records land.
#[derive(Default)]
struct Follows {
    generation: u64,
    nonce: Bytes,
    step: u64,
    /// Which host wrote the claim.
    owner: usize,
}

/// A plant for outcomes: what is to become of one that does not count as it is.
fn outcomes(
    mut lets_through: impl FnMut(&Follows, usize, &Outcome) -> bool + Send + 'static,
) -> Plant {
    let mut partitions: BTreeMap<Place, Follows> = BTreeMap::new();
    Plant::Landing(Box::new(move |place, host, bytes| {
        let follows = partitions.entry(place).or_default();
        let decoded = match place.1 {
            Log::Outcomes => Record::decode(bytes.clone()).unwrap(),
            Log::Ingress => return vec![bytes],
        };
        match decoded.record {
            Some(record::Record::Claim(claim)) if claim.generation == follows.generation + 1 => {
                *follows = Follows {
                    generation: claim.generation,
                    nonce: claim.nonce,
                    step: 0,
                    owner: host,
                };
            }
            Some(record::Record::Outcome(mut outcome)) => {
                let is_owners =
                    outcome.generation == follows.generation && outcome.nonce == follows.nonce;
                if is_owners && outcome.step == follows.step + 1 {
                    follows.step += 1;
                } else if lets_through(follows, host, &outcome) {
                    follows.step += 1;
                    outcome.generation = follows.generation;
                    outcome.nonce = follows.nonce.clone();
                    outcome.step = follows.step;
                    let record = Record {
                        version: decoded.version,
                        record: Some(record::Record::Outcome(outcome)),
                    };
                    return vec![record.encode_to_vec().into()];
                }
            }
            _ => {}
        }
        vec![bytes]
    }))
}

/// A run in which much of what was written is late, lost or doubled.
fn troubled(seed: u64) -> Plan {
    Plan {
        compete: seed.is_multiple_of(3),
        hosts: 3,
        window: 64,
        batch: 8,
        trouble: Trouble {
            lost: 20,
            torn: 20,
            unknown: 20,
            doubled: 30,
            late: 40,
            slow: 20,
            ..Trouble::default()
        },
        every: Duration::from_secs(2),
        ..Plan::of(seed)
    }
}

/// Some run shows the defect, and the same run is clean without it.
fn is_found(make: impl Fn() -> Plant) {
    is_found_as("", make);
}

/// As [`is_found`], by a complaint that holds this text.
fn is_found_as(complaint: &str, make: impl Fn() -> Plant) {
    let complains = |seed: u64| {
        let wrong = check(&run_plan(&troubled(seed), Some(make())).evidence);
        wrong.iter().any(|what| what.contains(complaint))
    };
    let found: Vec<u64> = (0..TRIES).filter(|seed| complains(*seed)).take(1).collect();
    assert!(!found.is_empty(), "not found in {TRIES} runs");
    for seed in found {
        let wrong = check(&run_plan(&troubled(seed), None).evidence);
        assert_eq!(wrong, Vec::<String>::new(), "seed {seed} without a plant");
    }
}

#[test]
fn an_old_owners_outcome_that_counts_is_found() {
    is_found(|| {
        outcomes(|follows, host, outcome| {
            outcome.generation < follows.generation && host != follows.owner
        })
    });
}

#[test]
fn a_generation_that_is_kept_after_a_failed_write_is_found() {
    is_found(|| {
        outcomes(|follows, host, outcome| {
            outcome.generation < follows.generation && host == follows.owner
        })
    });
}

#[test]
fn a_step_that_may_be_left_out_or_repeated_is_found() {
    is_found(|| {
        outcomes(|follows, _, outcome| {
            outcome.generation == follows.generation && outcome.nonce == follows.nonce
        })
    });
}

/// One host's fold applies one outcome's changes twice. What it keeps of the log itself strays too, as the record that
/// it reads is a longer one; so it is the members who must have seen it.
#[test]
fn a_state_change_that_is_applied_twice_is_found() {
    is_found_as(": saw ", || {
        let mut doubled = None;
        Plant::Reading(Box::new(move |place, host, entry| {
            let at = (place, entry.offset);
            let other = doubled.is_some_and(|doubled| doubled != at);
            if place.1 == Log::Ingress || host != 0 || other {
                return entry.bytes.clone();
            }
            let mut decoded = Record::decode(entry.bytes.clone()).unwrap();
            let Some(record::Record::Outcome(outcome)) = decoded.record.as_mut() else {
                return entry.bytes.clone();
            };
            let is_event =
                |change: &Change| matches!(change.change, Some(change::Change::RoomEvent(_)));
            if !outcome.changes.iter().any(is_event) {
                return entry.bytes.clone();
            }
            doubled = Some(at);
            outcome.changes.extend(outcome.changes.clone());
            decoded.encode_to_vec().into()
        }))
    });
}

/// One host that has served one member in peace, and has died.
async fn after_a_quiet_run() -> (Plan, Arc<Disk>, Arc<Host>) {
    let plan = Plan {
        hosts: 1,
        partitions: 1,
        members: 1,
        compete: true,
        trouble: Trouble::default(),
        retain_age: Duration::from_secs(1 << 20),
        retain_bytes: 1 << 40,
        ..Plan::of(1)
    };
    let disk = Disk::new(Dice::new(1), 1, plan.trouble, None);
    let host = Host::new(0, &plan, disk.clone(), Instant::now());
    host.start();
    let member = Member::new(0, &plan, std::slice::from_ref(&host), disk.clone());
    let record = member.record.clone();
    let task = tokio::spawn(member.run());
    while !record.lock().unwrap().is_done {
        sleep(Duration::from_millis(100)).await;
    }
    task.abort();
    sleep(Duration::from_secs(30)).await;
    host.crash_after_sync();
    (plan, disk, host)
}

#[tokio::test(start_paused = true)]
async fn a_host_does_not_start_on_an_ingress_log_that_was_cut() {
    let (_, disk, host) = after_a_quiet_run().await;
    let place = (Partition(0), Log::Ingress);
    disk.cut(place, Offset(disk.end(place).0 - 2));

    host.start();
    sleep(Duration::from_secs(5)).await;

    let reason = host.refused().expect("it started");
    assert!(reason.contains("cut or changed"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_host_makes_its_store_again_where_the_outcome_log_is_another() {
    let (plan, disk, host) = after_a_quiet_run().await;
    let place = (Partition(0), Log::Outcomes);
    disk.cut(place, Offset(disk.end(place).0 - 3));

    host.start();
    sleep(Duration::from_secs(30)).await;
    host.own(Partition(0), false);
    sleep(Duration::from_secs(5)).await;

    let folded = |store: Arc<dyn Store>| {
        Fold::load(Partition(0), &View::of(store))
            .unwrap()
            .state()
            .clone()
    };
    let replay = replay(&disk, plan.partitions);
    assert_eq!(replay.wrong, Vec::<String>::new());
    assert_eq!(
        folded(Arc::new(host.store())),
        folded(Arc::new(replay.store))
    );
}

/// The seeds are worth their time: they reach what the rules are for.
#[test]
fn the_seeds_reach_every_rule() {
    use chat_host::proto::log::v1::Verdict;
    let mut reached: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..1000 {
        if reached.len() == 12 {
            break;
        }
        let evidence = run(seed, None).evidence;
        let mut add = |what, n| {
            if n > 0 {
                *reached.entry(what).or_default() += n;
            }
        };
        let of = |verdict| {
            let all = evidence.replay.outcomes.iter();
            all.filter(|outcome| outcome.verdict == verdict).count() as u64
        };
        add("delivered", of(Verdict::Delivered));
        add("withheld", of(Verdict::Withheld));
        add("discarded", of(Verdict::Discarded));
        add("handled", of(Verdict::Handled));
        add("repeated", of(Verdict::Repeat));
        add("sent again", of(Verdict::SendAgain));
        add("claims", evidence.replay.claims);
        add("floors", evidence.replay.floors);
        add("records dropped", evidence.replay.dropped);
        for seen in evidence.members.iter().flat_map(|member| &member.seen) {
            match seen {
                Seen::Joined(_, Some(_)) => add("resumed", 1),
                Seen::Forgotten(..) => add("forgotten", 1),
                Seen::Decided(decided) if decided.repeat => add("repeats answered", 1),
                _ => {}
            }
        }
    }
    assert_eq!(reached.len(), 12, "{reached:#?}");
}
