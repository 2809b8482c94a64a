//! Time and randomness, from outside: what makes the host's code run in a simulation as it runs in the world.
//!
//! Waiting goes through `tokio::time`, which a simulation pauses. Nothing else in the host may ask the system for the
//! time of day or for random bytes where the answer could reach a record.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ulid::Ulid;

/// The clock and the dice of one host.
#[derive(Clone)]
pub struct World {
    clock: Clock,
    dice: Dice,
}

#[derive(Clone)]
enum Clock {
    System,
    /// The runtime's own clock, which stands still while a simulation thinks, on top of a fixed day; the second part
    /// is how much this host's clock is off, in milliseconds.
    Virtual {
        start: tokio::time::Instant,
        skew_ms: i64,
    },
}

#[derive(Clone)]
enum Dice {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl World {
    /// The system's clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Clock::System,
            dice: Dice::System,
        }
    }

    /// A virtual day and seeded dice. `start` is shared by the hosts of a simulation; `skew_ms` is this host's error.
    #[must_use]
    pub fn simulated(seed: u64, start: tokio::time::Instant, skew_ms: i64) -> Self {
        Self {
            clock: Clock::Virtual { start, skew_ms },
            dice: Dice::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))),
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        match &self.clock {
            Clock::System => millis(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            Clock::Virtual { start, skew_ms } => {
                // 2026-01-01, so that simulated ids look like real ones.
                (1_767_225_600_000 + millis(start.elapsed())).saturating_add_signed(*skew_ms)
            }
        }
    }

    /// A new ULID of this moment.
    #[must_use]
    pub fn ulid(&self) -> Ulid {
        let mut random = [0u8; 16];
        self.fill(&mut random);
        Ulid::from_parts(self.now_ms(), u128::from_be_bytes(random))
    }

    /// Random bytes; from the system they are fit for secrets.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.dice {
            Dice::System => rand::rng().fill_bytes(bytes),
            Dice::Seeded(rng) => rng.lock().fill_bytes(bytes),
        }
    }

    /// Sixteen random bytes.
    #[must_use]
    pub fn nonce(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    /// Somewhere between half of `wait` and all of it, so that many who wait do not come back at once.
    #[must_use]
    pub fn jitter(&self, wait: Duration) -> Duration {
        let mut bytes = [0; 2];
        self.fill(&mut bytes);
        let half = wait / 2;
        half + half.mul_f64(f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
