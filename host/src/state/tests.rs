//! The fold's rules, each by what breaks them.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::fold::{ENCODING, Fold, FoldError, Folded};
use super::ids::{Offset, Partition};
use super::memory::MemoryStore;
use super::view::View;
use crate::proto::log::v1::{
    Change, Claim, ClearDeadLetters, DeadLetter, DeadLetterRetried, IngressCause, LaneState,
    Outcome, Record, RoomCreated, RoomState, Verdict, change, outcome::Cause, record,
};
use crate::proto::v1;

const P: Partition = Partition(2);

/// A log that is folded as it is written.
struct Log {
    view: View,
    fold: Fold,
    next: u64,
}

impl Log {
    fn new() -> Self {
        let view = View::of(Arc::new(MemoryStore::default()));
        let fold = Fold::load(P, &view).unwrap();
        let next = 0;
        Self { view, fold, next }
    }

    fn add(&mut self, record: record::Record) -> Result<Folded, FoldError> {
        let record = Record {
            version: ENCODING,
            record: Some(record),
        };
        let offset = Offset(self.next);
        self.next += 1;
        self.fold
            .apply(&mut self.view, offset, &record.encode_to_vec().into())
    }

    fn claim(&mut self, generation: u64, nonce: &'static [u8]) -> bool {
        let claim = Claim {
            generation,
            nonce: Bytes::from_static(nonce),
            backlog: true,
            ..Claim::default()
        };
        matches!(self.add(record::Record::Claim(claim)), Ok(Folded::Claimed))
    }

    fn outcome(&mut self, outcome: Outcome) -> bool {
        matches!(
            self.add(record::Record::Outcome(outcome)),
            Ok(Folded::Decided(_))
        )
    }
}

fn outcome(generation: u64, nonce: &'static [u8], step: u64) -> Outcome {
    Outcome {
        generation,
        nonce: Bytes::from_static(nonce),
        step,
        cause: Some(Cause::Ingress(IngressCause {
            offset: step,
            ..IngressCause::default()
        })),
        verdict: Verdict::Handled.into(),
        ..Outcome::default()
    }
}

#[test]
fn of_two_claims_of_one_generation_the_first_wins() {
    let mut log = Log::new();
    assert!(log.claim(1, b"first"));
    assert!(!log.claim(1, b"second"));
    assert!(!log.claim(3, b"skips"));
    assert!(log.outcome(outcome(1, b"first", 1)));
    assert!(!log.outcome(outcome(1, b"second", 2)));
    assert!(log.claim(2, b"next"));
    assert!(!log.outcome(outcome(1, b"first", 2)), "an old owner's");
}

#[test]
fn steps_are_dense() {
    let mut log = Log::new();
    log.claim(1, b"n");
    assert!(log.outcome(outcome(1, b"n", 1)));
    assert!(!log.outcome(outcome(1, b"n", 1)), "a repeat");
    assert!(!log.outcome(outcome(1, b"n", 3)), "a gap");
    assert!(log.outcome(outcome(1, b"n", 2)));
    assert_eq!(log.fold.next_ingress(), Offset(3));
}

#[test]
fn claims_without_an_outcome_between_are_counted() {
    let mut log = Log::new();
    for (generation, nonce) in [(1, b"a"), (2, b"b"), (3, b"c")] {
        log.claim(generation, nonce);
    }
    assert_eq!(log.fold.state().fruitless_claims, 3);
    log.outcome(outcome(3, b"c", 1));
    assert_eq!(log.fold.state().fruitless_claims, 0);
}

#[test]
fn a_newer_encoding_stops_the_fold() {
    let mut log = Log::new();
    let record = Record {
        version: ENCODING + 1,
        record: None,
    };
    let folded = log
        .fold
        .apply(&mut log.view, Offset(0), &record.encode_to_vec().into());
    assert!(
        matches!(folded, Err(FoldError::TooNew { .. })),
        "{folded:?}"
    );
}

