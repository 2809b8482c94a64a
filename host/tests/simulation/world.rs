//! What a seed decides: dice for everything that chance decides, and the shape of one run.

use std::time::Duration;

/// SplitMix64: small, the same everywhere, and every part of the simulation gets its own.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice, which follow from these and from who asks.
    pub fn fork(&self, label: u64) -> Self {
        let mut dice = Self(self.0 ^ label.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        dice.next();
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both possible.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub fn index(&mut self, length: usize) -> usize {
        (self.next() % length as u64) as usize
    }

    /// Whether something happens that happens `n` times in a thousand.
    pub fn chance(&mut self, n: u64) -> bool {
        self.next() % 1000 < n
    }

    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }
}

/// How often each thing goes wrong, in a thousand appends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    pub refused: u64,
    /// Nothing of it is ever there; its writer is told that nobody knows.
    pub lost: u64,
    /// A prefix of it is there.
    pub torn: u64,
    /// It is there, and its writer is told that nobody knows.
    pub unknown: u64,
    pub doubled: u64,
    /// Its writer is told that nobody knows, and long after it is there.
    pub late: u64,
    /// It takes its time, and everything behind it too.
    pub slow: u64,
    /// Writing a checkpoint fails, or succeeds when nobody waits for it any more.
    pub checkpoint: u64,
    /// An offset stays empty.
    pub hole: u64,
}

impl Trouble {
    fn of(dice: &mut Dice) -> Self {
        // Some runs are nearly quiet: too much trouble hides what a single fault does.
        let level = dice.pick(&[0, 3, 10, 30]);
        let mut some = || {
            if level == 0 {
                0
            } else {
                dice.between(0, level)
            }
        };
        Self {
            refused: some(),
            lost: some(),
            torn: some(),
            unknown: some(),
            doubled: some(),
            late: some(),
            slow: some(),
            checkpoint: some() * 20,
            hole: some(),
        }
    }
}

/// The shape of one run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub hosts: usize,
    pub partitions: u16,
    pub members: usize,
    pub rooms: usize,
    pub messages: usize,
    /// Whether every host always claims every partition; else one at a time is told to, and changes overlap.
    pub compete: bool,
    pub batch: usize,
    pub window: usize,
    pub read_back: Duration,
    pub retain_age: Duration,
    pub retain_bytes: u64,
    pub trouble: Trouble,
    /// How long things go wrong.
    pub chaos: Duration,
    /// The mean time between two events that hit a host or the journal as a whole.
    pub every: Duration,
    /// Whether the run goes on until what is an hour late has landed.
    pub waits_for_late: bool,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed).fork(1);
        let small = dice.chance(400);
        Self {
            seed,
            hosts: dice.pick(&[1, 2, 2, 3, 3]),
            partitions: dice.pick(&[1, 2, 2]),
            members: dice.between(2, 5) as usize,
            rooms: dice.between(1, 3) as usize,
            messages: dice.between(8, 60) as usize,
            compete: dice.chance(200),
            batch: dice.pick(&[1, 3, 8, 64]),
            window: dice.pick(&[1, 4, 64, 4096]),
            read_back: dice.millis(1500, 30_000),
            retain_age: if small && dice.chance(500) {
                dice.millis(5_000, 40_000)
            } else {
                Duration::from_secs(30 * 24 * 3600)
            },
            retain_bytes: if small {
                dice.between(3_000, 40_000)
            } else {
                1 << 40
            },
            trouble: Trouble::of(&mut dice),
            chaos: dice.millis(10_000, 60_000),
            every: dice.millis(1_000, 12_000),
            waits_for_late: dice.chance(30),
        }
    }
}
