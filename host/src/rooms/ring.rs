//! The newest events of a room, framed once for everybody: contiguous bytes, so that a reader takes all that it has not
//! seen as one piece, without a copy.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::state::ids::Sequence;

/// Small publications are merged up to this size: about what fits one HTTP/2 frame.
const MERGE_BYTES: usize = 16 * 1024;
/// What is kept in memory for readers who are behind; beyond that they read from the store.
const RING_BYTES: usize = 512 * 1024;

/// See the module.
#[derive(Default)]
pub struct Ring {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// The newest event that was published here or is in the store.
    head: Sequence,
}

/// Events `first..` with dense numbers.
struct Piece {
    first: Sequence,
    /// Where each event begins.
    starts: Vec<u32>,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> Sequence {
        Sequence(self.first.0 + self.starts.len() as u64)
    }
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Frames, and the first number that comes after them.
    Frames(Bytes, Sequence),
    /// There is nothing new.
    Nothing,
    /// It is too old to be here: read from the store.
    Behind,
}

impl Ring {
    /// A ring that begins after `head`.
    #[must_use]
    pub fn after(head: Sequence) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }

    /// The newest number.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.head
    }

    /// Adds events with dense numbers, the first of them `first`. What is known already is passed over.
    pub fn publish(&mut self, first: Sequence, events: &[Bytes]) {
        let known = self.head.next().0.saturating_sub(first.0);
        let events = events
            .get(usize::try_from(known).unwrap_or(usize::MAX)..)
            .unwrap_or_default();
        if events.is_empty() {
            return;
        }
        let first = Sequence(first.0 + known);
        if first != self.head.next() {
            // Not the next one: what is here would have a hole. Readers find the rest in the store.
            self.pieces.clear();
            self.bytes = 0;
        }
        let size: usize = events.iter().map(Bytes::len).sum();
        let merged = self
            .pieces
            .back()
            .is_some_and(|last| last.bytes.len() + size <= MERGE_BYTES);
        let base = if merged { self.pieces.pop_back() } else { None };
        let mut buffer = BytesMut::with_capacity(size + base.as_ref().map_or(0, |b| b.bytes.len()));
        let (piece_first, mut starts) = match base {
            Some(base) => {
                buffer.extend_from_slice(&base.bytes);
                (base.first, base.starts)
            }
            None => (first, Vec::with_capacity(events.len())),
        };
        for event in events {
            starts.push(u32::try_from(buffer.len()).unwrap_or(u32::MAX));
            buffer.extend_from_slice(event);
        }
        self.bytes += size;
        self.pieces.push_back(Piece {
            first: piece_first,
            starts,
            bytes: buffer.freeze(),
        });
        self.head = Sequence(first.0 + events.len() as u64 - 1);
        while self.bytes > RING_BYTES && self.pieces.len() > 1 {
            if let Some(old) = self.pieces.pop_front() {
                self.bytes -= old.bytes.len();
            }
        }
    }

    /// Everything from `next` on that lies in one piece.
    #[must_use]
    pub fn take(&self, next: Sequence) -> Taken {
        if next > self.head {
            return Taken::Nothing;
        }
        let index = self.pieces.partition_point(|piece| piece.end() <= next);
        let Some(piece) = self.pieces.get(index).filter(|piece| piece.first <= next) else {
            return Taken::Behind;
        };
        let skip = usize::try_from(next.0 - piece.first.0).unwrap_or(usize::MAX);
        match piece.starts.get(skip) {
            Some(start) => Taken::Frames(piece.bytes.slice(*start as usize..), piece.end()),
            None => Taken::Behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(n: u64, size: usize) -> Bytes {
        let mut bytes = n.to_be_bytes().to_vec();
        bytes.resize(size.max(8), 0);
        bytes.into()
    }

    proptest! {
        /// However events are published and whenever a reader looks, it gets each once and in order, or is sent to the
        /// store.
        #[test]
        fn a_reader_gets_every_event_once_and_in_order(
            groups in proptest::collection::vec((1usize..20, 8usize..4000, any::<bool>()), 1..60),
        ) {
            let mut ring = Ring::after(Sequence(10));
            let (mut published, mut next) = (11, Sequence(11));
            for (count, size, looks) in groups {
                let events: Vec<_> = (0..count as u64).map(|i| event(published + i, size)).collect();
                ring.publish(Sequence(published), &events);
                published += count as u64;
                if !looks {
                    continue;
                }
                loop {
                    match ring.take(next) {
                        Taken::Frames(bytes, after) => {
                            let size = bytes.len() / (after.0 - next.0) as usize;
                            prop_assert!(size >= 8);
                            prop_assert_eq!(&bytes[..8], &next.0.to_be_bytes());
                            next = after;
                        }
                        Taken::Nothing => break,
                        Taken::Behind => next = next.next(),
                    }
                }
                prop_assert_eq!(next.0, published);
            }
        }
    }

    #[test]
    fn what_was_published_before_is_passed_over() {
        let mut ring = Ring::after(Sequence(0));
        ring.publish(Sequence(1), &[event(1, 8), event(2, 8)]);
        ring.publish(Sequence(2), &[event(2, 8), event(3, 8)]);
        let Taken::Frames(bytes, after) = ring.take(Sequence(1)) else {
            panic!("nothing there");
        };
        assert_eq!((bytes.len(), after), (24, Sequence(4)));
    }
}
