//! What the operator sets, and what follows from it.

use std::ops::RangeInclusive;

use serde::Deserialize;

const DAY: u32 = 86_400;

/// As they are written. Times are in seconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// So many messages…
    messages: u32,
    /// …in so much time are not too fast.
    within: u32,
    /// The same text may come so many times…
    same: u32,
    /// …in so much time.
    same_within: u32,
    /// How long the first mute lasts; each further one twice as long…
    mute: u32,
    /// …and at most this long.
    longest_mute: u32,
    /// After so much time without a mute the next one is a first one.
    forget_after: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            messages: 10,
            within: 10,
            same: 3,
            same_within: 60,
            mute: 10,
            longest_mute: 3_600,
            forget_after: 3_600,
        }
    }
}

/// What is enforced. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) messages: u32,
    pub(crate) within_ms: u64,
    pub(crate) same: u32,
    pub(crate) same_within_ms: u64,
    pub(crate) mute_ms: u64,
    pub(crate) longest_mute_ms: u64,
    pub(crate) forget_after_ms: u64,
}

impl Settings {
    /// An error names the setting and its bounds.
    pub(crate) fn check(&self) -> Result<Rules, String> {
        Ok(Rules {
            messages: within("messages", self.messages, 1..=1_000)?,
            within_ms: millis("within", self.within, 1..=DAY)?,
            same: within("same", self.same, 1..=1_000)?,
            same_within_ms: millis("same_within", self.same_within, 1..=DAY)?,
            mute_ms: millis("mute", self.mute, 1..=7 * DAY)?,
            longest_mute_ms: millis("longest_mute", self.longest_mute, self.mute..=7 * DAY)?,
            forget_after_ms: millis("forget_after", self.forget_after, 1..=30 * DAY)?,
        })
    }
}

fn millis(name: &str, seconds: u32, bounds: RangeInclusive<u32>) -> Result<u64, String> {
    Ok(u64::from(within(name, seconds, bounds)?) * 1_000)
}

fn within(name: &str, value: u32, bounds: RangeInclusive<u32>) -> Result<u32, String> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (least, most) = bounds.into_inner();
    Err(format!("`{name}` is {value}; make it {least} to {most}"))
}
