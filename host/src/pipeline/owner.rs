//! The owner of a partition: claims it, and decides what its ingress log asks, one attempt after another.
//!
//! One generation, one attempt: if a write fails, is unknown, or is not read back in time, everything that was decided
//! ahead is thrown away, with the plugins' instances (their memory saw what never was), and the partition is claimed
//! again. Ownership ends by another's claim.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesOrdered;
use prost::Message;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::attempt::{Attempt, Decisions};
use super::chain::Chain;
use super::checkpoints::Checkpoints;
use super::due::next_timer;
use super::executor::{Decided, Executor, Job};
use super::scope::Scope;
use super::since::Ends;
use super::{Config, Directory, Observing};
use crate::journal::{Appending, Entry, Journal, Log, ReadError};
use crate::plugin::PluginSet;
use crate::proto::log::v1::{Claim, Floor, PartitionState, Record, record};
use crate::state::fold::{ENCODING, Fold};
use crate::state::ids::{Offset, Partition, Step};
use crate::state::store::Store;
use crate::state::view::View;
use crate::world::World;

/// About so many bytes of records are decided at once.
const READ_BYTES: usize = 256 * 1024;
/// The first wait after a failed attempt, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long a claim may take to be read back.
const CLAIM: Duration = Duration::from_secs(10);
/// How often retention is thought of.
const RETENTION: Duration = Duration::from_secs(5);

/// What an owner is built from.
#[derive(Clone)]
pub struct Surroundings {
    /// The logs.
    pub journal: Arc<dyn Journal>,
    /// The folded state, which the tail writes.
    pub store: Arc<dyn Store>,
    /// Clock and dice.
    pub world: World,
    /// The plugins in force.
    pub plugins: watch::Receiver<Arc<PluginSet>>,
    /// Who is where.
    pub directory: Arc<dyn Directory>,
    /// Metrics.
    pub observer: Observing,
    /// ULID of this run of the host.
    pub run: [u8; 16],
}

/// See the module.
pub struct Owner {
    partition: Partition,
    around: Surroundings,
    config: Config,
    /// Where the tail has folded to.
    folded: watch::Receiver<Arc<PartitionState>>,
}

/// Why an attempt ended.
enum Ended {
    Drained,
    Superseded,
    Failed(String),
}

impl Owner {
    /// An owner to be.
    #[must_use]
    pub fn new(
        partition: Partition,
        around: Surroundings,
        config: Config,
        folded: watch::Receiver<Arc<PartitionState>>,
    ) -> Self {
        Self {
            partition,
            around,
            config,
            folded,
        }
    }

