//! Whether a version of a plugin is called: one that fails again and again, or takes too much of a partition's time, is
//! put into quarantine for a while, each time for longer.
//!
//! A new version has a standing of its own, and so starts clean. Time is the runtime's, which a simulation makes; what
//! a quarantine does to a message is in the message's outcome, so nobody has to know of it later.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Blame;
use crate::config::{PluginConfig, PluginDefaults};

/// The first quarantine, and the longest: each is twice the one before.
const WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// After so long without one the next is as short as the first.
const FORGIVEN: Duration = Duration::from_secs(60 * 60);
/// For so long its part of a partition's time is measured.
const WINDOW: Duration = Duration::from_secs(2);
/// A call counts for so much at most, a little more than any may take: what takes longer was the machine's doing, and
/// no single call puts a plugin into quarantine.
const CALL: Duration = Duration::from_millis(300);

/// When a plugin goes into quarantine.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// So many failures; 0: never for these.
    pub failures: u32,
    /// Within so long.
    pub within: Duration,
    /// More than such a part of a partition's time for two seconds, in percent; 0: never for that.
    pub percent: u32,
}

impl Rule {
    pub(super) fn of(settings: &PluginDefaults, own: &PluginConfig) -> Self {
        Self {
            failures: settings.quarantine_failures,
            within: Duration::from_secs(settings.quarantine_seconds),
            percent: own
                .quarantine_percent
                .unwrap_or(settings.quarantine_percent),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Standing {
    plugin: String,
    version: String,
    rule: Rule,
    /// Whether `inner` holds a quarantine. Read before each call, so that good standing costs nothing.
    in_quarantine: AtomicBool,
    /// Rises with each end of a quarantine: what was measured before does not count after.
    round: AtomicU64,
    // Every partition's thread tells of its calls, and the operator looks.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When it failed lately: no more of them than the rule needs.
    failed: VecDeque<Instant>,
    quarantine: Option<Quarantine>,
    /// How long the last one was.
    wait: Duration,
    /// When that ended.
    ended: Option<Instant>,
}

#[derive(Debug)]
struct Quarantine {
    since: Instant,
    /// None: until the operator releases it.
    until: Option<Instant>,
    cause: String,
}

/// A standing at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Failures that count at this moment.
    pub failures: usize,
    /// The quarantine, where it is in one.
    pub quarantine: Option<SeenQuarantine>,
}

/// A quarantine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenQuarantine {
    /// For how long it has lasted.
    pub since: Duration,
    /// How long it has yet to last; [`Duration::MAX`] until the operator releases it.
    pub left: Duration,
    /// Why.
    pub cause: String,
}

/// How much of one partition's time a plugin takes.
#[derive(Debug, Default)]
pub struct Meter {
    round: u64,
    since: Option<Instant>,
    used: Duration,
}

impl Standing {
    /// A good one.
    #[must_use]
    pub fn new(plugin: &str, version: &str, rule: Rule) -> Self {
        Self {
            plugin: plugin.to_owned(),
            version: version.to_owned(),
            rule,
            in_quarantine: AtomicBool::new(false),
            round: AtomicU64::new(0),
            inner: Mutex::default(),
        }
    }

    /// How long it is not to be called yet, where it is in quarantine; [`Duration::MAX`] until the operator releases it.
    #[must_use]
    pub fn quarantined(&self) -> Option<Duration> {
        if !self.in_quarantine.load(Relaxed) {
            return None;
        }
        self.seen().quarantine.map(|quarantine| quarantine.left)
    }

    /// How it stands. A quarantine whose time is over ends here.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        let until = inner.quarantine.as_ref().and_then(|q| q.until);
        if let Some(until) = until.filter(|until| *until <= now) {
            inner.quarantine = None;
            inner.ended = Some(until);
            self.end_of(&mut inner, "its time is over");
        }
        inner.forget(now, self.rule.within);
        let quarantine = inner.quarantine.as_ref().map(|quarantine| SeenQuarantine {
            since: now.duration_since(quarantine.since),
            left: quarantine
                .until
                .map_or(Duration::MAX, |until| until.duration_since(now)),
            cause: quarantine.cause.clone(),
        });
        Seen {
            failures: inner.failed.len(),
            quarantine,
        }
    }

