//! Where operators and the thread that loads plugins meet: that an order waits, and how plugins did when the thread began
//! to load one.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::orders::Status;

/// See the module.
#[derive(Default)]
pub(super) struct Office {
    /// Orders that have not been taken up yet.
    waiting: AtomicUsize,
    // Written when something begins and ends to load, and read by who looks meanwhile.
    seen: Mutex<Option<Vec<Status>>>,
}

impl Office {
    /// An order comes.
    pub(super) fn comes(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// An order is taken up.
    pub(super) fn taken_up(&self) {
        // One that was counted comes before it is taken up.
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Whether any waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Something is being loaded, which may take long; until then plugins did so.
    pub(super) fn begins_to_load(&self, seen: Vec<Status>) {
        *self.seen.lock() = Some(seen);
    }

    /// It is loaded, or refused.
    pub(super) fn has_loaded(&self) {
        *self.seen.lock() = None;
    }

    /// How plugins did, where something is being loaded.
    pub(super) fn seen_while_loading(&self) -> Option<Vec<Status>> {
        self.seen.lock().clone()
    }
}