#[test]
fn a_lane_takes_no_number_back() {
    let mut log = Log::new();
    log.claim(1, b"n");
    for (step, number) in [(1, 1), (2, 2), (3, 1)] {
        let mut outcome = outcome(1, b"n", step);
        if let Some(Cause::Ingress(cause)) = &mut outcome.cause {
            cause.lane = Bytes::from_static(b"lane");
            cause.lane_number = number;
        }
        assert!(log.outcome(outcome));
    }
    let lane: LaneState = log
        .view
        .read(&super::keys::lane(P, b"lane"))
        .unwrap()
        .unwrap();
    assert_eq!(lane.last, 2);
}

#[test]
fn a_floor_forgets_the_events_below_it() {
    let mut log = Log::new();
    log.claim(1, b"n");
    let room = P.id(1);
    let created = change::Change::RoomCreated(RoomCreated {
        room,
        name: "lobby".into(),
    });
    for step in 1..=4 {
        let mut outcome = outcome(1, b"n", step);
        if step == 1 {
            outcome.changes.push(Change::from(created.clone()));
        }
        let event = change::Change::RoomEvent(crate::proto::log::v1::RoomEvent {
            room,
            event: Some(v1::RoomEvent {
                sequence: step,
                ..v1::RoomEvent::default()
            }),
        });
        outcome.changes.push(Change::from(event));
        assert!(log.outcome(outcome));
    }
    let floor = crate::proto::log::v1::Floor {
        generation: 1,
        nonce: Bytes::from_static(b"n"),
        outcomes: 3,
        ingress: 3,
        ..Default::default()
    };
    let folded = log.add(record::Record::Floor(floor.clone())).unwrap();
    assert!(matches!(folded, Folded::Floored { .. }), "{folded:?}");
    let state: RoomState = log
        .view
        .read(&super::keys::room(super::ids::RoomId(room)))
        .unwrap()
        .unwrap();
    assert_eq!((state.oldest, state.head), (3, 4));
    let past_the_end = crate::proto::log::v1::Floor {
        outcomes: 1000,
        ..floor
    };
    let folded = log.add(record::Record::Floor(past_the_end)).unwrap();
    assert!(matches!(folded, Folded::Dropped), "{folded:?}");
}

#[test]
fn a_timer_that_sets_itself_again_is_set() {
    let mut log = Log::new();
    log.claim(1, b"n");
    let timer = |due_ms| {
        change::Change::TimerSet(crate::proto::log::v1::TimerSet {
            plugin: "remind".into(),
            room: P.id(1),
            key: "tea".into(),
            due_ms,
            ..Default::default()
        })
    };
    let mut sets = outcome(1, b"n", 1);
    sets.changes.push(Change::from(timer(5_000)));
    assert!(log.outcome(sets));
    let mut fires = outcome(1, b"n", 2);
    fires.cause = Some(Cause::Timer(crate::proto::log::v1::TimerCause {
        plugin: "remind".into(),
        room: P.id(1),
        key: "tea".into(),
        due_ms: 5_000,
    }));
    fires.changes.push(Change::from(timer(10_000)));
    assert!(log.outcome(fires));
    let due = super::keys::Key::of(P, super::keys::Tag::TimerDue).end();
    let due = log.view.prefixed(&due, 10).unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(super::keys::number_at(&due[0].0, super::keys::HEAD), 10_000);
}

fn letter(number: u64) -> change::Change {
    change::Change::DeadLetter(DeadLetter {
        number,
        // As in `outcome`: offsets and steps are one.
        offset: number,
        ..DeadLetter::default()
    })
}

/// With one outcome for each of these letters, from 1 on.
fn with_letters(letters: u64) -> Log {
    let mut log = Log::new();
    log.claim(1, b"n");
    for step in 1..=letters {
        let mut outcome = outcome(1, b"n", step);
        outcome.changes.push(Change::from(letter(step)));
        assert!(log.outcome(outcome));
    }
    log
}

