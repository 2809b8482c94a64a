//! A run from its first connection to its report: open, idle, load, settle, judge.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::descriptors::{self, TooFew};
use super::latency::{Latencies, Recorder};
use super::options::{Options, OptionsError, Rate};
use super::report::{Report, Window};
use super::shared::{Phase, Seat, Shared};
use super::workers::{Opened, Refusal, THREADS, Workers};
use super::{process, reason};

/// The server's views of who is there, sent about once a second, have passed after it.
const IDLE: Duration = Duration::from_millis(1_500);
/// How often it is looked whether everything has arrived.
const LOOK: Duration = Duration::from_millis(10);
/// What comes too often comes within this.
const AFTERMATH: Duration = Duration::from_millis(200);
/// Without resuming, nothing more is to be expected when nothing came for so long.
const STANDSTILL: Duration = Duration::from_secs(5);

/// A run that could not be made: nothing is known of the server.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Wrong options.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Too few open files are allowed.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// A session could not be opened.
    #[error("{who} could not connect to {authority}: {cause}")]
    Open {
        /// Which.
        who: String,
        /// To where.
        authority: String,
        /// Why.
        cause: super::broken::Broken,
    },
    /// It was stopped before everybody was connected.
    #[error("stopped before all sessions were open")]
    Stopped,
    /// No thread, or no runtime on it.
    #[error("the generator's threads could not be started: {0}")]
    Threads(#[from] std::io::Error),
    /// The histograms' bounds were refused.
    #[error("latencies can't be recorded: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// Loads a server and verifies what it delivers, until the time is up or `stop` is cancelled; what was sent by then
/// is waited for in both cases. `counts` can be read all the while.
///
/// # Errors
/// When the run can't be made. What the server does wrong is in the report.
pub async fn run(
    options: Options,
    counts: Arc<Counts>,
    stop: CancellationToken,
) -> Result<Report, RunError> {
    options.check()?;
    let connections = options.members + options.senders;
    descriptors::allow(connections + options.senders)?; // A sender has a timer besides.
    let recorders: Vec<Arc<Recorder>> = (0..options.threads)
        .map(|_| Recorder::new().map(Arc::new))
        .collect::<Result<_, _>>()?;
    let (phase, phases) = watch::channel(Phase::Opening);
    let shared = Arc::new(Shared::new(options, counts, phases));
    let options = &shared.options;

    let memory_before = options.server_pid.and_then(process::memory_bytes);
    let (opened, mut openings) = mpsc::channel(64);
    let workers = Workers::start(&shared, &recorders, &opened)?;
    tokio::select! {
        all_open = all_open(&mut openings, connections) => all_open
            .map_err(|Refusal { who, cause }| RunError::Open { who, authority: options.target.authority.clone(), cause })?,
        () = stop.cancelled() => return Err(RunError::Stopped),
    }
    pause(IDLE, &stop).await;
    let memory_after = options.server_pid.and_then(process::memory_bytes);

    let _ = phase.send(Phase::Load);
    if options.rate != Rate::Idle {
        pause(options.warmup, &stop).await;
    }
    let begin = Moment::now(&shared);
    shared.open_window();
    pause(options.duration, &stop).await;
    shared.close_window();
    let window = begin.until(&Moment::now(&shared));

    let _ = phase.send(Phase::Settling);
    settle(&shared).await;
    let lost = lost(&shared);
    let taken = Counts::get(&shared.counts.acknowledged) + Counts::get(&shared.counts.withheld);
    if options.rate != Rate::Idle
        && taken == 0
        && let Some(reason) = reason::of_refusal(&shared).await
    {
        shared
            .counts
            .example(|| format!("asked with a call of its own, the server says: {reason}"));
    }
    let unanswered = shared
        .senders
        .iter()
        .map(|sending| sending.ledger.lock().waiting() as u64)
        .sum();
    workers.end().await;

    let mut latencies = Latencies::new()?;
    recorders
        .iter()
        .for_each(|recorder| recorder.add_to(&mut latencies));
    let growth = memory_before
        .zip(memory_after)
        .map(|(before, after)| after.saturating_sub(before));
    let bytes_per_connection = growth.map(|bytes| bytes / connections.max(1) as u64);
    Ok(Report::new(
        options,
        &shared.counts,
        &window,
        latencies,
        lost,
        unanswered,
        bytes_per_connection,
    ))
}

async fn all_open(openings: &mut mpsc::Receiver<Opened>, sessions: usize) -> Opened {
    for _ in 0..sessions {
        match openings.recv().await {
            Some(opened) => opened?,
            None => return Ok(()), // Not reached: `run` holds a sender.
        }
    }
    Ok(())
}

async fn pause(wait: Duration, stop: &CancellationToken) {
    let _ = tokio::time::timeout(wait, stop.cancelled()).await;
}

/// Waits until everybody has everything; not for ever.
async fn settle(shared: &Shared) {
    let options = &shared.options;
    let end = Instant::now() + options.settle;
    let mut progress = (Instant::now(), 0);
    while Instant::now() < end && !has_settled(shared) {
        let counts = &shared.counts;
        let so_far = Counts::get(&counts.deliveries) + Counts::get(&counts.acknowledged);
        if so_far != progress.1 {
            progress = (Instant::now(), so_far);
        }
        if !options.resume && progress.0.elapsed() > STANDSTILL {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(AFTERMATH).await;
}

fn has_settled(shared: &Shared) -> bool {
    shared.counts.missing.load(Ordering::Relaxed) <= 0
        && shared
            .senders
            .iter()
            .all(|sending| sending.ledger.lock().is_settled())
        && behind(shared) == 0
}

/// Deliveries that members have still to get.
fn behind(shared: &Shared) -> u64 {
    let behind = |seat: &Seat| {
        let head = shared
            .rooms
            .get(seat.room)
            .map_or(0, |room| room.head.load(Ordering::Relaxed));
        head.saturating_sub(seat.position.load(Ordering::Relaxed))
    };
    shared.seats.iter().map(behind).sum()
}

/// Holes, ends that were not reached, and messages that were acknowledged and reached nobody.
fn lost(shared: &Shared) -> u64 {
    let missing = shared.counts.missing.load(Ordering::Relaxed);
    let unseen: u64 = shared
        .senders
        .iter()
        .map(|sending| sending.ledger.lock().lost())
        .sum();
    let behind = behind(shared);
    if unseen > 0 {
        shared
            .counts
            .example(|| format!("{unseen} acknowledged messages reached nobody"));
    }
    if behind > 0 {
        shared.counts.example(|| {
            format!("{behind} deliveries of others' events did not reach their members")
        });
    }
    u64::try_from(missing).unwrap_or(0) + behind + unseen
}

/// Where everything stood at an end of the window.
struct Moment {
    at: Instant,
    deliveries: u64,
    acknowledged: u64,
    server_cpu: Option<Duration>,
    own_cpu: Option<Duration>,
}

impl Moment {
    fn now(shared: &Shared) -> Self {
        Self {
            at: Instant::now(),
            deliveries: Counts::get(&shared.counts.deliveries),
            acknowledged: Counts::get(&shared.counts.acknowledged),
            server_cpu: shared.options.server_pid.and_then(process::cpu),
            own_cpu: process::cpu_of_threads(THREADS),
        }
    }

    fn until(&self, end: &Self) -> Window {
        let spent = |from: Option<Duration>, to: Option<Duration>| to?.checked_sub(from?);
        Window {
            duration: end.at.duration_since(self.at),
            deliveries: end.deliveries - self.deliveries,
            acknowledged: end.acknowledged - self.acknowledged,
            server_cpu: spent(self.server_cpu, end.server_cpu),
            own_cpu: spent(self.own_cpu, end.own_cpu),
        }
    }
}
