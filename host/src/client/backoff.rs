//! How long to wait before the next attempt to connect.
//!
//! The waits double from 0.2 s to 10 s. Each is shortened by up to a half at random, so that a thousand clients of a
//! server that restarts do not come back in the same instant.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// Growing, jittered waits.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    random: StdRng,
}

impl Backoff {
    /// Begins with the shortest wait; the same seed gives the same waits.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            next: FIRST,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The wait before the next attempt, at least `asked`: what the server asked for is a lower bound, spread likewise.
    pub fn wait(&mut self, asked: Duration) -> Duration {
        let jitter: f64 = self.random.random_range(0.5..1.0);
        let own = self.next.mul_f64(jitter);
        self.next = (self.next * 2).min(LONGEST);
        if asked.is_zero() {
            own
        } else {
            asked + own.min(asked)
        }
    }

    /// The connection works: the next trouble is a new one.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(7);
        let waits: Vec<_> = (0..12).map(|_| backoff.wait(Duration::ZERO)).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST, "{waits:?}");
        assert!(
            waits[11] >= LONGEST / 2 && waits[11] <= LONGEST,
            "{waits:?}"
        );
        backoff.reset();
        assert!(backoff.wait(Duration::ZERO) <= FIRST);
    }

    #[test]
    fn two_clients_do_not_come_back_together() {
        let (mut one, mut two) = (Backoff::new(1), Backoff::new(2));
        assert_ne!(one.wait(Duration::ZERO), two.wait(Duration::ZERO));
    }

    #[test]
    fn the_servers_wish_is_a_lower_bound() {
        let asked = Duration::from_secs(3);
        let wait = Backoff::new(1).wait(asked);
        assert!(wait >= asked && wait <= asked * 2, "{wait:?}");
    }
}
