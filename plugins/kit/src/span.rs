//! Spans of time as case files have them: `250ms`, `10s`, `5m`, `2h`, `3d`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Its units, the longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
        let (count, unit) = text.split_at_checked(digits)?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let millis = count.parse::<u64>().ok()?.checked_mul(*millis)?;
        Some(Span(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fits = |(_, unit): &&(&str, u64)| millis.is_multiple_of(*unit) && millis >= *unit;
        match UNITS.iter().find(fits) {
            Some((name, unit)) => write!(f, "{}{name}", millis / unit),
            None => f.write_str("0s"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as `250ms`, `10s`, `5m`, `2h` or `3d`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for text in ["250ms", "10s", "5m", "2h", "3d", "0s", "90s", "1500ms"] {
            let shown = Span::parse(text).map(|span| span.to_string());
            let expected = if text == "0s" { "0s" } else { text };
            assert_eq!(shown.as_deref(), Some(expected));
        }
        for wrong in ["", "10", "s", "-1s", "1 s", "1w", "99999999999999999999d"] {
            assert_eq!(Span::parse(wrong), None, "{wrong:?}");
        }
    }
}