    /// Ends a quarantine before its time, and all that counts against the plugin with it; tells whether there was one.
    pub fn end(&self, why: &str) -> bool {
        let mut inner = self.inner.lock();
        let ended = inner.quarantine.take().is_some();
        inner.ended = None;
        inner.failed.clear();
        if ended {
            self.end_of(&mut inner, why);
        }
        ended
    }

    /// Puts it into quarantine until it is released.
    pub fn hold(&self) {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        inner.failed.clear();
        let since = inner.quarantine.as_ref().map_or(now, |q| q.since);
        inner.quarantine = Some(Quarantine {
            since,
            until: None,
            cause: "the operator put it there".into(),
        });
        self.in_quarantine.store(true, Relaxed);
        warn!(plugin = %self.plugin, version = %self.version, "the operator put a plugin into quarantine");
    }

    /// It failed at something. What the host is to blame for does not count.
    pub fn failed(&self, blame: Blame) {
        if blame == Blame::Host || self.rule.failures == 0 {
            return;
        }
        let now = Instant::now();
        let mut inner = self.inner.lock();
        inner.failed.push_back(now);
        inner.forget(now, self.rule.within);
        let failures = inner.failed.len();
        if failures >= usize::try_from(self.rule.failures).unwrap_or(usize::MAX) {
            let within = self.rule.within.as_secs();
            let cause = format!("{failures} failures within {within} s, the last: {blame}");
            self.begin(&mut inner, now, cause);
        }
    }

    /// A call that began then has ended now.
    pub fn called(&self, meter: &mut Meter, began: Instant) {
        if self.rule.percent == 0 {
            return;
        }
        let now = Instant::now();
        let round = self.round.load(Relaxed);
        if meter.round != round {
            *meter = Meter {
                round,
                ..Meter::default()
            };
        }
        let since = *meter.since.get_or_insert(began);
        meter.used += now.duration_since(began).min(CALL);
        let passed = now.duration_since(since);
        if passed < WINDOW {
            return;
        }
        let percent = 100.0 * meter.used.as_secs_f64() / passed.as_secs_f64();
        *meter = Meter {
            round,
            ..Meter::default()
        };
        if percent > f64::from(self.rule.percent) {
            let cause = format!(
                "{percent:.0} % of a partition's time for {:.1} s",
                passed.as_secs_f64()
            );
            self.begin(&mut self.inner.lock(), now, cause);
        }
    }

    fn begin(&self, inner: &mut Inner, now: Instant, cause: String) {
        inner.failed.clear();
        if inner.quarantine.is_some() {
            return;
        }
        let again = inner
            .ended
            .is_some_and(|ended| now.duration_since(ended) < FORGIVEN);
        inner.wait = if again {
            (inner.wait * 2).min(WAIT.1)
        } else {
            WAIT.0
        };
        let seconds = inner.wait.as_secs();
        warn!(plugin = %self.plugin, version = %self.version, cause, seconds, "a plugin is put into quarantine");
        inner.quarantine = Some(Quarantine {
            since: now,
            until: Some(now + inner.wait),
            cause,
        });
        self.in_quarantine.store(true, Relaxed);
    }

    /// The lock is held, so that the flag is what the lock guards.
    fn end_of(&self, _: &mut Inner, why: &str) {
        self.in_quarantine.store(false, Relaxed);
        self.round.fetch_add(1, Relaxed);
        info!(plugin = %self.plugin, version = %self.version, why, "a plugin's quarantine has ended");
    }
}