    /// Owns the partition until `drain`: then it decides nothing more, and what it decided is durable.
    pub async fn run(mut self, drain: CancellationToken) {
        let mut wait = RETRY.0;
        while !drain.is_cancelled() {
            let began = Instant::now();
            match self.attempt(&drain).await {
                Ended::Drained => return,
                Ended::Superseded => {
                    info!(partition = %self.partition, "another host has claimed the partition");
                }
                Ended::Failed(reason) => {
                    warn!(partition = %self.partition, %reason, "an attempt failed; claiming again");
                }
            }
            if began.elapsed() > RETRY.1 {
                wait = RETRY.0;
            }
            tokio::select! {
                biased;
                () = drain.cancelled() => return,
                () = sleep(self.around.world.jitter(wait)) => {}
            }
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Claims, and decides until something ends it.
    async fn attempt(&mut self, drain: &CancellationToken) -> Ended {
        let nonce = self.around.world.nonce();
        let claimed = tokio::select! {
            biased;
            () = drain.cancelled() => return Ended::Drained,
            claimed = self.claim(&nonce) => claimed,
        };
        if let Err(ended) = claimed {
            return ended;
        }
        match self.begin(&nonce) {
            Ok((executor, fold)) => {
                let mut run = Run::new(self, executor, &fold, nonce);
                let ended = run.until_ended(drain).await;
                run.executor.end().await;
                ended
            }
            Err(ended) => ended,
        }
    }

    /// Appends a claim and waits until it has been folded, and counted.
    async fn claim(&mut self, nonce: &[u8; 16]) -> Result<(), Ended> {
        let (generation, next_ingress) = {
            let state = self.folded.borrow_and_update();
            (state.generation + 1, Offset(state.next_ingress))
        };
        let now_ms = self.around.world.now_ms();
        let view = View::of(self.around.store.clone());
        let timer =
            next_timer(&view, self.partition).map_err(|error| Ended::Failed(error.to_string()))?;
        let backlog = self.around.journal.end(self.partition, Log::Ingress) > next_ingress
            || timer.is_some_and(|timer| timer.due_ms <= now_ms);
        let record = Record {
            version: ENCODING,
            record: Some(record::Record::Claim(Claim {
                generation,
                nonce: nonce.to_vec().into(),
                time_ms: now_ms,
                run: self.around.run.to_vec().into(),
                backlog,
            })),
        };
        let appending = self
            .around
            .journal
            .append(
                self.partition,
                Log::Outcomes,
                vec![record.encode_to_vec().into()],
            )
            .map_err(|error| Ended::Failed(error.to_string()))?;
        // Whatever is said of the write: only reading it back counts.
        let read_back = async {
            appending.await.ok();
            self.folded
                .wait_for(|state| state.generation >= generation)
                .await
                .map(|state| state.generation == generation && state.nonce == nonce.as_slice())
        };
        match timeout(CLAIM, read_back).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Ended::Superseded),
            Ok(Err(_)) => Err(Ended::Failed("the tail has ended".into())),
            Err(_) => Err(Ended::Failed("the claim was not read back in time".into())),
        }
    }

    /// A fresh attempt where the fold stands. Nothing but this owner's own outcomes can change the state from here.
    fn begin(&self, nonce: &[u8; 16]) -> Result<(Executor, Fold), Ended> {
        let view = View::of(self.around.store.clone());
        let fold =
            Fold::load(self.partition, &view).map_err(|error| Ended::Failed(error.to_string()))?;
        // The store runs ahead of what the tail has told: the next claim may be in it by now, and what is decided under
        // that one's generation and nonce would count as its owner's.
        if !fold.is_claimed_by(nonce) {
            return Err(Ended::Superseded);
        }
        let scope = Arc::new(Scope::new(view, self.around.directory.clone()));
        let chain = Chain::new(
            self.around.plugins.clone(),
            scope.clone(),
            self.config.batch,
        );
        let attempt = Attempt::begin(
            fold.clone(),
            scope,
            chain,
            self.config.clone(),
            self.around.journal.partitions(),
        );
        let name = format!("partition-{}", self.partition);
        let executor = Executor::start(attempt, self.config.own_thread, name)
            .map_err(|error| Ended::Failed(format!("no thread for the plugins: {error}")))?;
        Ok((executor, fold))
    }
}

/// How many records were decided together, and since when they had waited.
#[derive(Clone, Copy)]
struct Answers {
    records: usize,
    since: Instant,
}

/// The loop of one attempt.
struct Run<'a> {
    owner: &'a mut Owner,
    executor: Executor,
    nonce: [u8; 16],
    generation: u64,
    /// The next ingress record to decide.
    next: Offset,
    /// The last step that was decided.
    decided: Step,
    /// When each group of steps was appended, oldest first.
    undone: VecDeque<(Step, Instant)>,
    appends: FuturesOrdered<Appending>,
    /// What each of them holds: so many answers to records, the first of which was durable then.
    answers: VecDeque<Answers>,
    deciding: Option<oneshot::Receiver<Decided>>,
    /// What is being decided.
    asked: Answers,
    ends: Ends,
    next_timer_ms: Option<u64>,
    checkpoints: Checkpoints,
    retention: Instant,
    wants_checkpoint: bool,
}

