//! The fold: what a partition's outcome log means.
//!
//! A pure function of the log: no clock, no randomness, no I/O but the view it changes. Every host runs it on the same
//! records and must reach the same state, so whatever could differ between hosts has to be *in* a record. Knows records
//! and state; does not know who wrote them, plugins, or how state is stored.

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::change::{self, Made};
use super::dead_letters;
use super::expiry;
use super::ids::{Generation, Offset, Partition, Sequence, Step};
use super::keys::{self, Key, Tag};
use super::store::{Snapshot, StoreError};
use super::view::View;
use crate::proto::log::v1::{
    self as log, LaneState, PartitionState, RetryState, Verdict, outcome::Cause, record::Record,
};

/// The encoding this host writes, and the newest it reads.
pub const ENCODING: u32 = 1;

/// Why the fold can't go on.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Encoded by a newer host.
    #[error(
        "partition {partition}: the outcome at {offset} has encoding {found}, and this host knows {ENCODING}; run a newer chat-host"
    )]
    TooNew {
        /// Where.
        partition: Partition,
        /// Where.
        offset: Offset,
        /// Its encoding.
        found: u32,
    },
    /// Not a record.
    #[error("partition {partition}: the outcome at {offset} can't be read: {error}")]
    Broken {
        /// Where.
        partition: Partition,
        /// Where.
        offset: Offset,
        /// What the decoder said.
        error: prost::DecodeError,
    },
    /// The store below failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a record turned out to be.
#[derive(Debug)]
pub enum Folded {
    /// It did not count: an old owner's, a repeat, a gap.
    Dropped,
    /// A claim that counted.
    Claimed,
    /// An outcome that counted.
    Decided(Decided),
    /// The floor rose: both logs can be cut below.
    Floored {
        /// The first outcome that is kept.
        outcomes: Offset,
        /// The first ingress record that is kept.
        ingress: Offset,
    },
}

/// An outcome that counted.
#[derive(Debug)]
pub struct Decided {
    /// The ingress record that it answers; none for a timer's.
    pub id: Option<Ulid>,
    /// What became of it.
    pub answer: Answer,
    /// What members see of it.
    pub made: Made,
}

/// What a sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was decided; for a repeat: of the first.
    pub verdict: Verdict,
    /// The first event it made, or 0.
    pub sequence: Sequence,
    /// Why.
    pub reason: String,
    /// The ULID of the first, where this repeats it.
    pub repeats: Option<Ulid>,
}

/// A partition's fold: the position, with all else in the view.
#[derive(Debug, Clone)]
pub struct Fold {
    partition: Partition,
    state: PartitionState,
}

impl Fold {
    /// The fold where the view stands.
    ///
    /// # Errors
    /// Where the store below fails.
    pub fn load(partition: Partition, view: &View) -> Result<Self, StoreError> {
        let key = Key::of(partition, Tag::Position).end();
        let state = view.read(&key)?.unwrap_or_default();
        Ok(Self { partition, state })
    }

    /// The position in a store as it was at one moment.
    ///
    /// # Errors
    /// Where the store fails, or the position is broken.
    pub fn position_in(
        partition: Partition,
        snapshot: &dyn Snapshot,
    ) -> Result<PartitionState, StoreError> {
        let key = Key::of(partition, Tag::Position).end();
        match snapshot.range(&key, &keys::after(&key), 1)?.pop() {
            Some((_, value)) => PartitionState::decode(value)
                .map_err(|error| StoreError(format!("the position is broken: {error}"))),
            None => Ok(PartitionState::default()),
        }
    }

    /// Which partition's.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The position.
    #[must_use]
    pub fn state(&self) -> &PartitionState {
        &self.state
    }

    /// The next outcome record to fold.
    #[must_use]
    pub fn next_outcome(&self) -> Offset {
        Offset(self.state.next_outcome)
    }

    /// The next ingress record to decide.
    #[must_use]
    pub fn next_ingress(&self) -> Offset {
        Offset(self.state.next_ingress)
    }

