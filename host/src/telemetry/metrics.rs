//! The numbers the server keeps of itself, as handles on plain atomics.
//!
//! Who counts often takes its handle once ([`Metrics::plugin`], [`Metrics::lag`]) and then only adds; looking a label
//! up takes a lock. Names of rooms and people are never labels: there are too many, and they are nobody's business.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::Histogram;
use crate::plugin::Blame;

/// A sum of seconds.
pub type Seconds = Counter<f64, AtomicU64>;

type Label<V> = [(&'static str, V); 1];
type PluginLabels = [(&'static str, String); 2];

/// All numbers. All clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Sessions now.
    pub sessions: Gauge,
    /// Rooms now.
    pub rooms: Gauge,
    /// Connections now, sessions or not.
    pub connections: Gauge,
    /// Messages that became durable.
    pub accepted: Counter,
    /// Events handed to members. Add a batch at a time.
    pub deliveries: Counter,
    /// From a message's arrival to its durability.
    pub append_seconds: Histogram,
    /// From a message's durability to its outcome's; of what is decided together, as of the first.
    pub decision_seconds: Histogram,
    /// Applying a batch of outcomes to the store.
    pub fold_seconds: Histogram,
    /// Bytes of both logs on this machine.
    pub journal_bytes: Gauge,
    /// Bytes of the store on this machine.
    pub store_bytes: Gauge,
    /// Messages at which plugins failed.
    pub dead_letters: Counter,
    refused: Family<Label<&'static str>, Counter>,
    outcomes: Family<Label<&'static str>, Counter>,
    lag: Family<Label<u32>, Gauge>,
    plugin_calls: Family<PluginLabels, Counter>,
    plugin_seconds: Family<PluginLabels, Seconds>,
    plugin_failures: Family<PluginLabels, Counter>,
    plugin_reloads: Family<PluginLabels, Counter>,
    plugin_quarantined: Family<Label<String>, Gauge>,
    plugin_requests: Family<PluginLabels, Counter>,
    registry: Arc<Registry>,
}

/// The numbers of one role of one plugin.
#[derive(Debug, Clone)]
pub struct RoleMetrics {
    /// Calls, a batch being one.
    pub calls: Counter,
    /// Time within them.
    pub seconds: Seconds,
}

/// The numbers of one plugin, looked up once.
#[derive(Debug, Clone)]
pub struct PluginMetrics {
    /// Of its role `moderation`.
    pub moderation: RoleMetrics,
    /// Of its role `commands`.
    pub commands: RoleMetrics,
    /// Of its role `formatting`.
    pub formatting: RoleMetrics,
    /// Of its role `review`.
    pub review: RoleMetrics,
    /// Of its role `timers`.
    pub timers: RoleMetrics,
    name: String,
    failures: Family<PluginLabels, Counter>,
}

impl RoleMetrics {
    /// Counts one call.
    pub fn called(&self, took: std::time::Duration) {
        self.calls.inc();
        self.seconds.inc_by(took.as_secs_f64());
    }
}

impl PluginMetrics {
    /// Counts one fault.
    pub fn failed(&self, blame: Blame) {
        let labels = [
            ("plugin", self.name.clone()),
            ("blame", blame.word().to_owned()),
        ];
        self.failures.get_or_create(&labels).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            sessions: Gauge::default(),
            rooms: Gauge::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            deliveries: Counter::default(),
            append_seconds: Histogram::default(),
            decision_seconds: Histogram::default(),
            fold_seconds: Histogram::default(),
            journal_bytes: Gauge::default(),
            store_bytes: Gauge::default(),
            dead_letters: Counter::default(),
            refused: Family::default(),
            outcomes: Family::default(),
            lag: Family::default(),
            plugin_calls: Family::default(),
            plugin_seconds: Family::default(),
            plugin_failures: Family::default(),
            plugin_reloads: Family::default(),
            plugin_quarantined: Family::default(),
            plugin_requests: Family::default(),
            registry: Arc::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    /// Messages and requests that were refused, by code. Keep the handle.
    #[must_use]
    pub fn refused(&self, code: &'static str) -> Counter {
        self.refused.get_or_create_owned(&[("code", code)])
    }

    /// Outcomes, by verdict. Keep the handle.
    #[must_use]
    pub fn outcomes(&self, verdict: &'static str) -> Counter {
        self.outcomes.get_or_create_owned(&[("verdict", verdict)])
    }

    /// Ingress records of a partition that are not decided yet. Keep the handle.
    #[must_use]
    pub fn lag(&self, partition: u32) -> Gauge {
        self.lag.get_or_create_owned(&[("partition", partition)])
    }

    /// The numbers of a plugin. Keep the handle.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PluginMetrics {
        let role = |role: &str| {
            let labels = [("plugin", name.to_owned()), ("role", role.to_owned())];
            RoleMetrics {
                calls: self.plugin_calls.get_or_create_owned(&labels),
                seconds: self.plugin_seconds.get_or_create_owned(&labels),
            }
        };
        PluginMetrics {
            moderation: role("moderation"),
            commands: role("commands"),
            formatting: role("formatting"),
            review: role("review"),
            timers: role("timers"),
            name: name.to_owned(),
            failures: self.plugin_failures.clone(),
        }
    }

    /// Counts a new version of a plugin and what became of it: `replaced`, `refused`, `removed` …
    pub fn reloaded(&self, plugin: &str, result: &'static str) {
        let labels = [("plugin", plugin.to_owned()), ("result", result.to_owned())];
        self.plugin_reloads.get_or_create(&labels).inc();
    }

    /// Counts requests of a plugin to services outside: `asked`, `answered`, `refused`.
    pub fn requested(&self, plugin: &str, result: &'static str, by: u64) {
        let labels = [("plugin", plugin.to_owned()), ("result", result.to_owned())];
        self.plugin_requests.get_or_create(&labels).inc_by(by);
    }

    /// Whether a plugin is in quarantine: 1 or 0.
    pub fn quarantined(&self, plugin: &str, is: bool) {
        let gauge = self
            .plugin_quarantined
            .get_or_create_owned(&[("plugin", plugin.to_owned())]);
        gauge.set(i64::from(is));
    }

    /// All numbers as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail; a broken encoder would show as a text without its `# EOF`.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    fn register(&self) -> Registry {
        let mut all = Registry::with_prefix("chat");
        all.register("sessions", "Sessions now", self.sessions.clone());
        all.register("rooms", "Rooms now", self.rooms.clone());
        all.register("connections", "Connections now", self.connections.clone());
        all.register("accepted", "Messages made durable", self.accepted.clone());
        all.register("refused", "Requests refused, by code", self.refused.clone());
        all.register("outcomes", "Outcomes, by verdict", self.outcomes.clone());
        all.register(
            "deliveries",
            "Events handed to members",
            self.deliveries.clone(),
        );
        all.register("lag", "Ingress records not decided yet", self.lag.clone());
        all.register(
            "append_seconds",
            "From a message's arrival to its durability",
            self.append_seconds.clone(),
        );
        all.register(
            "decision_seconds",
            "From a message's durability to its outcome's",
            self.decision_seconds.clone(),
        );
        all.register(
            "fold_seconds",
            "Applying a batch of outcomes to the store",
            self.fold_seconds.clone(),
        );
        all.register(
            "journal_bytes",
            "Bytes of both logs",
            self.journal_bytes.clone(),
        );
        all.register(
            "store_bytes",
            "Bytes of the store",
            self.store_bytes.clone(),
        );
        all.register(
            "dead_letters",
            "Messages at which plugins failed",
            self.dead_letters.clone(),
        );
        all.register(
            "plugin_calls",
            "Calls of plugins",
            self.plugin_calls.clone(),
        );
        all.register(
            "plugin_seconds",
            "Time within plugins",
            self.plugin_seconds.clone(),
        );
        all.register(
            "plugin_failures",
            "Faults of plugins",
            self.plugin_failures.clone(),
        );
        all.register(
            "plugin_reloads",
            "New versions of plugins",
            self.plugin_reloads.clone(),
        );
        all.register(
            "plugin_quarantined",
            "Whether a plugin is in quarantine",
            self.plugin_quarantined.clone(),
        );
        all.register(
            "plugin_requests",
            "Requests of plugins to services outside",
            self.plugin_requests.clone(),
        );
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_counted_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.sessions.set(3);
        metrics.deliveries.inc_by(1_000);
        metrics.refused("RESOURCE_EXHAUSTED").inc();
        metrics.lag(5).set(2);
        let plugin = metrics.plugin("word\"list");
        plugin.moderation.called(Duration::from_millis(250));
        plugin.failed(Blame::RunningTime);
        metrics.reloaded("wordlist", "replaced");
        metrics.dead_letters.inc();
        metrics.quarantined("wordlist", true);
        metrics.requested("wordlist", "refused", 2);
        metrics.append_seconds.observe(Duration::from_micros(150));
        metrics.append_seconds.observe(Duration::from_secs(60));

        let text = metrics.text();
        for line in [
            "chat_sessions 3",
            "chat_deliveries_total 1000",
            "chat_refused_total{code=\"RESOURCE_EXHAUSTED\"} 1",
            "chat_lag{partition=\"5\"} 2",
            "chat_plugin_calls_total{plugin=\"word\\\"list\",role=\"moderation\"} 1",
            "chat_plugin_seconds_total{plugin=\"word\\\"list\",role=\"moderation\"} 0.25",
            "chat_plugin_failures_total{plugin=\"word\\\"list\",blame=\"running-time\"} 1",
            "chat_plugin_reloads_total{plugin=\"wordlist\",result=\"replaced\"} 1",
            "chat_dead_letters_total 1",
            "chat_plugin_quarantined{plugin=\"wordlist\"} 1",
            "chat_plugin_requests_total{plugin=\"wordlist\",result=\"refused\"} 2",
            "chat_append_seconds_bucket{le=\"0.0001\"} 0",
            "chat_append_seconds_bucket{le=\"0.00025\"} 1",
            "chat_append_seconds_bucket{le=\"10.0\"} 1",
            "chat_append_seconds_bucket{le=\"+Inf\"} 2",
            "chat_append_seconds_count 2",
            "chat_append_seconds_sum 60.00015",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|there| there == line),
                "no {line} in\n{text}"
            );
        }
    }

    #[test]
    fn a_clone_counts_for_all() {
        let metrics = Metrics::new();
        metrics.clone().accepted.inc();
        assert_eq!(metrics.accepted.get(), 1);
    }
}
