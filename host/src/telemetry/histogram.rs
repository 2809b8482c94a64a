//! A histogram of durations without a lock: observing is two atomic additions.
//!
//! A scrape reads while others write, so its sum may be one observation ahead of its counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds in nanoseconds: 1, 2.5, 5, 10 … from 50 µs (a sync) to 10 s (a broker that is gone).
const BOUNDS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// A handle to one histogram. All clones share it.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// What is above all bounds.
    above: AtomicU64,
    counts: [AtomicU64; BOUNDS.len()],
    // Enough for 584 years.
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_many(1, duration);
    }

    /// Counts one duration of so many things.
    pub fn observe_many(&self, times: u64, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let slot = BOUNDS.partition_point(|bound| *bound < nanos);
        self.0
            .counts
            .get(slot)
            .unwrap_or(&self.0.above)
            .fetch_add(times, Relaxed);
        self.0
            .sum_nanos
            .fetch_add(nanos.saturating_mul(times), Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    #[allow(clippy::cast_precision_loss)] // Metrics are floats: 2^53 ns is 104 days to the nanosecond.
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let buckets: Vec<(f64, u64)> = BOUNDS
            .iter()
            .zip(&self.0.counts)
            .map(|(bound, count)| (seconds(*bound), count.load(Relaxed)))
            // The encoder writes this bound as `+Inf`.
            .chain([(f64::INFINITY, self.0.above.load(Relaxed))])
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.sum_nanos.load(Relaxed));
        encoder.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
