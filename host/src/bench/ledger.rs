//! What one sender has sent, and what became of it: each message once, in order, acknowledged and seen.

use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, Default)]
struct Message {
    intended_us: u64,
    /// 0: nobody has seen it.
    sequence: u64,
    acknowledged: bool,
    /// Kept back by the server, which said so: nobody should see it.
    withheld: bool,
    /// Sent again at the server's request, so its order among the others is open.
    out_of_order: bool,
}

/// What it means that a message was found in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// For the first time.
    First,
    /// It has another number already.
    Again,
    /// It was never sent, or was said to be withheld.
    Unexpected,
}

/// One sender's messages, from the oldest that is not settled.
#[derive(Debug)]
pub struct Ledger {
    base: u64,
    open: VecDeque<Message>,
    /// The newest number of a settled message in each room this sender sends to, in their turn.
    newest: Vec<u64>,
    unacknowledged: usize,
    disordered: u64,
}

impl Ledger {
    /// Of a sender that takes turns among so many rooms.
    pub fn new(rooms: usize) -> Self {
        Self {
            base: 0,
            open: VecDeque::new(),
            newest: vec![0; rooms.max(1)],
            unacknowledged: 0,
            disordered: 0,
        }
    }

    /// Enters a message that is about to be sent, and gives its number.
    pub fn send(&mut self, intended_us: u64) -> u64 {
        self.open.push_back(Message {
            intended_us,
            ..Message::default()
        });
        self.unacknowledged += 1;
        self.base + self.open.len() as u64 - 1
    }

    /// When a message was to be sent, in µs of the run; none: settled or never sent.
    pub fn intended_us(&self, number: u64) -> Option<u64> {
        self.open
            .get(self.place(number)?)
            .map(|message| message.intended_us)
    }

    /// The server took it. Gives the intended time, the first time.
    pub fn acknowledge(&mut self, number: u64) -> Option<u64> {
        let place = self.place(number)?;
        let message = self
            .open
            .get_mut(place)
            .filter(|message| !message.acknowledged)?;
        message.acknowledged = true;
        let intended_us = message.intended_us;
        self.unacknowledged -= 1;
        self.settle();
        Some(intended_us)
    }

    /// A member found it in its room.
    pub fn see(&mut self, number: u64, sequence: u64) -> Found {
        if number < self.base {
            return Found::Again;
        }
        let Some(message) = self
            .place(number)
            .and_then(|place| self.open.get_mut(place))
        else {
            return Found::Unexpected;
        };
        if message.withheld {
            return Found::Unexpected;
        }
        if message.sequence != 0 {
            return if message.sequence == sequence {
                Found::First
            } else {
                Found::Again
            };
        }
        message.sequence = sequence;
        self.settle();
        Found::First
    }

    /// The server did not take it and wants it again.
    pub fn send_again(&mut self, number: u64) {
        let Some(message) = self
            .place(number)
            .and_then(|place| self.open.get_mut(place))
        else {
            return;
        };
        message.out_of_order = true;
        if message.acknowledged {
            message.acknowledged = false;
            self.unacknowledged += 1;
        }
    }

    /// The server will not deliver it. False: it is settled already.
    pub fn withhold(&mut self, number: u64) -> bool {
        let Some(message) = self
            .place(number)
            .and_then(|place| self.open.get_mut(place))
        else {
            return false;
        };
        if message.withheld {
            return false;
        }
        message.withheld = true;
        if !message.acknowledged {
            message.acknowledged = true;
            self.unacknowledged -= 1;
        }
        self.settle();
        true
    }