impl<'a> Run<'a> {
    fn new(owner: &'a mut Owner, executor: Executor, fold: &Fold, nonce: [u8; 16]) -> Self {
        let checkpoints =
            Checkpoints::load(owner.around.journal.clone(), owner.partition, &owner.config);
        let now = Instant::now();
        Self {
            generation: fold.generation().0,
            next: fold.next_ingress(),
            decided: fold.step(),
            undone: VecDeque::new(),
            appends: FuturesOrdered::new(),
            answers: VecDeque::new(),
            deciding: None,
            asked: Answers {
                records: 0,
                since: now,
            },
            ends: Ends::default(),
            // Asks for the timers first, which also tells when the next one is due.
            next_timer_ms: Some(0),
            checkpoints,
            retention: now,
            wants_checkpoint: false,
            owner,
            executor,
            nonce,
        }
    }

    async fn until_ended(&mut self, drain: &CancellationToken) -> Ended {
        debug!(partition = %self.owner.partition, generation = self.generation, "partition claimed");
        let journal = self.owner.around.journal.clone();
        let partition = self.owner.partition;
        let mut draining = false;
        loop {
            let idle = self.deciding.is_none();
            if draining && idle && self.undone.is_empty() {
                return Ended::Drained;
            }
            if self.wants_checkpoint
                && idle
                && self.undone.is_empty()
                && let Err(ended) = self.checkpoint().await
            {
                return ended;
            }
            let reads = idle && !draining && !self.wants_checkpoint && self.window() > 0;
            let timer = self.timer().filter(|_| reads);
            let deadline = self
                .undone
                .front()
                .map(|(_, since)| *since + self.owner.config.read_back);
            tokio::select! {
                biased;
                () = drain.cancelled(), if !draining => draining = true,
                changed = self.owner.folded.changed() => {
                    if changed.is_err() {
                        return Ended::Failed("the tail has ended".into());
                    }
                    if let Err(ended) = self.folded() {
                        return ended;
                    }
                }
                Some(appended) = self.appends.next(), if !self.appends.is_empty() => {
                    let answers = self.answers.pop_front();
                    let failed = match appended {
                        Ok(Ok(())) => None,
                        Ok(Err(error)) => Some(error.to_string()),
                        Err(_) => Some("the journal dropped a write".into()),
                    };
                    if let Some(reason) = failed {
                        return Ended::Failed(reason);
                    }
                    if let Some(Answers { records, since }) = answers && records > 0 {
                        self.owner.around.observer.decided(records, since.elapsed());
                    }
                }
                Some(()) = OptionFuture::from(deadline.map(sleep_until)) => {
                    return Ended::Failed("an outcome was not read back in time".into());
                }
                Some(decided) = OptionFuture::from(self.deciding.as_mut()) => {
                    self.deciding = None;
                    match decided {
                        Ok(Ok(decisions)) => {
                            if let Err(ended) = self.append(decisions) {
                                return ended;
                            }
                        }
                        Ok(Err(reason)) => return Ended::Failed(reason),
                        Err(_) => return Ended::Failed("the partition's thread has ended".into()),
                    }
                }
                Some(()) = OptionFuture::from(timer.map(sleep_until)) => self.fire(),
                () = sleep_until(self.retention + RETENTION), if !draining => {
                    if let Err(ended) = self.retain().await {
                        return ended;
                    }
                }
                read = journal.read(partition, Log::Ingress, self.next, READ_BYTES), if reads => {
                    match read {
                        Ok(entries) => self.decide(entries),
                        Err(error @ ReadError::OutOfRange { .. }) => {
                            // Never a jump: somebody cut or changed the log.
                            return Ended::Failed(error.to_string());
                        }
                        Err(error) => return Ended::Failed(error.to_string()),
                    }
                }
            }
        }
    }

    /// How many more outcomes may be decided ahead.
    fn window(&self) -> usize {
        let folded = self.owner.folded.borrow().step;
        let ahead = usize::try_from(self.decided.0.saturating_sub(folded)).unwrap_or(usize::MAX);
        self.owner.config.window.saturating_sub(ahead)
    }

    /// When the next timer is due, on the runtime's clock.
    fn timer(&self) -> Option<Instant> {
        let due_ms = self.next_timer_ms?;
        let wait = due_ms.saturating_sub(self.owner.around.world.now_ms());
        // No longer than a day: the clock may be set.
        Some(Instant::now() + Duration::from_millis(wait.min(86_400_000)))
    }

