//! Latencies: recorded in µs to three digits, told in ms.

use hdrhistogram::{CreationError, Histogram};
use parking_lot::Mutex;
use serde::Serialize;

/// Ten minutes; what took longer counts as that.
const LONGEST_US: u64 = 600_000_000;

/// What one thread recorded.
///
/// Its tasks share it; they run on one thread, so the locks are always free.
#[derive(Debug)]
pub struct Recorder {
    acknowledged: Mutex<Histogram<u64>>,
    seen: Mutex<Histogram<u64>>,
}

/// Latencies of both kinds.
#[derive(Debug, Clone)]
pub struct Latencies {
    /// From when it was to be sent to its acknowledgement.
    pub acknowledged: Histogram<u64>,
    /// From when it was to be sent to a member that saw it.
    pub seen: Histogram<u64>,
}

impl Latencies {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never, with these bounds; the library can't know.
    pub fn new() -> Result<Self, CreationError> {
        Ok(Self {
            acknowledged: histogram()?,
            seen: histogram()?,
        })
    }
}

impl Recorder {
    /// Nothing yet.
    ///
    /// # Errors
    /// As [`Latencies::new`].
    pub fn new() -> Result<Self, CreationError> {
        Ok(Self {
            acknowledged: Mutex::new(histogram()?),
            seen: Mutex::new(histogram()?),
        })
    }

    /// A message was acknowledged.
    pub fn acknowledged(&self, us: u64) {
        self.acknowledged.lock().saturating_record(us);
    }

    /// A member saw a message.
    pub fn seen(&self, us: u64) {
        self.seen.lock().saturating_record(us);
    }

    /// Adds what was recorded to `sum`.
    pub fn add_to(&self, sum: &mut Latencies) {
        // Both have the same bounds, so adding can't fail.
        let _ = sum.acknowledged.add(&*self.acknowledged.lock());
        let _ = sum.seen.add(&*self.seen.lock());
    }
}

fn histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(1, LONGEST_US, 3)
}

/// A distribution in four numbers, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Half took no longer.
    pub p50: f64,
    /// 95 in 100 took no longer.
    pub p95: f64,
    /// 99 in 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Summary {
    /// Of what was recorded; none where nothing was.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Some(Self {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: ms(histogram.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_microseconds_as_milliseconds() {
        let recorder = Recorder::new().unwrap();
        for us in 1..=1000 {
            recorder.seen(us);
        }
        recorder.seen(u64::MAX);
        let mut sum = Latencies::new().unwrap();
        recorder.add_to(&mut sum);
        let summary = Summary::of(&sum.seen).unwrap();
        assert!(
            (summary.p50 - 0.5).abs() < 0.002 && (summary.p99 - 0.99).abs() < 0.002,
            "{summary:?}"
        );
        assert!(summary.max >= 600_000.0, "{summary:?}");
        assert_eq!(Summary::of(&sum.acknowledged), None, "and no zeros");
    }
}
