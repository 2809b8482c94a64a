//! What is known of one sender: how fast, what again, muted until when.

use serde::{Deserialize, Serialize};

use crate::settings::Rules;

/// So many texts are remembered; who varies more than that is stopped by the rate.
const TEXTS: usize = 4;

/// Kept as a list without names, because it is read and written for every message.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sender(Pace, Vec<Said>, Mute);

/// When, at the rate that is allowed, all that was sent would have been sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pace(u64);

/// A text's mark, how often it came, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Said(u32, u32, u64);

/// Until when, how many there were, and why the last one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mute(u64, u32, Cause);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Cause {
    #[default]
    #[serde(rename = "f")]
    Fast,
    #[serde(rename = "s")]
    Same,
}

impl Sender {
    /// Why and for how long the sender is muted, if so.
    pub(crate) fn muted(&self, now_ms: u64, rules: &Rules) -> Option<String> {
        let Mute(until_ms, _, cause) = self.2;
        let left_ms = until_ms.checked_sub(now_ms).filter(|left| *left > 0)?;
        let why = match cause {
            Cause::Fast => {
                let messages = match rules.messages {
                    1 => "a message".into(),
                    many => format!("{many} messages"),
                };
                format!(
                    "you send faster than {messages} in {}",
                    shown(rules.within_ms)
                )
            }
            Cause::Same => {
                let times = match rules.same {
                    1 => "once".into(),
                    many => format!("{many} times"),
                };
                let time = shown(rules.same_within_ms);
                format!("you sent the same more than {times} in {time}")
            }
        };
        Some(format!("{why}; you can send again in {}", shown(left_ms)))
    }

    /// Counts a message; where it is one too many, the sender is muted from now on, and this is why.
    pub(crate) fn sends(&mut self, now_ms: u64, mark: u32, rules: &Rules) -> Option<String> {
        let cause = if !self.0.takes(now_ms, rules) {
            Cause::Fast
        } else if !self.says(now_ms, mark, rules) {
            Cause::Same
        } else {
            return None;
        };
        let Mute(until_ms, before, _) = self.2;
        let forgotten = now_ms > until_ms.saturating_add(rules.forget_after_ms);
        let before = if forgotten { 0 } else { before };
        let doubled = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
        let lasts_ms = rules
            .mute_ms
            .saturating_mul(doubled)
            .min(rules.longest_mute_ms);
        let until_ms = now_ms.saturating_add(lasts_ms);
        // After the mute the sender begins anew, but for the number of mutes.
        *self = Sender(
            Pace::default(),
            Vec::new(),
            Mute(until_ms, before.saturating_add(1), cause),
        );
        self.muted(now_ms, rules)
    }

    /// For how long this is worth remembering.
    pub(crate) fn matters_for_ms(&self, now_ms: u64, rules: &Rules) -> u64 {
        let Mute(until_ms, before, _) = self.2;
        let mute = match before {
            0 => 0,
            _ => until_ms
                .saturating_add(rules.forget_after_ms)
                .saturating_sub(now_ms),
        };
        mute.max(rules.within_ms).max(rules.same_within_ms)
    }

    fn says(&mut self, now_ms: u64, mark: u32, rules: &Rules) -> bool {
        let said = &mut self.1;
        said.retain(|Said(_, _, since_ms)| now_ms.saturating_sub(*since_ms) < rules.same_within_ms);
        if let Some(Said(_, times, _)) = said.iter_mut().find(|Said(known, ..)| *known == mark) {
            *times = times.saturating_add(1);
            return *times <= rules.same;
        }
        if said.len() == TEXTS {
            // The oldest is the first.
            said.remove(0);
        }
        said.push(Said(mark, 1, now_ms));
        true
    }
}

impl Pace {
    /// Whether a message now is not too fast. Lets so many through at once as are allowed in the time, and then as many
    /// as the rate is.
    fn takes(&mut self, now_ms: u64, rules: &Rules) -> bool {
        let each_ms = rules.within_ms / u64::from(rules.messages.max(1));
        let at_ms = self.0.max(now_ms);
        let fits = at_ms - now_ms <= rules.within_ms - each_ms;
        if fits {
            self.0 = at_ms.saturating_add(each_ms);
        }
        fits
    }
}

/// A time as people say it, rounded up.
fn shown(millis: u64) -> String {
    let seconds = millis.div_ceil(1_000);
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5_999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up() {
        assert_eq!(shown(1), "1 s");
        assert_eq!(shown(60_000), "60 s");
        assert_eq!(shown(100_001), "2 min");
        assert_eq!(shown(6_000_000), "2 h");
    }
}
