//! What a session hears: the rooms it joins, and a verifier for each.

use std::collections::HashMap;
use std::sync::Arc;

use super::counts::Counts;
use super::event::RawEvent;
use super::latency::Recorder;
use super::shared::Shared;
use super::verify::Verifier;
use crate::proto::v1::{Join, Joined};

/// The rooms of one session.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    seats: Vec<Verifier>,
    /// Which seat is in which room, for a session in several.
    by_room: HashMap<Vec<u8>, usize>,
    /// The clock is read once a batch: what came in it was there at its beginning.
    now_us: Option<u64>,
    delivered: u64,
}

impl Listener {
    /// On these seats.
    pub fn new(
        shared: &Arc<Shared>,
        seats: impl IntoIterator<Item = usize>,
        recorder: &Arc<Recorder>,
    ) -> Self {
        let seats: Vec<Verifier> = seats
            .into_iter()
            .map(|seat| Verifier::new(shared, seat, recorder))
            .collect();
        let by_room = seats
            .iter()
            .enumerate()
            .map(|(at, seat)| (seat.room_name().as_bytes().to_vec(), at));
        Self {
            by_room: by_room.collect(),
            seats,
            shared: Arc::clone(shared),
            now_us: None,
            delivered: 0,
        }
    }

    /// What to ask for the first time: what comes from now on.
    pub fn enter(&self) -> Vec<Join> {
        self.joins(|_| None)
    }

    /// What to ask for after a cut: exactly what was not seen.
    pub fn resume(&self) -> Vec<Join> {
        self.joins(|seat| Some(seat.last()))
    }

    fn joins(&self, after: impl Fn(&Verifier) -> Option<u64>) -> Vec<Join> {
        let join = |seat| Join {
            room: Verifier::room_name(seat).to_owned(),
            after: after(seat),
            last: 0,
        };
        self.seats.iter().map(join).collect()
    }

    /// Where delivery begins, for the first time.
    pub fn begin(&mut self, joined: &[Joined]) {
        for joined in joined {
            let at = self.by_room.get(joined.room.as_bytes());
            if let Some(seat) = at.and_then(|&at| self.seats.get_mut(at)) {
                seat.begin_after(joined.after);
            }
        }
    }

    /// Judges a frame, if it is a room event.
    pub fn hear(&mut self, frame: &[u8]) -> bool {
        let Some(event) = RawEvent::peek(frame) else {
            return false;
        };
        let now_us = *self.now_us.get_or_insert_with(|| self.shared.now_us());
        self.delivered += 1;
        if let [only] = self.seats.as_mut_slice() {
            only.see(event, now_us);
            return true;
        }
        match self
            .by_room
            .get(event.room)
            .and_then(|&at| self.seats.get_mut(at))
        {
            Some(seat) => seat.see(event, now_us),
            None => {
                let counts = &self.shared.counts;
                counts.violation(&counts.wrong, || {
                    "an event came of a room that was not joined".into()
                });
            }
        }
        true
    }

    /// Tells the others what was heard; after each batch.
    pub fn end_batch(&mut self) {
        self.now_us = None;
        if self.delivered > 0 {
            Counts::add(&self.shared.counts.deliveries, self.delivered);
            self.delivered = 0;
            self.seats.iter().for_each(Verifier::note_position);
        }
    }
}
