//! Senders who wait to hear what became of a message, by its ULID.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use ulid::Ulid;

use crate::state::fold::Answer;

/// Bounded by what sessions may have under way.
#[derive(Default)]
pub struct Waiting {
    senders: Mutex<HashMap<Ulid, oneshot::Sender<Answer>>>,
}

impl Waiting {
    /// Waits for the fate of `id`. Must be called before the record is appended.
    pub fn expect(&self, id: Ulid) -> oneshot::Receiver<Answer> {
        let (told, answer) = oneshot::channel();
        self.senders.lock().insert(id, told);
        answer
    }

    /// Nobody waits any more.
    pub fn forget(&self, id: Ulid) {
        self.senders.lock().remove(&id);
    }

    /// It is decided.
    pub fn tell(&self, id: Ulid, answer: Answer) {
        let sender = self.senders.lock().remove(&id);
        if let Some(sender) = sender {
            // Who has left meanwhile reads it when they come back.
            sender.send(answer).ok();
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.senders.lock().len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.senders.lock().is_empty()
    }
}
