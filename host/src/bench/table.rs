//! A report for people: a table, and a plot of each latency.

use std::fmt::{self, Display, Formatter};

use hdrhistogram::Histogram;

use super::latency::Summary;
use super::report::Report;

/// Columns of the longest bar.
const BAR: u64 = 50;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let load = [
            counted(self.members, "member"),
            counted(self.rooms, "room"),
            counted(self.senders, "sender"),
        ]
        .join(", ");
        row(
            f,
            "load",
            &format!(
                "{load}, rate {}, {} bytes, {:.1} s",
                self.rate, self.size_bytes, self.seconds
            ),
        )?;
        row(
            f,
            "accepted",
            &format!(
                "{}/s ({} in all)",
                grouped(self.accepted_per_s),
                grouped(self.acknowledged as f64)
            ),
        )?;
        row(
            f,
            "delivered",
            &format!(
                "{}/s ({} in all)",
                grouped(self.deliveries_per_s),
                grouped(self.deliveries as f64)
            ),
        )?;
        latency_row(f, "acknowledged", self.acknowledged_ms)?;
        latency_row(f, "seen", self.seen_ms)?;
        if let Some(cost) = self.server_cpu_us_per_delivery {
            let cpus = self.server_cpus.unwrap_or_default();
            row(
                f,
                "server",
                &format!("{cost:.3} µs CPU a delivery, {cpus:.2} CPUs"),
            )?;
        }
        if let Some(bytes) = self.server_bytes_per_connection {
            row(
                f,
                "server",
                &format!("{} bytes a connection", grouped(bytes as f64)),
            )?;
        }
        if let Some(cost) = self.generator_cpu_us_per_delivery {
            row(f, "generator", &format!("{cost:.3} µs CPU a delivery"))?;
        }
        if self.refused + self.resumed > 0 {
            row(
                f,
                "also",
                &format!(
                    "{} sends refused for a time, {} sessions resumed",
                    self.refused, self.resumed
                ),
            )?;
        }
        plot(f, "acknowledged", &self.latencies.acknowledged)?;
        plot(f, "seen", &self.latencies.seen)?;

        writeln!(f)?;
        if self.is_verified() {
            return writeln!(f, "verified: nothing lost, repeated, reordered or wrong");
        }
        if self.acknowledged_nothing() {
            writeln!(
                f,
                "FAILED: nothing was acknowledged, so nothing is verified"
            )?;
        }
        for (what, count) in self.violations() {
            writeln!(f, "VIOLATION: {what} {}", grouped(count as f64))?;
        }
        self.examples
            .iter()
            .try_for_each(|example| writeln!(f, "  {example}"))
    }
}

fn row(f: &mut Formatter<'_>, what: &str, value: &str) -> fmt::Result {
    writeln!(f, "{what:<14}{value}")
}

fn latency_row(f: &mut Formatter<'_>, what: &str, ms: Option<Summary>) -> fmt::Result {
    let Some(Summary { p50, p95, p99, max }) = ms else {
        return row(f, what, "p50 –, p95 –, p99 –, max –");
    };
    row(
        f,
        what,
        &format!("p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"),
    )
}

/// A bar for each doubling of time.
fn plot(f: &mut Formatter<'_>, what: &str, latencies: &Histogram<u64>) -> fmt::Result {
    if latencies.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{what}, ms")?;
    let bars = doublings(latencies);
    let longest = bars.iter().map(|bar| bar.2).max().unwrap_or(1).max(1);
    for (from_us, to_us, count) in bars {
        let ms = |us: u64| us as f64 / 1000.0;
        // Whatever happened at all is visible.
        let columns = (count * BAR / longest).max(u64::from(count > 0));
        let bar = "█".repeat(usize::try_from(columns).unwrap_or_default());
        writeln!(
            f,
            "{:>9.3} – {:>9.3}  {bar} {}",
            ms(from_us),
            ms(to_us),
            grouped(count as f64)
        )?;
    }
    Ok(())
}

/// Bounds in µs and counts, from the first to the last doubling that holds anything.
fn doublings(latencies: &Histogram<u64>) -> Vec<(u64, u64, u64)> {
    let first = latencies.min().max(1).ilog2();
    let last = latencies.max().max(1).ilog2();
    (first..=last)
        .map(|power| {
            let (from, to) = (1_u64 << power, 1_u64 << (power + 1));
            (from, to, latencies.count_between(from, to - 1))
        })
        .collect()
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count as f64))
}

/// 1234567.8 as 1,234,568.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::counts::Counts;
    use crate::bench::latency::{Latencies, Recorder};
    use crate::bench::options::{Options, Target};
    use crate::bench::report::Window;
    use std::time::Duration;

    fn report(lost: u64) -> Report {
        let target = Target {
            address: ([127, 0, 0, 1], 1).into(),
            authority: "x".into(),
        };
        let recorder = Recorder::new().unwrap();
        for us in [300, 400, 600, 5_000] {
            recorder.acknowledged(us);
        }
        let mut latencies = Latencies::new().unwrap();
        recorder.add_to(&mut latencies);
        let window = Window {
            duration: Duration::from_secs(2),
            deliveries: 2_000_000,
            acknowledged: 2_000,
            server_cpu: Some(Duration::from_secs(1)),
            own_cpu: None,
        };
        let counts = Counts::default();
        Counts::add(&counts.acknowledged, 2_000);
        if lost > 0 {
            counts.example(|| "member 3 misses 2 before 9".into());
        }
        Report::new(
            &Options::new(target),
            &counts,
            &window,
            latencies,
            lost,
            0,
            Some(22_528),
        )
    }

    #[test]
    fn a_clean_report_reads_well() {
        insta::assert_snapshot!(report(0).to_string());
    }

    #[test]
    fn a_violation_is_named_with_an_example() {
        let text = report(2).to_string();
        assert!(
            text.contains("VIOLATION: lost 2\n  member 3 misses 2 before 9"),
            "{text}"
        );
        assert_eq!(report(2).violations(), [("lost", 2)]);
    }

    #[test]
    fn the_json_has_the_agreed_keys_on_one_line() {
        let json = serde_json::to_string(&report(0)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["deliveries_per_s"], 1_000_000.0);
        assert_eq!(value["server_cpu_us_per_delivery"], 0.5);
        assert_eq!(value["acknowledged_ms"]["max"], 5.003);
        assert!(!json.contains('\n') && value["acknowledged_ms"]["p99"].is_number());
        assert!(value["seen_ms"].is_null(), "nothing was seen: {json}");
    }
}
