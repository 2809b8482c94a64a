//! Sizes and durations as people write them: `10GiB`, `500MB`, `90d`, `1h30m`, `200ms`.
//!
//! What is printed can be read again and means the same. Only whole numbers: `1.5h` is `1h30m`.

use std::time::Duration;

/// Bytes of each unit, largest first. Decimal and binary are told apart, as on a disk's label.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// The units of sizes, for a person who wrote another.
pub const SIZE_UNITS: &str = "KiB, MiB, GiB, TiB, KB, MB, GB or TB";

/// Milliseconds of each unit, largest first.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a size; a bare number is bytes. None where it is not one, or does not fit.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim())?;
    let unit = unit.trim();
    let (_, factor) = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(if unit.is_empty() { "B" } else { unit }))?;
    number.checked_mul(*factor)
}

/// As [`parse_bytes`], and a bare number is none, where it could as well be meant as something else than bytes.
#[must_use]
pub fn parse_bytes_with_unit(text: &str) -> Option<u64> {
    text.trim()
        .ends_with(|end: char| end.is_ascii_alphabetic())
        .then(|| parse_bytes(text))?
}

/// Writes a size in the largest unit that needs no fraction.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let (name, factor) = SIZES
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(&("B", 1));
    format!("{}{name}", bytes / factor)
}

/// Reads a duration: one or more numbers, each with its unit, the larger units first. A bare number is none, for
/// nobody can know what it counts; but 0 is.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total_ms = 0_u64;
    let mut below = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest)?;
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
        if *factor >= below {
            return None;
        }
        below = *factor;
        total_ms = total_ms.checked_add(number.checked_mul(*factor)?)?;
        rest = tail.trim_start();
    }
    (below < u64::MAX).then(|| Duration::from_millis(total_ms))
}

/// Writes a duration to the millisecond.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in TIMES {
        if left >= factor {
            text.push_str(&format!("{}{unit}", left / factor));
            left %= factor;
        }
    }
    text
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.replace('_', "").parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("10GiB", 10 << 30),
            ("500MB", 500_000_000),
            ("64 kib", 65_536),
            ("4_096", 4096),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "GiB", "1.5GiB", "-1", "10 parsecs", "99999999TiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("90d", 90 * 86_400_000),
            ("10s", 10_000),
            ("200ms", 200),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "1m1h",
            "1s1s",
            "1.5h",
            "-1s",
            "9999999999999d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_size_is_read_as_the_same(bytes: u64) {
            prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Some(bytes));
        }

        #[test]
        fn a_printed_duration_is_read_as_the_same(ms: u64) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }

        #[test]
        fn no_text_breaks_the_readers(text: String) {
            let _ = parse_bytes(&text);
            let _ = parse_duration(&text);
        }
    }
}
