//! What all tasks of a run know: its rooms, its senders, its clock, and how far everybody is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use super::book::Book;
use super::content::{Content, MessageKey};
use super::counts::Counts;
use super::ledger::Ledger;
use super::options::Options;

/// Connections that may be in their handshake at once.
const OPENING: usize = 200;

/// What the run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everybody connects.
    Opening,
    /// Senders send.
    Load,
    /// Nothing new is sent; what is open comes to its end.
    Settling,
}

/// One room.
#[derive(Debug)]
pub struct Room {
    /// As the server knows it.
    pub name: String,
    /// What the members agreed on.
    pub book: Arc<Book>,
    /// The newest number that anybody saw.
    pub head: AtomicU64,
}

/// Somebody in a room.
#[derive(Debug)]
pub struct Seat {
    /// By index.
    pub room: usize,
    /// The newest number that was seen here.
    pub position: AtomicU64,
}

/// One sender, as seen by others.
#[derive(Debug)]
pub struct Sending {
    /// Its session's name begins with this.
    pub name: String,
    /// Its first seat; the others follow, one for each of its rooms.
    pub first_seat: usize,
    /// Rooms it takes turns among, by index.
    pub rooms: Vec<usize>,
    // A lock, for acknowledgements come to the sender and sightings to members; held for a few instructions.
    pub ledger: Mutex<Ledger>,
    /// Messages that their room's witness saw.
    pub witnessed: AtomicU64,
    /// Rung when `witnessed` rises.
    pub bell: Notify,
}

impl Seat {
    fn new(room: usize) -> Self {
        Self {
            room,
            position: AtomicU64::new(0),
        }
    }
}

impl Sending {
    /// The room of a message.
    pub fn room_of(&self, number: u64) -> usize {
        let turn = (number % self.rooms.len().max(1) as u64) as usize;
        self.rooms.get(turn).copied().unwrap_or_default()
    }
}

/// All that is shared.
#[derive(Debug)]
pub struct Shared {
    /// As asked.
    pub options: Options,
    /// Names of this run begin with it.
    pub run: String,
    /// What is said.
    pub content: Content,
    /// Times are µs since then.
    pub epoch: Instant,
    /// By index.
    pub rooms: Vec<Room>,
    /// By index.
    pub senders: Vec<Sending>,
    /// By index: the members first, then each sender's rooms, for who sends to a room is in it.
    pub seats: Vec<Seat>,
    /// Counters.
    pub counts: Arc<Counts>,
    /// Handshakes under way.
    pub opening: Semaphore,
    /// What the run is at.
    pub phase: watch::Receiver<Phase>,
    window_from_us: AtomicU64,
    window_to_us: AtomicU64,
}

impl Shared {
    /// Of a run that has not begun.
    pub fn new(options: Options, counts: Arc<Counts>, phase: watch::Receiver<Phase>) -> Self {
        let seed: u64 = rand::random();
        let run = format!("b{:08x}", seed >> 32);
        let mut seats: Vec<Seat> = (0..options.members)
            .map(|member| Seat::new(member % options.rooms))
            .collect();
        let mut senders = Vec::new();
        for sender in 0..options.senders {
            let rooms = rooms_of(sender, options.senders, options.rooms);
            let first_seat = seats.len();
            seats.extend(rooms.iter().map(|&room| Seat::new(room)));
            senders.push(Sending {
                name: format!("{run}-s{sender}"),
                first_seat,
                ledger: Mutex::new(Ledger::new(rooms.len())),
                rooms,
                witnessed: AtomicU64::new(0),
                bell: Notify::new(),
            });
        }
        let mut present = vec![0; options.rooms];
        for seat in &seats {
            if let Some(present) = present.get_mut(seat.room) {
                *present += 1;
            }
        }
        let rooms = present.into_iter().enumerate().map(|(room, present)| Room {
            name: format!("{run}-r{room}"),
            book: Arc::new(Book::new(present)),
            head: AtomicU64::new(0),
        });
        Self {
            rooms: rooms.collect(),
            senders,
            seats,
            content: Content {
                seed,
                size_bytes: options.size_bytes,
            },
            run,
            epoch: Instant::now(),
            counts,
            opening: Semaphore::new(OPENING),
            phase,
            window_from_us: AtomicU64::new(u64::MAX),
            window_to_us: AtomicU64::new(u64::MAX),
            options,
        }
    }

    /// Now, in µs of the run; never 0.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Messages that are to be sent from now on are measured.
    pub fn open_window(&self) {
        self.window_from_us.store(self.now_us(), Ordering::Relaxed);
    }

    /// Messages that are to be sent from now on are not.
    pub fn close_window(&self) {
        self.window_to_us.store(self.now_us(), Ordering::Relaxed);
    }

    /// Whether a message of that time is measured.
    pub fn is_measured(&self, intended_us: u64) -> bool {
        intended_us >= self.window_from_us.load(Ordering::Relaxed)
            && intended_us < self.window_to_us.load(Ordering::Relaxed)
    }

    /// A message's room, sender and text, for comparison.
    pub fn sending(&self, key: MessageKey) -> Option<&Sending> {
        self.senders.get(key.sender)
    }
}

/// A sender has the rooms that fall to it in turn; where there are fewer rooms than senders, one.
fn rooms_of(sender: usize, senders: usize, rooms: usize) -> Vec<usize> {
    if senders >= rooms {
        return vec![sender % rooms.max(1)];
    }
    (sender..rooms).step_by(senders.max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_has_a_sender_and_every_sender_a_room() {
        for (senders, rooms) in [(1, 1), (3, 10), (10, 3), (4, 4)] {
            let mut reached: Vec<usize> = (0..senders)
                .flat_map(|sender| rooms_of(sender, senders, rooms))
                .collect();
            assert!((0..senders).all(|sender| !rooms_of(sender, senders, rooms).is_empty()));
            reached.sort_unstable();
            reached.dedup();
            assert_eq!(reached, (0..rooms).collect::<Vec<_>>());
        }
    }
}
