//! Where one member is in its room: what is missing, what came twice, what came late.

use std::collections::BTreeMap;

/// What an event is to a member that knows what it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The one after the last.
    Next,
    /// So many were left out before it; they may yet come.
    Gap(u64),
    /// One that had been left out.
    Late,
    /// Seen before, or before the point from which was asked.
    Repeat,
}

/// Dense numbers up to `next`, but for what is missing.
#[derive(Debug, Default)]
pub struct Position {
    next: u64,
    /// First number of each hole, and the one behind it.
    missing: BTreeMap<u64, u64>,
}

impl Position {
    /// Delivery begins after this number.
    pub fn after(number: u64) -> Self {
        Self {
            next: number.saturating_add(1),
            missing: BTreeMap::new(),
        }
    }

    /// The newest number that was seen, or asked from.
    pub fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// Takes note of an event.
    pub fn see(&mut self, sequence: u64) -> Verdict {
        if sequence == self.next {
            self.next = sequence.saturating_add(1);
            return Verdict::Next;
        }
        if sequence > self.next {
            let skipped = sequence - self.next;
            self.missing.insert(self.next, sequence);
            self.next = sequence.saturating_add(1);
            return Verdict::Gap(skipped);
        }
        let Some((&from, &to)) = self.missing.range(..=sequence).next_back() else {
            return Verdict::Repeat;
        };
        if sequence >= to {
            return Verdict::Repeat;
        }
        self.missing.remove(&from);
        for (from, to) in [(from, sequence), (sequence + 1, to)] {
            if from < to {
                self.missing.insert(from, to);
            }
        }
        Verdict::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdicts(sequences: &[u64]) -> Vec<Verdict> {
        let mut position = Position::after(0);
        sequences
            .iter()
            .map(|&sequence| position.see(sequence))
            .collect()
    }

    #[test]
    fn a_dense_run_is_all_next() {
        assert_eq!(verdicts(&[1, 2, 3]), [Verdict::Next; 3]);
    }

    #[test]
    fn a_lost_event_is_a_gap() {
        assert_eq!(
            verdicts(&[1, 4, 5]),
            [Verdict::Next, Verdict::Gap(2), Verdict::Next]
        );
    }

    #[test]
    fn a_repeated_event_is_told_from_a_late_one() {
        assert_eq!(verdicts(&[1, 1]), [Verdict::Next, Verdict::Repeat]);
        assert_eq!(
            verdicts(&[1, 3, 2, 2]),
            [
                Verdict::Next,
                Verdict::Gap(1),
                Verdict::Late,
                Verdict::Repeat
            ]
        );
    }

    #[test]
    fn what_lies_before_the_beginning_is_a_repeat() {
        assert_eq!(Position::after(10).see(10), Verdict::Repeat);
    }

    proptest! {
        #[test]
        fn whatever_the_order_each_number_counts_once(
            order in Just((1..=30_u64).collect::<Vec<_>>()).prop_shuffle(),
            doubled in 0..30_usize,
        ) {
            let mut position = Position::after(0);
            let (mut missing, mut repeats) = (0_i64, 0);
            for sequence in order.iter().chain([&order[doubled]]) {
                match position.see(*sequence) {
                    Verdict::Next => {}
                    Verdict::Gap(skipped) => missing += i64::try_from(skipped).unwrap(),
                    Verdict::Late => missing -= 1,
                    Verdict::Repeat => repeats += 1,
                }
            }
            prop_assert_eq!((missing, repeats, position.last()), (0, 1, 30));
        }
    }
}
