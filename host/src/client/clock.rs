//! The server's times as a person reads them: here, in this time zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time zone to show times in.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    /// Every time is shown with its day.
    dated: bool,
}

impl Clock {
    /// This machine's time zone.
    #[must_use]
    pub fn local() -> Self {
        Self::at(TimeZone::system())
    }

    /// A time zone of choice.
    #[must_use]
    pub fn at(zone: TimeZone) -> Self {
        Self { zone, dated: false }
    }

    /// Shows the day with every time.
    #[must_use]
    pub fn dated(self) -> Self {
        Self {
            dated: true,
            ..self
        }
    }

    /// `20:15:30`, or `2025-11-21 20:15:30`.
    #[must_use]
    pub fn seconds(&self, time_ms: u64) -> String {
        let form = if self.dated {
            "%Y-%m-%d %H:%M:%S"
        } else {
            "%H:%M:%S"
        };
        self.zoned(time_ms).strftime(form).to_string()
    }

    /// `20:15`.
    #[must_use]
    pub fn minutes(&self, time_ms: u64) -> String {
        self.zoned(time_ms).strftime("%H:%M").to_string()
    }

    /// `Friday, 21 November 2025`; the same for all times of one day.
    #[must_use]
    pub fn day(&self, time_ms: u64) -> String {
        self.zoned(time_ms).strftime("%A, %-d %B %Y").to_string()
    }

    fn zoned(&self, time_ms: u64) -> Zoned {
        timestamp(time_ms).to_zoned(self.zone.clone())
    }
}

/// RFC 3339 in UTC, with milliseconds.
#[must_use]
pub fn rfc3339(time_ms: u64) -> String {
    format!("{:.3}", timestamp(time_ms))
}

/// Now, as the server writes times.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// A time beyond the calendar is shown as its end.
fn timestamp(time_ms: u64) -> Timestamp {
    i64::try_from(time_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_never_fail() {
        let seoul = Clock::at(TimeZone::fixed(jiff::tz::offset(9)));
        // 2025-11-21T11:15:30.250Z.
        let time = 1_763_723_730_250;
        assert_eq!(seoul.seconds(time), "20:15:30");
        assert_eq!(seoul.minutes(time), "20:15");
        assert_eq!(seoul.day(time), "Friday, 21 November 2025");
        assert_eq!(rfc3339(time), "2025-11-21T11:15:30.250Z");
        assert_eq!(seoul.clone().dated().seconds(time), "2025-11-21 20:15:30");
        assert!(!seoul.day(u64::MAX).is_empty());
    }
}