    fn fire(&mut self) {
        let now_ms = self.owner.around.world.now_ms();
        let folded = Step(self.owner.folded.borrow().step);
        self.asked.records = 0;
        self.deciding = Some(self.executor.submit(Job::Timers(now_ms, folded)));
    }

    fn decide(&mut self, mut entries: Vec<Entry>) {
        entries.truncate(self.window().max(1));
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            let partition = self.owner.partition;
            let end = self.owner.around.journal.end(partition, Log::Ingress);
            self.asked = Answers {
                records: entries.len(),
                since: self.ends.durable_since(first.offset, end),
            };
            self.next = last.offset.next();
        }
        let folded = Step(self.owner.folded.borrow().step);
        self.deciding = Some(self.executor.submit(Job::Records(entries, folded)));
    }

    fn append(&mut self, decisions: Decisions) -> Result<(), Ended> {
        let partition = self.owner.partition;
        let journal = &self.owner.around.journal;
        self.next_timer_ms = decisions.next_timer_ms;
        self.decided = decisions.step;
        if decisions.records.is_empty() {
            return Ok(());
        }
        let appending = journal
            .append(partition, Log::Outcomes, decisions.records)
            .map_err(|error| Ended::Failed(error.to_string()))?;
        self.appends.push_back(appending);
        self.answers.push_back(self.asked);
        self.undone.push_back((decisions.step, Instant::now()));
        Ok(())
    }

    /// The tail has moved on.
    fn folded(&mut self) -> Result<(), Ended> {
        let state = self.owner.folded.borrow_and_update().clone();
        if state.generation != self.generation || state.nonce != self.nonce.as_slice() {
            return Err(Ended::Superseded);
        }
        while self
            .undone
            .front()
            .is_some_and(|(step, _)| step.0 <= state.step)
        {
            self.undone.pop_front();
        }
        Ok(())
    }

    /// Thinks of retention: writes a checkpoint, or raises the floor to one, where it is time.
    async fn retain(&mut self) -> Result<(), Ended> {
        self.retention = Instant::now();
        let state = self.owner.folded.borrow().clone();
        self.checkpoints.forget_below(state.floor_outcomes).await;
        if let Some(checkpoint) = self.checkpoints.floor(&state) {
            let record = Record {
                version: ENCODING,
                record: Some(record::Record::Floor(Floor {
                    generation: self.generation,
                    nonce: self.nonce.to_vec().into(),
                    outcomes: checkpoint.outcomes,
                    ingress: checkpoint.ingress,
                    checkpoint: checkpoint.id.clone(),
                    time_ms: self.owner.around.world.now_ms(),
                })),
            };
            let appending = self
                .owner
                .around
                .journal
                .append(
                    self.owner.partition,
                    Log::Outcomes,
                    vec![record.encode_to_vec().into()],
                )
                .map_err(|error| Ended::Failed(error.to_string()))?;
            self.appends.push_back(appending);
            self.answers.push_back(Answers {
                records: 0,
                since: self.retention,
            });
        }
        // The state must stand still for a moment: decide nothing until what is under way has been folded.
        self.wants_checkpoint = self.checkpoints.is_due(&state);
        Ok(())
    }

    /// Copies the state, which stands still: all that was decided has been folded.
    async fn checkpoint(&mut self) -> Result<(), Ended> {
        self.wants_checkpoint = false;
        let failed = |error: crate::state::store::StoreError| Ended::Failed(error.to_string());
        let snapshot = self.owner.around.store.snapshot().map_err(failed)?;
        // The copy's own position: the tail goes on, and what a manifest with an earlier one promises to fold again
        // would be in the copy already, without its history.
        let state = Fold::position_in(self.owner.partition, snapshot.as_ref()).map_err(failed)?;
        let id = self.owner.around.world.nonce();
        self.checkpoints.write(snapshot, &state, id).await;
        Ok(())
    }
}
