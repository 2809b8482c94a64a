//! Sizes and times, in words.

use std::time::Duration;

/// `2.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// `1.5 ms`.
pub(super) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let units = [("s", 1e9), ("ms", 1e6), ("µs", 1e3)];
    match units.iter().find(|(_, unit)| nanos >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", nanos / unit),
        None => format!("{nanos} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(size(12), "12 B");
        assert_eq!(size(2_500_000), "2.4 MiB");
        assert_eq!(time(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!(time(Duration::from_nanos(70)), "70 ns");
    }
}