fn letters(log: &Log) -> Vec<u64> {
    let index = super::keys::Key::of(P, super::keys::Tag::DeadLetter).end();
    let entries = log.view.prefixed(&index, usize::MAX).unwrap();
    let decoded = entries.into_iter().map(|(_, v)| DeadLetter::decode(v));
    decoded.map(|letter| letter.unwrap().number).collect()
}

#[test]
fn the_newest_thousand_dead_letters_are_kept() {
    let log = with_letters(1_003);
    let kept = letters(&log);
    assert_eq!((kept.len(), kept[0], kept[999]), (1_000, 4, 1_003));
    assert_eq!(log.fold.state().dead_letters, 1_003);
}

#[test]
fn dead_letters_go_with_the_floor_and_when_they_were_seen() {
    let mut log = with_letters(6);
    let floor = crate::proto::log::v1::Floor {
        generation: 1,
        nonce: Bytes::from_static(b"n"),
        outcomes: 3,
        ingress: 3,
        ..Default::default()
    };
    log.add(record::Record::Floor(floor)).unwrap();
    assert_eq!(letters(&log), [3, 4, 5, 6]);
    let mut seen = outcome(1, b"n", 7);
    let up_to = change::Change::DeadLettersCleared(ClearDeadLetters { up_to: 5 });
    seen.changes.push(Change::from(up_to));
    assert!(log.outcome(seen));
    assert_eq!(letters(&log), [6]);
}

#[test]
fn a_dead_letter_that_was_sent_again_is_marked_and_one_that_is_gone_stays_gone() {
    let mut log = with_letters(2);
    let mut retried = outcome(1, b"n", 3);
    for number in [2, 77] {
        let change = change::Change::DeadLetterRetried(DeadLetterRetried {
            number,
            verdict: Verdict::Delivered.into(),
            ..DeadLetterRetried::default()
        });
        retried.changes.push(Change::from(change));
    }
    assert!(log.outcome(retried));
    let key = super::keys::dead_letter(P, 2);
    let letter: DeadLetter = log.view.read(&key).unwrap().unwrap();
    assert_eq!(letter.retried.unwrap().verdict(), Verdict::Delivered);
    assert_eq!(letters(&log), [1, 2]);
}

#[test]
fn a_mute_goes_when_its_time_is_over_and_not_before() {
    let mut log = Log::new();
    log.claim(1, b"n");
    let room = super::ids::RoomId(P.id(1));
    let muted = |until_ms| {
        change::Change::Muted(crate::proto::log::v1::Muted {
            room: room.0,
            person: 7,
            until_ms,
        })
    };
    let mut step = 0;
    let mut at = |log: &mut Log, time_ms: u64, change: Option<change::Change>| {
        step += 1;
        let mut outcome = outcome(1, b"n", step);
        outcome.time_ms = time_ms;
        outcome.changes.extend(change.map(Change::from));
        assert!(log.outcome(outcome));
        let key = super::keys::mute(room, super::ids::PersonId(7));
        let index = super::keys::Key::of(P, super::keys::Tag::MuteExpiry).end();
        let ends = log.view.prefixed(&index, 10).unwrap().len();
        (log.view.get(&key).unwrap().is_some(), ends)
    };
    assert_eq!(at(&mut log, 10_000, Some(muted(20_000))), (true, 1));
    assert_eq!(
        at(&mut log, 12_000, Some(muted(60_000))),
        (true, 1),
        "longer"
    );
    assert_eq!(
        at(&mut log, 40_000, None),
        (true, 1),
        "its first end counts no more"
    );
    assert_eq!(at(&mut log, 61_000, None), (false, 0), "it is over");
    assert_eq!(at(&mut log, 62_000, Some(muted(90_000))), (true, 1));
    assert_eq!(
        at(&mut log, 63_000, Some(muted(0))),
        (false, 0),
        "taken back"
    );
}