    /// The last step that counted.
    #[must_use]
    pub fn step(&self) -> Step {
        Step(self.state.step)
    }

    /// The last claim that counted.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.state.generation)
    }

    /// Whether the last claim that counted has this nonce.
    #[must_use]
    pub fn is_claimed_by(&self, nonce: &[u8]) -> bool {
        self.state.nonce == nonce
    }

    /// Writes the position into the view, after the last record of a batch.
    pub fn save(&self, view: &mut View) {
        view.write(Key::of(self.partition, Tag::Position).end(), &self.state);
    }

    /// Folds the record at `offset`.
    ///
    /// # Errors
    /// [`FoldError`]; the fold and the view must then be thrown away.
    pub fn apply(
        &mut self,
        view: &mut View,
        offset: Offset,
        bytes: &Bytes,
    ) -> Result<Folded, FoldError> {
        let record = log::Record::decode(bytes.clone()).map_err(|error| FoldError::Broken {
            partition: self.partition,
            offset,
            error,
        })?;
        if record.version != ENCODING {
            return Err(FoldError::TooNew {
                partition: self.partition,
                offset,
                found: record.version,
            });
        }
        let folded = match record.record {
            Some(Record::Claim(claim)) => self.claim(&claim),
            Some(Record::Outcome(outcome)) => self.outcome(view, offset, outcome)?,
            Some(Record::Floor(floor)) => self.floor(view, &floor)?,
            None => Folded::Dropped,
        };
        self.state.next_outcome = offset.next().0;
        self.state.last_outcome_hash = hash(bytes);
        self.state.log_bytes += bytes.len() as u64;
        Ok(folded)
    }

    /// Moves on by an outcome that this host has just decided and not yet read back.
    ///
    /// # Errors
    /// As [`Fold::apply`].
    pub fn anticipate(&mut self, view: &mut View, outcome: log::Outcome) -> Result<(), FoldError> {
        view.label(Step(outcome.step));
        let offset = self.next_outcome();
        self.outcome(view, offset, outcome).map(|_| ())
    }

    fn claim(&mut self, claim: &log::Claim) -> Folded {
        if claim.generation != self.state.generation + 1 {
            return Folded::Dropped;
        }
        self.state.generation = claim.generation;
        self.state.nonce = claim.nonce.clone();
        self.state.step = 0;
        // Owners that come and go in a quiet partition prove nothing.
        self.state.fruitless_claims += u32::from(claim.backlog);
        self.state.time_ms = self.state.time_ms.max(claim.time_ms);
        Folded::Claimed
    }

    fn outcome(
        &mut self,
        view: &mut View,
        offset: Offset,
        outcome: log::Outcome,
    ) -> Result<Folded, FoldError> {
        let owner =
            outcome.generation == self.state.generation && outcome.nonce == self.state.nonce;
        if !owner || outcome.step != self.state.step + 1 {
            return Ok(Folded::Dropped);
        }
        self.state.step = outcome.step;
        self.state.fruitless_claims = 0;
        self.state.time_ms = self.state.time_ms.max(outcome.time_ms);

        // First, for what it caused may set it again.
        if let Some(Cause::Timer(timer)) = &outcome.cause {
            change::remove_timer(view, timer.room, &timer.plugin, &timer.key)?;
        }
        let made = change::apply_all(view, self.partition, &mut self.state, outcome.changes)?;
        if !made.kept.is_empty() {
            let kept = log::Kept {
                events: made.kept.clone(),
            };
            view.write(keys::kept(self.partition, offset), &kept);
        }
        let mut answer = Answer {
            verdict: Verdict::try_from(outcome.verdict).unwrap_or(Verdict::Unspecified),
            sequence: made
                .events
                .first()
                .map_or(Sequence(0), |event| event.sequence),
            reason: outcome.reason,
            repeats: None,
        };
        let mut id = None;
        if let Some(Cause::Ingress(cause)) = outcome.cause {
            id = ulid(&cause.id);
            self.answered(view, &cause, &mut answer)?;
        }
        expiry::expire(view, self.partition, &mut self.state)?;
        Ok(Folded::Decided(Decided { id, answer, made }))
    }

    /// Notes that an ingress record is answered: its position, its lane's number, and its client id.
    fn answered(
        &mut self,
        view: &mut View,
        cause: &log::IngressCause,
        answer: &mut Answer,
    ) -> Result<(), FoldError> {
        self.state.next_ingress = cause.offset + 1;
        self.state.last_ingress_id = cause.id.clone();
        self.state.log_bytes += u64::from(cause.record_bytes);
        let now = self.state.time_ms;

        if answer.verdict != Verdict::SendAgain && !cause.lane.is_empty() {
            let key = keys::lane(self.partition, &cause.lane);
            let old: Option<LaneState> = view.read(&key)?;
            // A doubled record is answered too, and takes no number back.
            let last = old.map_or(0, |old| old.last).max(cause.lane_number);
            // The index by age moves now and then, not with every message: it serves a bound of hours.
            let time_ms = match old {
                Some(old) if old.time_ms + expiry::LANE_AGE_MS > now => old.time_ms,
                _ => {
                    if let Some(old) = old {
                        let age = keys::by_time(self.partition, Tag::LaneAge, old.time_ms, &key);
                        view.put(age, None);
                    }
                    let age = keys::by_time(self.partition, Tag::LaneAge, now, &key);
                    view.put(age, Some(Bytes::new()));
                    now
                }
            };
            view.write(key, &LaneState { last, time_ms });
        }

        if cause.client_id.is_empty() {
            return Ok(());
        }
        let key = keys::retry(
            self.partition,
            super::ids::PersonId(cause.person),
            &cause.client_id,
        );
        match answer.verdict {
            Verdict::Repeat => {
                if let Some(first) = view.read::<RetryState>(&key)? {
                    answer.verdict =
                        Verdict::try_from(first.verdict).unwrap_or(Verdict::Unspecified);
                    answer.sequence = Sequence(first.sequence);
                    answer.reason = first.reason;
                    answer.repeats = ulid(&first.id);
                }
            }
            Verdict::Delivered | Verdict::Withheld | Verdict::Discarded | Verdict::Handled => {
                let age = keys::by_time(self.partition, Tag::RetryAge, now, &key);
                view.put(age, Some(Bytes::new()));
                let retry = RetryState {
                    id: cause.id.clone(),
                    verdict: answer.verdict.into(),
                    reason: answer.reason.clone(),
                    sequence: answer.sequence.0,
                    time_ms: now,
                };
                view.write(key, &retry);
            }
            Verdict::SendAgain | Verdict::Refused | Verdict::Unspecified => {}
        }
        Ok(())
    }

    fn floor(&mut self, view: &mut View, floor: &log::Floor) -> Result<Folded, FoldError> {
        let owner = floor.generation == self.state.generation && floor.nonce == self.state.nonce;
        let known = floor.outcomes <= self.state.next_outcome
            && floor.ingress <= self.state.next_ingress
            && floor.outcomes >= self.state.floor_outcomes
            && floor.ingress >= self.state.floor_ingress;
        if !owner || !known {
            return Ok(Folded::Dropped);
        }
        expiry::forget(view, self.partition, Offset(floor.outcomes))?;
        dead_letters::forget(view, self.partition, Offset(floor.ingress))?;
        self.state.floor_outcomes = floor.outcomes;
        self.state.floor_ingress = floor.ingress;
        self.state.time_ms = self.state.time_ms.max(floor.time_ms);
        Ok(Folded::Floored {
            outcomes: Offset(floor.outcomes),
            ingress: Offset(floor.ingress),
        })
    }
}

/// What a record is known by: the first 16 bytes of its SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> Bytes {
    let digest = Sha256::digest(bytes);
    Bytes::copy_from_slice(digest.get(..16).unwrap_or_default())
}

fn ulid(bytes: &[u8]) -> Option<Ulid> {
    bytes.try_into().ok().map(Ulid::from_bytes)
}
