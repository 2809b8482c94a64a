//! What the rooms of the house tell of their work, counted: one observer for gateway, pipeline and tails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use crate::gateway;
use crate::gateway::outbound::Deliveries;
use crate::journal::{Journal, Log};
use crate::pipeline;
use crate::plugin::{Blame, Stats};
use crate::proto::log::v1::Verdict;
use crate::rooms::{Rooms, TailObserver};
use crate::state::ids::Partition;

/// How often what is not counted as it happens is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// Counts with handles that were looked up once.
pub struct Observed {
    metrics: Metrics,
    verdicts: BTreeMap<i32, Counter>,
    refusals: BTreeMap<i32, Counter>,
}

impl Observed {
    /// Counts into these metrics, for so many partitions.
    #[must_use]
    pub fn new(metrics: Metrics, partitions: u16) -> Self {
        let verdicts = [
            (Verdict::Delivered, "delivered"),
            (Verdict::Withheld, "withheld"),
            (Verdict::Discarded, "discarded"),
            (Verdict::Handled, "handled"),
            (Verdict::Repeat, "repeat"),
            (Verdict::SendAgain, "send_again"),
            (Verdict::Refused, "refused"),
        ]
        .map(|(verdict, word)| (i32::from(verdict), metrics.outcomes(word)));
        let refusals = [
            (tonic::Code::Cancelled, "CANCELLED"),
            (tonic::Code::InvalidArgument, "INVALID_ARGUMENT"),
            (tonic::Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (tonic::Code::NotFound, "NOT_FOUND"),
            (tonic::Code::AlreadyExists, "ALREADY_EXISTS"),
            (tonic::Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
            (tonic::Code::FailedPrecondition, "FAILED_PRECONDITION"),
            (tonic::Code::OutOfRange, "OUT_OF_RANGE"),
            (tonic::Code::Unavailable, "UNAVAILABLE"),
        ]
        .map(|(code, word)| (code as i32, metrics.refused(word)));
        // There from the first scrape on.
        for partition in 0..partitions {
            metrics.lag(u32::from(partition)).set(0);
        }
        Self {
            verdicts: verdicts.into(),
            refusals: refusals.into(),
            metrics,
        }
    }
}

impl Deliveries for Observed {
    fn delivered(&self, events: u64) {
        self.metrics.deliveries.inc_by(events);
    }
}

impl gateway::Observer for Observed {
    fn acknowledged(&self, after: Duration) {
        self.metrics.accepted.inc();
        self.metrics.append_seconds.observe(after);
    }

    fn refused(&self, code: tonic::Code) {
        if let Some(counter) = self.refusals.get(&(code as i32)) {
            counter.inc();
        }
    }

    fn sessions(&self, open: usize) {
        self.metrics.sessions.set(signed(open as u64));
    }

    fn connections(&self, open: usize) {
        self.metrics.connections.set(signed(open as u64));
    }
}

impl pipeline::Observer for Observed {
    fn decided(&self, records: usize, time: Duration) {
        self.metrics
            .decision_seconds
            .observe_many(records as u64, time);
    }
}

impl TailObserver for Observed {
    fn folded(&self, verdict: Verdict) {
        if let Some(counter) = self.verdicts.get(&i32::from(verdict)) {
            counter.inc();
        }
    }

    fn batch(&self, time: Duration) {
        self.metrics.fold_seconds.observe(time);
    }
}

/// Looks at sizes and at the plugins' own counters once a second, until `drain`.
pub async fn sample(
    metrics: Metrics,
    journal: Arc<dyn Journal>,
    rooms: Arc<Rooms>,
    plugins: Arc<Stats>,
    drain: CancellationToken,
) {
    let mut ticks = tokio::time::interval(SAMPLE);
    let mut seen = Seen::default();
    let lags: Vec<(Partition, Gauge)> = (0..rooms.partitions())
        .map(|partition| (Partition(partition), metrics.lag(u32::from(partition))))
        .collect();
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => return,
            _ = ticks.tick() => {}
        }
        metrics.rooms.set(signed(rooms.count()));
        metrics.journal_bytes.set(signed(journal.bytes()));
        metrics.store_bytes.set(signed(rooms.store().bytes()));
        for (partition, lag) in &lags {
            lag.set(signed(undecided(*partition, journal.as_ref(), &rooms)));
        }
        let dead_letters = seen.since("", "", "dead letters", rooms.dead_letters_so_far());
        metrics.dead_letters.inc_by(dead_letters);
        seen.plugins(&metrics, &plugins);
    }
}

/// Ingress records that this host does not know to be decided. Looked at from outside, so that it rises also where the
/// partition stands still.
fn undecided(partition: Partition, journal: &dyn Journal, rooms: &Rooms) -> u64 {
    let decided = rooms
        .folded(partition)
        .map_or(0, |folded| folded.borrow().next_ingress);
    let end = journal.end(partition, Log::Ingress);
    end.0.saturating_sub(decided)
}

/// What was counted already, by what it counts.
#[derive(Default)]
struct Seen(BTreeMap<(String, &'static str, &'static str), u64>);

impl Seen {
    fn plugins(&mut self, metrics: &Metrics, stats: &Stats) {
        for (name, plugin) in stats.plugins() {
            // To look is also what ends a quarantine that nobody's message meets.
            let standing = plugin.standing();
            let quarantined = standing.is_some_and(|standing| standing.quarantined().is_some());
            metrics.quarantined(&name, quarantined);
            let handles = metrics.plugin(&name);
            let roles = [
                &handles.moderation,
                &handles.commands,
                &handles.formatting,
                &handles.review,
                &handles.timers,
            ];
            for ((role, counted), handle) in plugin.roles().into_iter().zip(roles) {
                handle
                    .calls
                    .inc_by(self.since(&name, role, "calls", counted.calls.get()));
                let nanos = self.since(&name, role, "nanos", counted.nanos.get());
                handle
                    .seconds
                    .inc_by(Duration::from_nanos(nanos).as_secs_f64());
            }
            for blame in [
                Blame::Trap,
                Blame::RunningTime,
                Blame::WallClock,
                Blame::Memory,
                Blame::Answer,
                Blame::Host,
            ] {
                let failures = plugin.failures.of(blame).get();
                for _ in 0..self.since(&name, "", blame.word(), failures) {
                    handles.failed(blame);
                }
            }
            for (result, now) in [
                ("replaced", plugin.replaced.get()),
                ("refused", plugin.refused.get()),
                ("removed", plugin.removed.get()),
            ] {
                for _ in 0..self.since(&name, "reload", result, now) {
                    metrics.reloaded(&name, result);
                }
            }
            for (result, now) in [
                ("asked", plugin.requests.asked.get()),
                ("answered", plugin.requests.answered.get()),
                ("refused", plugin.requests.refused.get()),
            ] {
                // Most plugins ask nobody, and have no line.
                match self.since(&name, "request", result, now) {
                    0 => {}
                    new => metrics.requested(&name, result, new),
                }
            }
        }
    }

    fn since(&mut self, name: &str, role: &'static str, what: &'static str, now: u64) -> u64 {
        let seen = self.0.entry((name.to_owned(), role, what)).or_default();
        let new = now.saturating_sub(*seen);
        *seen = now;
        new
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