impl Inner {
    fn forget(&mut self, now: Instant, within: Duration) {
        while self
            .failed
            .front()
            .is_some_and(|failed| now.duration_since(*failed) > within)
        {
            self.failed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn standing() -> Standing {
        let rule = Rule {
            failures: 5,
            within: 60 * SECOND,
            percent: 20,
        };
        Standing::new("flood", "1.0.0", rule)
    }

    fn fail(standing: &Standing, times: usize) {
        for _ in 0..times {
            standing.failed(Blame::Trap);
        }
    }

    /// How long the quarantine is that five failures bring.
    async fn sit_out(standing: &Standing) -> u64 {
        fail(standing, 5);
        let left = standing.quarantined().expect("it is in quarantine");
        advance(left - Duration::from_millis(1)).await;
        assert!(standing.quarantined().is_some(), "not yet");
        advance(Duration::from_millis(1)).await;
        assert_eq!(standing.quarantined(), None, "its time is over");
        left.as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_minute_are_too_many_and_four_are_not() {
        let standing = standing();
        fail(&standing, 4);
        advance(61 * SECOND).await;
        fail(&standing, 4);
        assert_eq!(standing.quarantined(), None);
        standing.failed(Blame::Host);
        assert_eq!(standing.seen().failures, 4, "what the host did is not its");
        standing.failed(Blame::RunningTime);
        advance(3 * SECOND).await;
        let quarantine = standing.seen().quarantine.unwrap();
        assert_eq!(
            (quarantine.since, quarantine.left),
            (3 * SECOND, 7 * SECOND)
        );
        let cause = "5 failures within 60 s, the last: running-time";
        assert_eq!(quarantine.cause, cause);
    }

    #[tokio::test(start_paused = true)]
    async fn each_quarantine_is_twice_as_long_until_it_has_served_for_an_hour() {
        let standing = standing();
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(sit_out(&standing).await);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        advance(3_599 * SECOND).await;
        assert_eq!(sit_out(&standing).await, 600);
        advance(3_600 * SECOND).await;
        assert_eq!(sit_out(&standing).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_operator_ends_a_quarantine_and_it_starts_anew() {
        let standing = standing();
        sit_out(&standing).await;
        fail(&standing, 5);
        assert!(standing.end("the operator ended it"));
        assert_eq!(standing.quarantined(), None);
        assert!(!standing.end("the operator ended it"), "there is none");
        fail(&standing, 4);
        assert_eq!(standing.quarantined(), None);
        assert!(!standing.end("there is none"));
        assert_eq!(sit_out(&standing).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_operator_puts_there_stays_until_it_is_released() {
        let standing = standing();
        fail(&standing, 5);
        standing.hold();
        advance(86_400 * SECOND).await;
        assert_eq!(standing.quarantined(), Some(Duration::MAX));
        fail(&standing, 5);
        assert_eq!(standing.quarantined(), Some(Duration::MAX));
        assert!(standing.end("the operator ended it"));
        assert_eq!(standing.quarantined(), None);
        assert_eq!(sit_out(&standing).await, 10);
    }

    /// Calls of so long, one a second's tenth, for two seconds and a little.
    async fn busy(standing: &Standing, each: Duration) {
        let mut meter = Meter::default();
        for _ in 0..21 {
            let began = Instant::now();
            advance(each).await;
            standing.called(&mut meter, began);
            advance(SECOND / 10 - each).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_a_fifth_of_a_partitions_time_is_too_much() {
        let standing = standing();
        busy(&standing, Duration::from_millis(19)).await;
        assert_eq!(standing.quarantined(), None);
        busy(&standing, Duration::from_millis(24)).await;
        assert!(standing.quarantined().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_measured_before_a_quarantine_does_not_count_after_it() {
        let standing = standing();
        let mut meter = Meter::default();
        for _ in 0..5 {
            let began = Instant::now();
            advance(SECOND / 5).await;
            standing.called(&mut meter, began);
            standing.failed(Blame::RunningTime);
        }
        assert!(standing.end("the operator ended it"));
        advance(2 * SECOND).await;
        standing.called(&mut meter, Instant::now());
        assert_eq!(standing.quarantined(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_is_never_too_much() {
        let standing = standing();
        let mut meter = Meter::default();
        let began = Instant::now();
        advance(60 * SECOND).await;
        standing.called(&mut meter, began);
        assert_eq!(standing.quarantined(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_counts_where_the_operator_says_so() {
        let rule = Rule {
            failures: 0,
            within: SECOND,
            percent: 0,
        };
        let standing = Standing::new("flood", "1.0.0", rule);
        fail(&standing, 100);
        busy(&standing, SECOND / 10).await;
        assert_eq!(standing.quarantined(), None);
    }
}
