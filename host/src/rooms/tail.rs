//! The tail of one partition: folds its outcome log into the store, and delivers what that makes.
//!
//! One batch of records becomes one batch of changes; only when the store has it are members told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::channel::Source;
use super::{Rooms, rebuild};
use crate::journal::{Entry, Journal, Log, ReadError};
use crate::proto::log::v1::Verdict;
use crate::state::change::Made;
use crate::state::fold::{Decided, Fold, FoldError, Folded};
use crate::state::ids::{Offset, Partition, PersonId, RoomId, Sequence};
use crate::state::view::View;

/// About so many bytes of records are folded at once.
const READ_BYTES: usize = 512 * 1024;
/// How long a tail waits after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// What a tail tells of its work, for metrics.
pub trait TailObserver: Send + Sync {
    /// An outcome was folded.
    fn folded(&self, verdict: Verdict);
    /// A batch of records was folded in so long.
    fn batch(&self, time: Duration);
}

/// See the module.
pub struct Tail {
    partition: Partition,
    journal: Arc<dyn Journal>,
    rooms: Arc<Rooms>,
    observer: Arc<dyn TailObserver>,
}

/// Events of one room, or private events of one person, in one batch.
struct Publication {
    source: Source,
    first: Sequence,
    events: Vec<Bytes>,
}

impl Tail {
    /// The tail of a partition.
    #[must_use]
    pub fn new(
        partition: Partition,
        journal: Arc<dyn Journal>,
        rooms: Arc<Rooms>,
        observer: Arc<dyn TailObserver>,
    ) -> Self {
        Self {
            partition,
            journal,
            rooms,
            observer,
        }
    }

    /// Holds the store against the log, and rebuilds it where they differ. To be called before anybody is served.
    ///
    /// # Errors
    /// Why this partition can't be folded: nothing may be served then.
    pub async fn check(&self) -> Result<(), String> {
        rebuild::check(self.partition, self.journal.as_ref(), self.rooms.store()).await?;
        let view = View::of(self.rooms.store().clone());
        let fold = Fold::load(self.partition, &view).map_err(|error| error.to_string())?;
        self.publish_position(&fold);
        Ok(())
    }

    /// Folds up to where the log ends now.
    ///
    /// # Errors
    /// Why it can't.
    pub async fn catch_up(&self) -> Result<(), String> {
        let view = View::of(self.rooms.store().clone());
        let mut fold = Fold::load(self.partition, &view).map_err(|error| error.to_string())?;
        while fold.next_outcome() < self.journal.end(self.partition, Log::Outcomes) {
            let entries = self
                .journal
                .read(
                    self.partition,
                    Log::Outcomes,
                    fold.next_outcome(),
                    READ_BYTES,
                )
                .await
                .map_err(|error| error.to_string())?;
            self.fold_batch(&mut fold, &entries)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Follows the log until `drain`.
    pub async fn run(self, drain: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => return,
                ended = self.follow() => match ended {
                    FollowError::Store(reason) => {
                        warn!(partition = %self.partition, %reason, "the store failed; opening it again");
                        if let Err(error) = self.rooms.store().heal() {
                            warn!(%error, "the store can't be opened again yet");
                        }
                    }
                    FollowError::Journal(reason) => {
                        warn!(partition = %self.partition, %reason, "the outcome log can't be read now");
                    }
                    FollowError::Stop(reason) => {
                        error!(partition = %self.partition, %reason, "this host can't fold on; the partition stands still");
                        self.rooms.stand_still();
                        drain.cancelled().await;
                        return;
                    }
                },
            }
            tokio::select! {
                biased;
                () = drain.cancelled() => return,
                () = sleep(RETRY) => {}
            }
        }
    }

    /// Follows the log until something fails.
    async fn follow(&self) -> FollowError {
        let view = View::of(self.rooms.store().clone());
        let mut fold = match Fold::load(self.partition, &view) {
            Ok(fold) => fold,
            Err(error) => return FollowError::Store(error.to_string()),
        };
        loop {
            let read = self
                .journal
                .read(
                    self.partition,
                    Log::Outcomes,
                    fold.next_outcome(),
                    READ_BYTES,
                )
                .await;
            let entries = match read {
                Ok(entries) => entries,
                Err(error @ ReadError::OutOfRange { .. }) => {
                    return FollowError::Stop(error.to_string());
                }
                Err(error) => return FollowError::Journal(error.to_string()),
            };
            match self.fold_batch(&mut fold, &entries) {
                Ok(()) => {}
                Err(FoldError::Store(error)) => return FollowError::Store(error.to_string()),
                Err(error) => return FollowError::Stop(error.to_string()),
            }
        }
    }

    fn fold_batch(&self, fold: &mut Fold, entries: &[Entry]) -> Result<(), FoldError> {
        let began = Instant::now();
        let mut view = View::of(self.rooms.store().clone());
        let mut decided = Vec::new();
        let mut floor = None;
        for entry in entries {
            match fold.apply(&mut view, entry.offset, &entry.bytes)? {
                Folded::Decided(outcome) => decided.push(outcome),
                Folded::Floored { outcomes, ingress } => floor = Some((outcomes, ingress)),
                Folded::Claimed => {
                    debug!(partition = %self.partition, generation = %fold.generation(), "claimed");
                }
                Folded::Dropped => {}
            }
        }
        fold.save(&mut view);
        self.rooms.store().apply(view.take())?;

        self.deliver(decided);
        self.publish_position(fold);
        if let Some((outcomes, ingress)) = floor {
            self.trim(outcomes, ingress);
        }
        self.observer.batch(began.elapsed());
        Ok(())
    }

    fn deliver(&self, decided: Vec<Decided>) {
        let mut publications: Vec<Publication> = Vec::new();
        let mut answers = Vec::new();
        for outcome in decided {
            // A repeat is answered with what became of the first.
            let repeats = outcome.answer.repeats.is_some();
            self.observer.folded(if repeats {
                Verdict::Repeat
            } else {
                outcome.answer.verdict
            });
            self.collect(&mut publications, outcome.made);
            if let Some(id) = outcome.id {
                answers.push((id, outcome.answer));
            }
        }
        for publication in publications {
            if let Some(channel) = self.rooms.open_channel(publication.source) {
                channel.publish(publication.first, &publication.events);
            }
        }
        for (id, answer) in answers {
            self.rooms.waiting().tell(id, answer);
        }
    }

    fn collect(&self, publications: &mut Vec<Publication>, made: Made) {
        let mut add =
            |source, number, bytes| match publications.iter_mut().find(|p| p.source == source) {
                Some(publication) => publication.events.push(bytes),
                None => publications.push(Publication {
                    source,
                    first: number,
                    events: vec![bytes],
                }),
            };
        for event in made.events {
            let room: RoomId = event.room;
            add(Source::Room(room), event.sequence, event.bytes);
        }
        for event in made.privates {
            let person: PersonId = event.person;
            add(
                Source::Private(self.partition, person),
                event.number,
                event.bytes,
            );
        }
    }

    fn publish_position(&self, fold: &Fold) {
        if let Some(position) = self.rooms.position(self.partition) {
            position.send_replace(Arc::new(fold.state().clone()));
        }
    }

    fn trim(&self, outcomes: Offset, ingress: Offset) {
        info!(partition = %self.partition, %outcomes, %ingress, "the floor rose");
        self.journal.trim(self.partition, Log::Outcomes, outcomes);
        self.journal.trim(self.partition, Log::Ingress, ingress);
    }
}

enum FollowError {
    /// Try again after healing the store.
    Store(String),
    /// Try again.
    Journal(String),
    /// Trying again does not help.
    Stop(String),
}
