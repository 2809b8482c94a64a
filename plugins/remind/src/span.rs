//! Spans of time as people type and read them: `90s`, `10m`, `1h30m`, `2d`.

use std::time::Duration;

/// The longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// None: this is no span. An error: one that is out of bounds.
pub(crate) fn parse(typed: &str, most_days: u32) -> Result<Option<Duration>, String> {
    let Some(seconds) = seconds(typed) else {
        return Ok(None);
    };
    let most = u64::from(most_days) * 86_400;
    if !(1..=most).contains(&seconds) {
        return Err(format!("a reminder is 1s to {most_days}d ahead"));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

/// Each unit once, the longer before the shorter. What overflows is as far as there is.
fn seconds(typed: &str) -> Option<u64> {
    let mut units = UNITS.iter();
    let mut rest = typed;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (count, after) = rest.split_at_checked(digits)?;
        if count.is_empty() {
            return None;
        }
        let unit = after.chars().next()?.to_ascii_lowercase();
        let (_, each) = units.find(|(name, _)| *name == unit)?;
        let count = count.parse::<u64>().unwrap_or(u64::MAX);
        sum = sum.saturating_add(count.saturating_mul(*each));
        rest = after.get(1..)?;
    }
    (!typed.is_empty()).then_some(sum)
}

/// The two largest units of it, rounded up to a second.
pub(crate) fn shown(millis: u64) -> String {
    let mut seconds = millis.div_ceil(1_000);
    let mut shown = Vec::new();
    for (unit, each) in UNITS {
        let count = seconds / each;
        seconds %= each;
        if count > 0 {
            shown.push(format!("{count}{unit}"));
        }
    }
    shown.truncate(2);
    match shown.is_empty() {
        true => "a moment".into(),
        false => shown.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_type_them() {
        for (typed, expected) in [
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5_400),
            ("2D", 172_800),
            ("1d1h1m1s", 90_061),
        ] {
            let expected = Duration::from_secs(expected);
            assert_eq!(parse(typed, 30), Ok(Some(expected)), "{typed}");
        }
        for wrong in [
            "", "10", "m", "-1m", "10 m", "1m1h", "1m1m", "1.5h", "10분", "٣m", "tomorrow",
        ] {
            assert_eq!(parse(wrong, 30), Ok(None), "{wrong:?}");
        }
        for far in ["0s", "31d", "30d1s", "99999999999999999999999d", "0m"] {
            assert!(parse(far, 30).is_err(), "{far:?}");
        }
    }

    #[test]
    fn spans_are_shown_by_their_two_largest_units() {
        assert_eq!(shown(0), "a moment");
        assert_eq!(shown(1), "1s");
        assert_eq!(shown(600_000), "10m");
        assert_eq!(shown(90_061_000), "1d 1h");
    }
}
