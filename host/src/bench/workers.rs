//! The threads of the generator: each has its share of the sessions, and a scheduler that shares nothing.
//!
//! One scheduler for all threads would move tasks between them and wake one thread from the other, for each delivery.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::broken::Broken;
use super::latency::Recorder;
use super::member::Member;
use super::sender::Sender;
use super::shared::Shared;

/// A session that could not be opened.
#[derive(Debug)]
pub struct Refusal {
    /// Which.
    pub who: String,
    /// Why.
    pub cause: Broken,
}

/// Told once by each session: it is open, or why not.
pub type Opened = Result<(), Refusal>;

/// The threads' names begin so.
pub const THREADS: &str = "bench-";

/// Threads at work.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    end: CancellationToken,
}

impl Workers {
    /// Starts the threads; each session reports to `opened`. The channel's bound holds back handshakes, nothing else.
    ///
    /// # Errors
    /// What the system says of a new thread.
    pub fn start(
        shared: &Arc<Shared>,
        recorders: &[Arc<Recorder>],
        opened: &mpsc::Sender<Opened>,
    ) -> io::Result<Self> {
        let mut workers = Self {
            threads: Vec::new(),
            end: CancellationToken::new(),
        };
        for (index, recorder) in recorders.iter().enumerate() {
            let share = Share {
                shared: Arc::clone(shared),
                recorder: Arc::clone(recorder),
                index,
                of: recorders.len(),
                opened: opened.clone(),
            };
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let end = workers.end.clone();
            let name = format!("{THREADS}{index}");
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                runtime.block_on(async move {
                    share.spawn();
                    end.cancelled().await;
                });
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Drops all sessions and waits for the threads.
    pub async fn end(mut self) {
        self.end.cancel();
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()))
        });
        let _ = joined.await; // A thread that panicked has said so; its sessions' deliveries are missing.
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// One thread's sessions.
struct Share {
    shared: Arc<Shared>,
    recorder: Arc<Recorder>,
    index: usize,
    of: usize,
    opened: mpsc::Sender<Opened>,
}

impl Share {
    /// They end with the runtime that they are spawned on.
    fn spawn(self) {
        // A room's members are spread over the threads, whatever the number of rooms.
        let rooms = self.shared.options.rooms;
        for member in 0..self.shared.options.members {
            if (member % rooms + member / rooms) % self.of == self.index {
                let member = (member, Member::new(&self.shared, member, &self.recorder));
                tokio::spawn(follow(
                    Arc::clone(&self.shared),
                    self.opened.clone(),
                    member,
                ));
            }
        }
        for sender in
            (0..self.shared.options.senders).filter(|sender| sender % self.of == self.index)
        {
            let speaking = speak(
                Arc::clone(&self.shared),
                self.opened.clone(),
                sender,
                Arc::clone(&self.recorder),
            );
            tokio::spawn(speaking);
        }
    }
}

async fn follow(
    shared: Arc<Shared>,
    opened: mpsc::Sender<Opened>,
    (index, mut member): (usize, Member),
) {
    let permit = shared.opening.acquire().await;
    let entered = member.enter().await;
    drop(permit);
    match entered {
        Ok(connection) => {
            report(opened, Ok(())).await;
            member.follow(connection).await;
        }
        Err(cause) => {
            report(
                opened,
                Err(Refusal {
                    who: format!("member {index}"),
                    cause,
                }),
            )
            .await
        }
    }
}

async fn speak(
    shared: Arc<Shared>,
    opened: mpsc::Sender<Opened>,
    index: usize,
    recorder: Arc<Recorder>,
) {
    let refused = |cause| {
        Err(Refusal {
            who: format!("sender {index}"),
            cause,
        })
    };
    let permit = shared.opening.acquire().await;
    let mut sender = match Sender::new(&shared, index, &recorder) {
        Ok(sender) => sender,
        Err(error) => return report(opened, refused(error.into())).await,
    };
    let entered = sender.enter().await;
    drop(permit);
    match entered {
        Ok(connection) => {
            report(opened, Ok(())).await;
            sender.speak(connection).await;
        }
        Err(cause) => report(opened, refused(cause)).await,
    }
}

/// Nobody listens when the run was given up; then it does not matter.
async fn report(opened: mpsc::Sender<Opened>, what: Opened) {
    let _ = opened.send(what).await;
}
