//! Where an attempt runs: on a thread of its own, so that guests never hold up network and delivery, or in place, where
//! a simulation wants everything in one thread.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tracing::warn;

use super::attempt::{Attempt, Decisions};
use crate::journal::Entry;
use crate::state::ids::Step;

/// What an attempt is asked.
pub enum Job {
    /// Decide these records; the store has folded up to this step.
    Records(Vec<Entry>, Step),
    /// Fire what is due by this time.
    Timers(u64, Step),
}

/// What it answers. An error ends the attempt; its text is for the log.
pub type Decided = Result<Decisions, String>;

/// See the module.
pub enum Executor {
    /// In place.
    Here(Box<Attempt>),
    /// On a thread.
    Thread {
        /// Ends the thread when it is dropped.
        jobs: SyncSender<(Job, oneshot::Sender<Decided>)>,
        /// To wait for that.
        thread: JoinHandle<()>,
    },
}

impl Executor {
    /// Moves the attempt to where it shall run.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(attempt: Attempt, own_thread: bool, name: String) -> std::io::Result<Self> {
        if !own_thread {
            return Ok(Self::Here(Box::new(attempt)));
        }
        // One job at a time: the owner waits for each.
        let (jobs, received) = sync_channel::<(Job, oneshot::Sender<Decided>)>(1);
        let mut attempt = attempt;
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            while let Ok((job, done)) = received.recv() {
                // An owner that gave up does not listen.
                done.send(run(&mut attempt, job)).ok();
            }
        })?;
        Ok(Self::Thread { jobs, thread })
    }

    /// Begins a job; the answer comes through what is returned.
    pub fn submit(&mut self, job: Job) -> oneshot::Receiver<Decided> {
        let (done, decided) = oneshot::channel();
        match self {
            Self::Here(attempt) => {
                done.send(run(attempt, job)).ok();
            }
            Self::Thread { jobs, .. } => {
                if let Err(refused) = jobs.try_send((job, done)) {
                    let (_, done) = match refused {
                        std::sync::mpsc::TrySendError::Full(job)
                        | std::sync::mpsc::TrySendError::Disconnected(job) => job,
                    };
                    done.send(Err("the partition's thread has ended".into()))
                        .ok();
                }
            }
        }
        decided
    }

    /// Throws the attempt away, and returns when nothing of it runs any more: within the time that a call of a plugin may
    /// take.
    pub async fn end(self) {
        if let Self::Thread { jobs, thread } = self {
            drop(jobs);
            // Waiting for a thread blocks one; not one of those that serve.
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                warn!("a partition's thread panicked");
            }
        }
    }
}

fn run(attempt: &mut Attempt, job: Job) -> Decided {
    match job {
        Job::Records(entries, folded) => attempt.records(&entries, folded),
        Job::Timers(now_ms, folded) => attempt.timers(now_ms, folded),
    }
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::sync::watch;

    use super::*;
    use crate::pipeline::chain::Chain;
    use crate::pipeline::scope::Scope;
    use crate::pipeline::{Config, Directory};
    use crate::plugin::PluginSet;
    use crate::state::fold::Fold;
    use crate::state::ids::{Partition, PersonId};
    use crate::state::memory::MemoryStore;
    use crate::state::view::View;

    struct Nobody;

    impl Directory for Nobody {
        fn members(&self, _: u64, _: usize) -> Vec<PersonId> {
            Vec::new()
        }
    }

    /// What it holds on to would meet that of the next attempt.
    #[tokio::test]
    async fn nothing_of_an_attempt_runs_when_it_has_ended() {
        let view = View::of(Arc::new(MemoryStore::default()));
        let fold = Fold::load(Partition(0), &view).unwrap();
        let scope = Arc::new(Scope::new(view, Arc::new(Nobody)));
        let (_, sets) = watch::channel(Arc::new(PluginSet {
            version: 1,
            plugins: Vec::new(),
        }));
        let config = Config {
            message_bytes: 4096,
            batch: 64,
            rooms: 1,
            name_hold: Duration::ZERO,
            window: 1,
            read_back: Duration::ZERO,
            retain_age: Duration::ZERO,
            retain_bytes: 0,
            own_thread: true,
        };
        let chain = Chain::new(sets, scope.clone(), 64);
        let attempt = Attempt::begin(fold, scope.clone(), chain, config, 1);
        let mut executor = Executor::start(attempt, true, "partition-0".into()).unwrap();

        let (decided, ending) = scope.with_view(|_| {
            // It has to wait for the scope that this test holds.
            let decided = executor.submit(Job::Timers(0, Step(0)));
            let mut ending = Box::pin(executor.end());
            assert!(ending.as_mut().now_or_never().is_none(), "it still runs");
            (decided, ending)
        });
        ending.await;

        assert!(decided.await.unwrap().is_ok());
        assert_eq!(Arc::strong_count(&scope), 1);
    }
}