    /// The messages to send again after a cut, in their order.
    pub fn unacknowledged(&self) -> impl Iterator<Item = u64> + '_ {
        let open = self.open.iter().enumerate();
        open.filter(|(_, message)| !message.acknowledged)
            .map(|(at, _)| self.base + at as u64)
    }

    /// How many wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.unacknowledged
    }

    /// Whether nothing is open.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Acknowledged, and nobody saw them.
    pub fn lost(&self) -> u64 {
        self.open
            .iter()
            .filter(|message| message.acknowledged && message.sequence == 0 && !message.withheld)
            .count() as u64
    }

    /// Messages that stand before one that was sent earlier to the same room, since the last call.
    pub fn take_disordered(&mut self) -> u64 {
        std::mem::take(&mut self.disordered)
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.base)?).ok()
    }

    /// Closes the oldest messages as far as their fate is known, and holds each room's order against theirs.
    fn settle(&mut self) {
        while let Some(message) = self.open.front() {
            let done = message.withheld || (message.acknowledged && message.sequence != 0);
            if !done {
                return;
            }
            let turn = (self.base % self.newest.len() as u64) as usize;
            if let Some(newest) = self
                .newest
                .get_mut(turn)
                .filter(|_| !message.withheld && !message.out_of_order)
            {
                if message.sequence < *newest {
                    self.disordered += 1;
                }
                *newest = message.sequence.max(*newest);
            }
            self.open.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(count: u64) -> Ledger {
        let mut ledger = Ledger::new(1);
        for number in 0..count {
            assert_eq!(ledger.send(number + 1), number);
        }
        ledger
    }

    #[test]
    fn a_message_is_settled_when_it_is_acknowledged_and_seen_whichever_came_first() {
        let mut ledger = sent(2);
        assert_eq!(ledger.acknowledge(0), Some(1));
        assert_eq!(ledger.see(0, 1), Found::First);
        assert_eq!(ledger.see(1, 2), Found::First);
        assert!(!ledger.is_settled());
        assert_eq!(ledger.acknowledge(1), Some(2));
        assert!(ledger.is_settled());
        assert_eq!((ledger.waiting(), ledger.lost()), (0, 0));
    }

    #[test]
    fn a_second_acknowledgement_does_not_count() {
        let mut ledger = sent(1);
        assert_eq!(ledger.acknowledge(0), Some(1));
        assert_eq!(ledger.acknowledge(0), None);
    }

    #[test]
    fn an_acknowledged_message_that_nobody_saw_is_lost() {
        let mut ledger = sent(2);
        ledger.acknowledge(0);
        assert_eq!(ledger.lost(), 1);
    }

    #[test]
    fn a_message_under_a_second_number_is_told() {
        let mut ledger = sent(2);
        assert_eq!(ledger.see(1, 5), Found::First);
        assert_eq!(ledger.see(1, 6), Found::Again);
        ledger.see(0, 4);
        ledger.acknowledge(0);
        ledger.acknowledge(1);
        assert_eq!(ledger.see(0, 9), Found::Again, "also when it was settled");
    }

    #[test]
    fn messages_in_another_order_than_sent_are_told() {
        let mut ledger = sent(2);
        ledger.see(1, 1);
        ledger.see(0, 2);
        ledger.acknowledge(0);
        ledger.acknowledge(1);
        assert_eq!(ledger.take_disordered(), 1);
    }

    #[test]
    fn rooms_have_orders_of_their_own() {
        let mut ledger = Ledger::new(2);
        for sequence in [9, 1] {
            let number = ledger.send(1);
            ledger.see(number, sequence);
            ledger.acknowledge(number);
        }
        assert_eq!(ledger.take_disordered(), 0);
    }

    #[test]
    fn what_the_server_wants_again_is_open_again() {
        let mut ledger = sent(3);
        ledger.acknowledge(0);
        ledger.acknowledge(1);
        ledger.send_again(0);
        assert_eq!(ledger.unacknowledged().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn a_withheld_message_must_not_be_seen() {
        let mut ledger = sent(2);
        assert!(ledger.withhold(1));
        assert_eq!(ledger.see(1, 1), Found::Unexpected);
        assert_eq!(ledger.see(7, 1), Found::Unexpected, "never sent");
    }
}
