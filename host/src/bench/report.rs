//! What a run found: numbers, and whether a promise was broken.

use std::time::Duration;

use serde::Serialize;

use super::counts::Counts;
use super::latency::{Latencies, Summary};
use super::options::{Options, Rate};

/// The measured part of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// How long it was.
    pub duration: Duration,
    /// Room events that reached a member within it.
    pub deliveries: u64,
    /// Messages acknowledged within it.
    pub acknowledged: u64,
    /// Processor time of the server.
    pub server_cpu: Option<Duration>,
    /// Processor time of the generator.
    pub own_cpu: Option<Duration>,
}

/// The result of one run. Counts are of the whole run, rates and costs of the measured window.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Members in all.
    pub members: usize,
    /// Rooms.
    pub rooms: usize,
    /// Sessions that sent.
    pub senders: usize,
    /// What was asked for: a number a second, or `max`.
    pub rate: String,
    /// Bytes of each text.
    pub size_bytes: usize,
    /// The measured window.
    pub seconds: f64,
    /// Messages sent, without repetitions.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Events that reached a member.
    pub deliveries: u64,
    /// Acknowledged messages a second.
    pub accepted_per_s: f64,
    /// Events that reached a member, a second.
    pub deliveries_per_s: f64,
    /// Violation: deliveries and acknowledged messages that never came.
    pub lost: u64,
    /// Violation: events or messages that came again.
    pub repeated: u64,
    /// Violation: events or messages in another order.
    pub reordered: u64,
    /// Violation: other content than was sent, or not the same for all.
    pub wrong: u64,
    /// Violation: kept back or refused for good.
    pub withheld: u64,
    /// Violation: sessions that were cut, unless they were to go on.
    pub disconnected: u64,
    /// Violation: messages that were never acknowledged, though the server was there.
    pub unanswered: u64,
    /// Sends refused for a time, and repeated then.
    pub refused: u64,
    /// Sessions that went on after a cut.
    pub resumed: u64,
    /// From when a message was to be sent to its acknowledgement; none: nothing was measured.
    pub acknowledged_ms: Option<Summary>,
    /// From when a message was to be sent to a member's seeing it; of about 64 members.
    pub seen_ms: Option<Summary>,
    /// The server's processor time for each delivery.
    pub server_cpu_us_per_delivery: Option<f64>,
    /// The server's processors in use: 1 is one of them.
    pub server_cpus: Option<f64>,
    /// The server's memory for each idle connection.
    pub server_bytes_per_connection: Option<u64>,
    /// This program's processor time for each delivery.
    pub generator_cpu_us_per_delivery: Option<f64>,
    /// The first violations in words.
    pub examples: Vec<String>,
    /// For the plot.
    #[serde(skip)]
    pub latencies: Latencies,
    #[serde(skip)]
    idle: bool,
}

impl Report {
    /// Puts together what was counted.
    pub fn new(
        options: &Options,
        counts: &Counts,
        window: &Window,
        latencies: Latencies,
        lost: u64,
        unanswered: u64,
        server_bytes_per_connection: Option<u64>,
    ) -> Self {
        let seconds = window.duration.as_secs_f64();
        let per_second = |count: u64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        let per_delivery = |spent: Option<Duration>| {
            let us = spent?.as_secs_f64() * 1e6;
            (window.deliveries > 0).then(|| us / window.deliveries as f64)
        };
        Self {
            members: options.members,
            rooms: options.rooms,
            senders: options.senders,
            rate: match options.rate {
                Rate::Idle => "0".into(),
                Rate::PerSecond(rate) => rate.to_string(),
                Rate::Max { .. } => "max".into(),
            },
            size_bytes: options.size_bytes,
            seconds,
            sent: Counts::get(&counts.sent),
            acknowledged: Counts::get(&counts.acknowledged),
            deliveries: Counts::get(&counts.deliveries),
            accepted_per_s: per_second(window.acknowledged),
            deliveries_per_s: per_second(window.deliveries),
            lost,
            repeated: Counts::get(&counts.repeated),
            reordered: Counts::get(&counts.reordered),
            wrong: Counts::get(&counts.wrong),
            withheld: Counts::get(&counts.withheld),
            disconnected: Counts::get(&counts.disconnected),
            unanswered,
            refused: Counts::get(&counts.refused),
            resumed: Counts::get(&counts.resumed),
            acknowledged_ms: Summary::of(&latencies.acknowledged),
            seen_ms: Summary::of(&latencies.seen),
            server_cpu_us_per_delivery: per_delivery(window.server_cpu),
            server_cpus: window
                .server_cpu
                .map(|spent| spent.as_secs_f64() / seconds.max(f64::MIN_POSITIVE)),
            server_bytes_per_connection,
            generator_cpu_us_per_delivery: per_delivery(window.own_cpu),
            examples: counts.examples(),
            latencies,
            idle: options.rate == Rate::Idle,
        }
    }

    /// Whether there was something to verify, and no promise was broken.
    pub fn is_verified(&self) -> bool {
        !self.acknowledged_nothing() && self.violations().is_empty()
    }

    /// Whether messages were to be sent, and the server took none.
    pub fn acknowledged_nothing(&self) -> bool {
        !self.idle && self.acknowledged == 0
    }

    /// The promises that were broken, and how often.
    pub fn violations(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("lost", self.lost),
            ("repeated", self.repeated),
            ("reordered", self.reordered),
            ("wrong", self.wrong),
            ("withheld", self.withheld),
            ("disconnected", self.disconnected),
            ("unanswered", self.unanswered),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}
