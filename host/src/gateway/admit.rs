//! Who may send what, how large, how often. Pure rules: the caller knows the time and the bounds.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::refusal::{Admission, Refusal};

/// The longest client id.
const CLIENT_ID_BYTES: usize = 64;

/// A message text as it goes on, or why it does not.
///
/// Overrides of the writing direction are isolated, so that they end with the message.
///
/// # Errors
/// Empty, too long, or with control characters.
pub fn text(text: &str, most_bytes: usize) -> Admission<String> {
    if text.is_empty() {
        return Err(Refusal::invalid(
            "the text is empty; send at least one character",
        ));
    }
    if text.len() > most_bytes {
        return Err(Refusal::invalid(format!(
            "the text has {} bytes; at most {most_bytes} are allowed: cut it up",
            text.len()
        )));
    }
    let control = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    if let Some(found) = text.chars().find(control) {
        return Err(Refusal::invalid(format!(
            "the text holds the control character U+{:04X}; only newline and tab are allowed",
            u32::from(found)
        )));
    }
    Ok(isolated(text))
}

/// First-strong isolate, and what ends it.
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');
/// Ends an embedding or an override.
const POP: char = '\u{202c}';

fn isolated(text: &str) -> String {
    let (mut embeddings, mut isolates, mut any) = (0usize, 0usize, false);
    for c in text.chars() {
        match c {
            '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' => {
                embeddings += 1;
                any = true;
            }
            '\u{202c}' => {
                embeddings = embeddings.saturating_sub(1);
                any = true;
            }
            '\u{2066}' | '\u{2067}' | '\u{2068}' => {
                isolates += 1;
                any = true;
            }
            '\u{2069}' => {
                isolates = isolates.saturating_sub(1);
                any = true;
            }
            _ => {}
        }
    }
    if !any {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    out.push(ISOLATE.0);
    out.push_str(text);
    out.extend(std::iter::repeat_n(POP, embeddings));
    out.extend(std::iter::repeat_n(ISOLATE.1, isolates));
    out.push(ISOLATE.1);
    out
}

/// Checks a client's own id.
///
/// # Errors
/// Empty, too long, or not printable ASCII.
pub fn client_id(id: &str) -> Admission<()> {
    if id.is_empty() || id.len() > CLIENT_ID_BYTES || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refusal::invalid(format!(
            "the client id must have 1 to {CLIENT_ID_BYTES} printable ASCII characters without spaces"
        )));
    }
    Ok(())
}

/// A token bucket: so many a second on average, and a burst after a pause.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Pace {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: f64, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            per_second,
            burst,
            tokens: burst,
            at: now,
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (1.0 - self.tokens) / self.per_second,
        ))
    }

    fn is_full(&self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens + passed * self.per_second >= self.burst
    }

    /// Gives one back: what it was taken for was refused for another reason.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }
}

/// What somebody is told who sends too fast.
#[must_use]
pub fn too_fast(per_second: u32, wait: Duration) -> Refusal {
    Refusal::exhausted(format!(
        "you send faster than {per_second} messages a second; send it again in {} ms",
        wait.as_millis().max(1)
    ))
    .retry(wait)
}

/// The paces of many: of people who send without a session, of addresses that claim names.
#[derive(Debug)]
pub struct Paces<K> {
    paces: HashMap<K, Pace>,
}

impl<K> Default for Paces<K> {
    fn default() -> Self {
        Self {
            paces: HashMap::new(),
        }
    }
}

/// Beyond so many, those whose buckets are full again are forgotten.
const PACES: usize = 10_000;

impl<K: Eq + Hash> Paces<K> {
    /// Takes one of `key`'s.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&mut self, key: K, per_second: f64, burst: u32) -> Result<(), Duration> {
        let now = Instant::now();
        if self.paces.len() >= PACES && !self.paces.contains_key(&key) {
            self.paces.retain(|_, pace| !pace.is_full(now));
            if self.paces.len() >= PACES {
                return Err(Duration::from_secs(1));
            }
        }
        self.paces
            .entry(key)
            .or_insert_with(|| Pace::new(per_second, burst, now))
            .take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_judged() {
        assert_eq!(
            text("hi\n\tthere 바보 😀", 100).as_deref(),
            Ok("hi\n\tthere 바보 😀")
        );
        for (bad, word) in [
            ("", "empty"),
            ("toolong", "bytes"),
            ("a\x07", "U+0007"),
            ("a\u{9b}", "U+009B"),
        ] {
            let refusal = text(bad, 6).unwrap_err();
            assert!(
                refusal.message.contains(word),
                "{bad:?}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn an_override_ends_with_its_message() {
        assert_eq!(
            text("a\u{202e}b", 100).as_deref(),
            Ok("\u{2068}a\u{202e}b\u{202c}\u{2069}")
        );
    }

    #[test]
    fn a_pace_allows_a_burst_and_then_the_average() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, 3, start);
        assert!((0..3).all(|_| pace.take(start).is_ok()));
        let wait = pace.take(start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(pace.take(start + wait).is_ok());
        assert!(pace.take(start + wait).is_err());
    }
}
