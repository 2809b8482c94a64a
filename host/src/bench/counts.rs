//! What is counted while a run goes on: read by the progress line at any time, by the report at the end.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

/// The first few violations are told in words.
const EXAMPLES: usize = 10;

/// Live counters. Each is right by itself; two read together may be a moment apart.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions that are open: members and senders.
    pub connected: AtomicU64,
    /// Messages sent, without repetitions.
    pub sent: AtomicU64,
    /// Messages acknowledged.
    pub acknowledged: AtomicU64,
    /// Room events that reached a member.
    pub deliveries: AtomicU64,
    /// Sends that were refused for a time.
    pub refused: AtomicU64,
    /// Sessions that went on after a cut.
    pub resumed: AtomicU64,
    /// Violation: numbers that members are missing now.
    pub missing: AtomicI64,
    /// Violation: events or messages that came again.
    pub repeated: AtomicU64,
    /// Violation: events or messages that came in another order.
    pub reordered: AtomicU64,
    /// Violation: events that are not what was sent, or not the same for all.
    pub wrong: AtomicU64,
    /// Violation: messages kept back by a plugin or refused for good.
    pub withheld: AtomicU64,
    /// Violation, unless resuming was asked for: sessions that were cut.
    pub disconnected: AtomicU64,
    // A lock, for any task may have an example; taken for the first ten violations only.
    examples: Mutex<Vec<String>>,
}

impl Counts {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    /// Reads a counter.
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Adds one to a violation's counter and keeps the first ones in words.
    pub fn violation(&self, counter: &AtomicU64, what: impl FnOnce() -> String) {
        Self::add(counter, 1);
        self.example(what);
    }

    /// Keeps a violation in words, where it is one of the first.
    pub fn example(&self, what: impl FnOnce() -> String) {
        let mut examples = self.examples.lock();
        if examples.len() < EXAMPLES {
            examples.push(what());
        }
    }

    /// The first violations in words.
    pub fn examples(&self) -> Vec<String> {
        self.examples.lock().clone()
    }
}
