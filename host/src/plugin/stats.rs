//! Counters that others read: what plugins did, how long it took, and how often they failed; and how they stand.
//!
//! They belong to a name and outlive its versions. Counters only ever rise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::Blame;
use super::standing::Standing;

/// A number that rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// What it has come to.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }
}

/// One role of one plugin.
#[derive(Debug, Default)]
pub struct RoleStats {
    /// Calls, each for a batch.
    pub calls: Counter,
    /// Messages, bodies, commands or timers in those calls.
    pub messages: Counter,
    /// Nanoseconds spent in those calls.
    pub nanos: Counter,
}

impl RoleStats {
    fn called(&self, messages: usize, took: Duration) {
        self.calls.add(1);
        self.messages.add(messages as u64);
        self.nanos
            .add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Failed calls, by blame.
#[derive(Debug, Default)]
#[allow(missing_docs)] // Each is described at `Blame`.
pub struct Failures {
    pub trap: Counter,
    pub running_time: Counter,
    pub wall_clock: Counter,
    pub memory: Counter,
    pub answer: Counter,
    pub host: Counter,
}

impl Failures {
    /// The counter of one blame.
    pub fn of(&self, blame: Blame) -> &Counter {
        match blame {
            Blame::Trap => &self.trap,
            Blame::RunningTime => &self.running_time,
            Blame::WallClock => &self.wall_clock,
            Blame::Memory => &self.memory,
            Blame::Answer => &self.answer,
            Blame::Host => &self.host,
        }
    }
}

/// What was asked of services outside.
#[derive(Debug, Default)]
pub struct Requests {
    /// Requests that went out.
    pub asked: Counter,
    /// Those of them that were answered, whatever the answer says.
    pub answered: Counter,
    /// Requests that were not let out.
    pub refused: Counter,
}

/// How long calls took: counts by size classes, four to each doubling.
#[derive(Debug)]
pub struct Latency([AtomicU64; CLASSES]);

const CLASSES: usize = 160;

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Latency {
    fn class(nanos: u64) -> usize {
        let nanos = nanos.max(4);
        let doublings = nanos.ilog2();
        let quarter = (nanos >> (doublings - 2)) & 3;
        (doublings as usize * 4 + quarter as usize).min(CLASSES - 1)
    }

    fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(class) = self.0.get(Self::class(nanos)) {
            class.fetch_add(1, Relaxed);
        }
    }

    /// The time that this share of the calls (0 to 1) did not exceed, to a quarter of a doubling; zero before the first.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let mut left = (all as f64 * share).ceil() as u64;
        for (class, count) in counts.into_iter().enumerate() {
            left = left.saturating_sub(count);
            if left == 0 && all > 0 {
                let (doublings, quarter) = (class as u32 / 4, class as u64 % 4);
                // The upper end of the class.
                let nanos = (5 + quarter) << doublings.saturating_sub(2);
                return Duration::from_nanos(nanos);
            }
        }
        Duration::ZERO
    }
}

/// One plugin, over all its versions.
#[derive(Debug, Default)]
#[allow(missing_docs)] // A role each.
pub struct PluginStats {
    pub moderation: RoleStats,
    pub commands: RoleStats,
    pub formatting: RoleStats,
    pub review: RoleStats,
    pub timers: RoleStats,
    /// How long its calls took.
    pub latency: Latency,
    /// Linear memory of the instance that was called last, in bytes.
    pub memory_bytes: AtomicU64,
    /// Calls and starts that failed.
    pub failures: Failures,
    /// Over HTTP.
    pub requests: Requests,
    /// Versions that took effect after the start.
    pub replaced: Counter,
    /// Versions that were refused after the start.
    pub refused: Counter,
    /// How often its file went, and it with it.
    pub removed: Counter,
    /// Instances handed to partitions.
    pub instances: Counter,
    /// Instances for which a spare was ready.
    pub spares: Counter,
    // Exchanged with the version in force, and looked at by metrics and the operator.
    standing: Mutex<Option<Arc<Standing>>>,
}

impl PluginStats {
    /// A call of a role for so many messages, by an instance of so much memory.
    pub(super) fn called(
        &self,
        role: &RoleStats,
        messages: usize,
        took: Duration,
        memory_bytes: usize,
    ) {
        role.called(messages, took);
        self.latency.add(took);
        self.memory_bytes.store(memory_bytes as u64, Relaxed);
    }

    /// Calls and starts that failed, whatever the blame.
    pub fn failed(&self) -> u64 {
        let failures = &self.failures;
        [
            &failures.trap,
            &failures.running_time,
            &failures.wall_clock,
            &failures.memory,
            &failures.answer,
            &failures.host,
        ]
        .map(Counter::get)
        .iter()
        .sum()
    }

    /// How the version in force stands; none where none is.
    pub fn standing(&self) -> Option<Arc<Standing>> {
        self.standing.lock().clone()
    }

    /// Another version is in force from now on, or none.
    pub(super) fn stand(&self, standing: Option<Arc<Standing>>) {
        let before = std::mem::replace(&mut *self.standing.lock(), standing);
        if let Some(before) = before {
            before.end("that version serves no more");
        }
    }

    /// The roles by name, in the order in which they are called.
    pub fn roles(&self) -> [(&'static str, &RoleStats); 5] {
        [
            ("moderation", &self.moderation),
            ("commands", &self.commands),
            ("formatting", &self.formatting),
            ("review", &self.review),
            ("timers", &self.timers),
        ]
    }
}

/// All plugins.
#[derive(Debug, Default)]
pub struct Stats {
    // Locked when a plugin is loaded and when metrics are read; calls go to the plugin's own counters.
    plugins: Mutex<BTreeMap<String, Arc<PluginStats>>>,
    /// Plugins compiled, rather than loaded from the cache.
    pub compiled: Counter,
}

impl Stats {
    /// Every plugin there has been since the start, by name.
    pub fn plugins(&self) -> Vec<(String, Arc<PluginStats>)> {
        let plugins = self.plugins.lock();
        plugins
            .iter()
            .map(|(name, stats)| (name.clone(), stats.clone()))
            .collect()
    }

    /// Versions that took effect after the start, of all plugins.
    pub fn reloads(&self) -> u64 {
        let plugins = self.plugins.lock();
        plugins.values().map(|stats| stats.replaced.get()).sum()
    }

    /// Versions that were refused after the start, of all plugins.
    pub fn refused(&self) -> u64 {
        let plugins = self.plugins.lock();
        plugins.values().map(|stats| stats.refused.get()).sum()
    }

    pub(super) fn of(&self, plugin: &str) -> Arc<PluginStats> {
        self.plugins
            .lock()
            .entry(plugin.to_owned())
            .or_default()
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_a_quarter_of_a_doubling() {
        let latency = Latency::default();
        assert_eq!(latency.quantile(0.5), Duration::ZERO);
        for micros in 1..=1000 {
            latency.add(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0)] {
            let found = latency.quantile(share).as_secs_f64() * 1e6;
            assert!((micros..micros * 1.26).contains(&found), "{share}: {found}");
        }
        latency.add(Duration::MAX);
        latency.add(Duration::ZERO);
    }
}
