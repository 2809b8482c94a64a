//! What is known of one sender: how fast, what again, muted until when.

use crate::settings::Rules;

/// How a sender is packed: the first byte.
const VERSION: u8 = 1;
/// Bytes of a packed sender before its texts, and of each text.
const HEAD: usize = 22;
const TEXT: usize = 16;

/// So many texts are remembered; who varies more than that is stopped by the rate.
const TEXTS: usize = 4;

/// Kept packed, because it is read and written for every message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sender(Pace, Vec<Said>, Mute);

/// When, at the rate that is allowed, all that was sent would have been sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Pace(u64);

/// A text's mark, how often it came, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said(u32, u32, u64);

/// Until when, how many there were, and why the last one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Mute(u64, u32, Cause);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Cause {
    #[default]
    Fast,
    Same,
}

impl Sender {
    /// One byte for the encoding's version, then the numbers in their order, little-endian, with the texts at the end.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let Sender(Pace(at_ms), said, Mute(until_ms, times, cause)) = self;
        let mut packed = Vec::with_capacity(HEAD + said.len() * TEXT);
        packed.push(VERSION);
        packed.extend_from_slice(&at_ms.to_le_bytes());
        packed.extend_from_slice(&until_ms.to_le_bytes());
        packed.extend_from_slice(&times.to_le_bytes());
        packed.push(u8::from(*cause == Cause::Same));
        for Said(mark, times, since_ms) in said {
            packed.extend_from_slice(&mark.to_le_bytes());
            packed.extend_from_slice(&times.to_le_bytes());
            packed.extend_from_slice(&since_ms.to_le_bytes());
        }
        packed
    }

    /// None where another version packed it.
    pub(crate) fn unpack(packed: &[u8]) -> Option<Self> {
        let (head, texts) = packed.split_at_checked(HEAD)?;
        let cause = match (head.first()?, head.last()?) {
            (&VERSION, 0) => Cause::Fast,
            (&VERSION, 1) => Cause::Same,
            _ => return None,
        };
        let mute = Mute(long(head, 9)?, short(head, 17)?, cause);
        let said = texts
            .chunks(TEXT)
            .map(|text| Some(Said(short(text, 0)?, short(text, 4)?, long(text, 8)?)))
            .collect::<Option<Vec<Said>>>()?;
        (said.len() <= TEXTS).then_some(Sender(Pace(long(head, 1)?), said, mute))
    }

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

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
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
    fn a_sender_is_unpacked_as_it_was_packed_and_nothing_else_is() {
        let said = vec![Said(1, 2, 3), Said(u32::MAX, 5, u64::MAX)];
        let sender = Sender(Pace(7), said, Mute(1_767_225_601_000, 5, Cause::Same));
        assert_eq!(Sender::unpack(&sender.pack()), Some(sender.clone()));
        let packed = Sender::default().pack();
        assert_eq!(Sender::unpack(&packed), Some(Sender::default()));
        let longer = [sender.pack(), vec![0; 3 * TEXT]].concat();
        for other in [
            &b"[0,[],[0,0,\"f\"]]"[..],
            b"",
            &packed[1..],
            &longer,
            &longer[..30],
        ] {
            assert_eq!(Sender::unpack(other), None, "{other:?}");
        }
    }

    #[test]
    fn times_are_rounded_up() {
        assert_eq!(shown(1), "1 s");
        assert_eq!(shown(60_000), "60 s");
        assert_eq!(shown(100_001), "2 min");
        assert_eq!(shown(6_000_000), "2 h");
    }
}
