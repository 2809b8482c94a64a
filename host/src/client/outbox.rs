//! What was said and is not yet decided.
//!
//! In the order in which it was said. One message at a time is on its way until it is acknowledged: if the server
//! refuses one for a while, none behind it can overtake it. Bounded in messages and bytes; when it is full, the
//! views stop taking input. Knows no connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MOST: usize = 256;
const MOST_BYTES: usize = 1024 * 1024;

/// No more room: wait until something is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} messages wait for the server already; wait until some of them are sent")]
pub struct Full;

/// One message.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id, the same at each attempt.
    pub client_id: String,
    /// What was said.
    pub text: String,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be sent, not before this moment.
    Waiting(Option<Instant>),
    Sent(Instant),
    Acknowledged,
    /// Decided; the event with this sequence number is still to come.
    Delivered(u64),
}

/// The messages on their way.
#[derive(Debug, Default)]
pub struct Outbox {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Outbox {
    /// Takes a message.
    ///
    /// # Errors
    /// [`Full`], when there is no room for it.
    pub fn push(&mut self, client_id: String, text: String) -> Result<(), Full> {
        if self.is_full() {
            return Err(Full);
        }
        self.bytes += text.len();
        self.items.push_back(Item {
            client_id,
            text,
            stage: Stage::Waiting(None),
        });
        Ok(())
    }

    /// Whether another message would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items.len() >= MOST || self.bytes >= MOST_BYTES
    }

    /// How many are not yet decided and seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether all that was said is decided and seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The message whose turn it is, if one's is; from now on it is on its way.
    pub fn take_next(&mut self, now: Instant) -> Option<Item> {
        let item = self.items.iter_mut().find(|i| i.is_undelivered())?;
        match item.stage {
            Stage::Waiting(due) if due.is_none_or(|due| due <= now) => {
                item.stage = Stage::Sent(now);
                Some(item.clone())
            }
            _ => None,
        }
    }

    /// When to look again: the next message is due, or one sent has had no answer for `patience`.
    #[must_use]
    pub fn deadline(&self, patience: Duration) -> Option<Instant> {
        match self.items.iter().find(|i| i.is_undelivered())?.stage {
            Stage::Waiting(due) => due,
            Stage::Sent(since) => Some(since + patience),
            _ => None,
        }
    }

    /// Whether the message on its way has had no answer for `patience`.
    #[must_use]
    pub fn is_stalled(&self, now: Instant, patience: Duration) -> bool {
        self.items
            .iter()
            .any(|i| matches!(i.stage, Stage::Sent(since) if since + patience <= now))
    }

    /// It is durable. Says whether that was news.
    pub fn acknowledge(&mut self, client_id: &str) -> bool {
        self.set(client_id, Stage::Acknowledged)
    }

    /// It has to be sent again, from this moment on.
    pub fn again(&mut self, client_id: &str, due: Option<Instant>) -> bool {
        self.set(client_id, Stage::Waiting(due))
    }

    /// It is in the room, and its event will follow.
    pub fn delivered(&mut self, client_id: &str, sequence: u64) -> bool {
        self.set(client_id, Stage::Delivered(sequence))
    }

    /// It is done with.
    pub fn remove(&mut self, client_id: &str) -> Option<Item> {
        let at = self.items.iter().position(|i| i.client_id == client_id)?;
        let item = self.items.remove(at)?;
        self.bytes -= item.text.len();
        Some(item)
    }

    /// Ends those that were waiting for an event up to this number, and returns their ids.
    pub fn seen(&mut self, sequence: u64) -> Vec<String> {
        let done: Vec<String> = self
            .items
            .iter()
            .filter(|i| matches!(i.stage, Stage::Delivered(at) if at <= sequence))
            .map(|i| i.client_id.clone())
            .collect();
        for id in &done {
            self.remove(id);
        }
        done
    }

    /// The connection is gone: whatever is undecided is sent again, in order. Also what was acknowledged, because only
    /// the session that sent it would have been told what became of it; the server answers a repeat with that.
    pub fn rewind(&mut self) {
        for item in &mut self.items {
            if matches!(item.stage, Stage::Sent(_) | Stage::Acknowledged) {
                item.stage = Stage::Waiting(None);
            }
        }
    }

    fn set(&mut self, client_id: &str, stage: Stage) -> bool {
        match self.items.iter_mut().find(|i| i.client_id == client_id) {
            Some(item) => {
                item.stage = stage;
                true
            }
            None => false,
        }
    }
}

impl Item {
    fn is_undelivered(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_) | Stage::Sent(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(ids: &[&str]) -> Outbox {
        let mut outbox = Outbox::default();
        for id in ids {
            outbox.push((*id).into(), format!("text {id}")).unwrap();
        }
        outbox
    }

    #[test]
    fn one_message_at_a_time_is_on_its_way() {
        let now = Instant::now();
        let mut outbox = outbox(&["a", "b"]);
        assert_eq!(outbox.take_next(now).unwrap().client_id, "a");
        assert!(outbox.take_next(now).is_none());
        outbox.acknowledge("a");
        assert_eq!(outbox.take_next(now).unwrap().client_id, "b");
    }

    #[test]
    fn a_message_that_has_to_wait_is_not_overtaken() {
        let now = Instant::now();
        let due = now + Duration::from_secs(1);
        let mut outbox = outbox(&["a", "b"]);
        outbox.take_next(now);
        outbox.again("a", Some(due));
        assert!(outbox.take_next(now).is_none());
        assert_eq!(outbox.deadline(Duration::from_secs(30)), Some(due));
        assert_eq!(outbox.take_next(due).unwrap().client_id, "a");
    }

    #[test]
    fn it_is_bounded() {
        let mut outbox = Outbox::default();
        for i in 0..MOST {
            outbox.push(i.to_string(), String::new()).unwrap();
        }
        assert_eq!(outbox.push("more".into(), String::new()), Err(Full));
        outbox.remove("0");
        assert_eq!(outbox.push("more".into(), String::new()), Ok(()));
    }
}
