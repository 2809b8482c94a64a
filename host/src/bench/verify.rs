//! One seat's judgement of every event that reaches it: dense, once, in order, the same for all, and what was sent.
//!
//! The first member that sees an event decodes it and holds it against what was sent; the others compare a hash.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prost::Message;

use super::book::{Entry, Reader};
use super::content::MessageKey;
use super::counts::Counts;
use super::event::RawEvent;
use super::latency::Recorder;
use super::ledger::Found;
use super::position::{Position, Verdict};
use super::shared::Shared;
use crate::proto::v1::{RoomEvent, room_event};

/// Members whose latencies are recorded, about; recording each delivery would cost more than verifying it.
const SAMPLED: usize = 64;

/// The eyes on one seat.
#[derive(Debug)]
pub struct Verifier {
    shared: Arc<Shared>,
    seat: usize,
    room: usize,
    position: Position,
    reader: Option<Reader>,
    /// Latencies of what this member sees are recorded here.
    recorder: Option<Arc<Recorder>>,
}

impl Verifier {
    /// For a seat where nothing was seen yet.
    pub fn new(shared: &Arc<Shared>, seat: usize, recorder: &Arc<Recorder>) -> Self {
        let room = shared.seats.get(seat).map_or(0, |seat| seat.room);
        let every = shared.options.members.div_ceil(SAMPLED) as u64;
        // Scattered, so that no room is left out because its members' numbers have a common factor.
        let scattered = (seat as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let sampled = seat < shared.options.members && scattered.is_multiple_of(every.max(1));
        Self {
            seat,
            room,
            position: Position::default(),
            reader: shared
                .rooms
                .get(room)
                .map(|room| Reader::new(Arc::clone(&room.book))),
            recorder: sampled.then(|| Arc::clone(recorder)),
            shared: Arc::clone(shared),
        }
    }

    /// The room it is in.
    pub fn room_name(&self) -> &str {
        self.shared
            .rooms
            .get(self.room)
            .map_or("", |room| &room.name)
    }

    /// Delivery begins after this number, for the first time.
    pub fn begin_after(&mut self, number: u64) {
        self.position = Position::after(number);
        self.note_position();
    }

    /// Where to go on after a cut.
    pub fn last(&self) -> u64 {
        self.position.last()
    }

    /// Tells the others how far this member is; once a batch.
    pub fn note_position(&self) {
        if let Some(seat) = self.shared.seats.get(self.seat) {
            seat.position.store(self.position.last(), Ordering::Relaxed);
        }
    }

    /// Judges one event.
    pub fn see(&mut self, event: RawEvent<'_>, now_us: u64) {
        let counts = &self.shared.counts;
        match self.position.see(event.sequence) {
            Verdict::Next => {}
            Verdict::Gap(skipped) => {
                counts.missing.fetch_add(
                    i64::try_from(skipped).unwrap_or(i64::MAX),
                    Ordering::Relaxed,
                );
                counts.example(|| {
                    format!(
                        "{} misses {skipped} before {}",
                        who(&self.shared, self.seat),
                        event.sequence
                    )
                });
            }
            Verdict::Late => {
                counts.missing.fetch_sub(1, Ordering::Relaxed);
                counts.violation(&counts.reordered, || {
                    format!(
                        "{} got {} late",
                        who(&self.shared, self.seat),
                        event.sequence
                    )
                });
            }
            Verdict::Repeat => {
                counts.violation(&counts.repeated, || {
                    format!(
                        "{} got {} again",
                        who(&self.shared, self.seat),
                        event.sequence
                    )
                });
                return;
            }
        }
        let Some(reader) = &mut self.reader else {
            return;
        };
        let (shared, seat, room) = (&self.shared, self.seat, self.room);
        let hash = event.hash();
        let (sender, intended_us) = reader.with_entry(event.sequence, |entry| {
            let agreed = entry.hash().map_or_else(
                || first(shared, room, event, hash, entry),
                |agreed| agreed == hash,
            );
            if !agreed {
                counts.violation(&counts.wrong, || {
                    format!(
                        "{} got {} in other bytes than another member",
                        who(shared, seat),
                        event.sequence
                    )
                });
            }
            (entry.sender(), entry.intended_us())
        });
        if let (Some(recorder), Some(intended_us)) = (&self.recorder, intended_us)
            && shared.is_measured(intended_us)
        {
            recorder.seen(now_us.saturating_sub(intended_us));
        }
        // The first member of each room is its witness: what it saw leaves the sender's window.
        if self.seat < shared.rooms.len()
            && let Some(sending) = sender.and_then(|sender| shared.senders.get(sender))
        {
            sending.witnessed.fetch_add(1, Ordering::Release);
            sending.bell.notify_one();
        }
    }
}

/// A seat in words.
fn who(shared: &Shared, seat: usize) -> String {
    if seat < shared.options.members {
        return format!("member {seat}");
    }
    let room = shared
        .seats
        .get(seat)
        .and_then(|seat| shared.rooms.get(seat.room));
    format!("the sender in {}", room.map_or("", |room| &room.name))
}

/// Judges an event that nobody has seen. True: its bytes are now what the others must get.
fn first(shared: &Shared, room: usize, event: RawEvent<'_>, hash: u64, entry: &Entry) -> bool {
    let judged = judge(shared, room, event);
    if let Ok(key) = judged {
        let intended_us = shared
            .sending(key)
            .and_then(|sending| sending.ledger.lock().intended_us(key.number));
        entry.note(key.sender, intended_us.unwrap_or_default());
    }
    if let Err(agreed) = entry.agree(hash) {
        return agreed == hash; // Another member was a moment faster, and it reports.
    }
    let counts = &shared.counts;
    if let Some(room) = shared.rooms.get(room) {
        room.head.fetch_max(event.sequence, Ordering::Relaxed);
    }
    match judged {
        Err(why) => counts.violation(&counts.wrong, || format!("event {} {why}", event.sequence)),
        Ok(key) => note_sighting(shared, key, event.sequence),
    }
    true
}

/// Enters in the sender's ledger where its message stands.
fn note_sighting(shared: &Shared, key: MessageKey, sequence: u64) {
    let Some(sending) = shared.sending(key) else {
        return;
    };
    let counts = &shared.counts;
    let (found, disordered) = {
        let mut ledger = sending.ledger.lock();
        (ledger.see(key.number, sequence), ledger.take_disordered())
    };
    if disordered > 0 {
        Counts::add(&counts.reordered, disordered);
        counts.example(|| {
            format!(
                "messages of sender {} stand in another order than sent",
                key.sender
            )
        });
    }
    match found {
        Found::First => {}
        Found::Again => counts.violation(&counts.repeated, || {
            format!(
                "message {} is delivered a second time, as {sequence}",
                key.client_id()
            )
        }),
        Found::Unexpected => counts.violation(&counts.wrong, || {
            format!(
                "message {} was never sent or was withheld, and is event {sequence}",
                key.client_id()
            )
        }),
    }
}

/// Which message an event is; or why it is none of ours.
fn judge(shared: &Shared, room: usize, event: RawEvent<'_>) -> Result<MessageKey, String> {
    let event =
        RoomEvent::decode(event.bytes).map_err(|error| format!("is not readable: {error}"))?;
    if shared
        .rooms
        .get(room)
        .is_none_or(|room| room.name != event.room)
    {
        return Err(format!("belongs to the room `{}`", event.room));
    }
    let Some(room_event::Event::Message(body)) = event.event else {
        return Err(format!(
            "is no message but something of `{}{}`",
            event.sender, event.plugin
        ));
    };
    let unknown = || format!("has the unknown client id `{}`", event.client_id);
    let key = MessageKey::parse(&event.client_id).ok_or_else(unknown)?;
    let sending = shared.sending(key).ok_or_else(unknown)?;
    if !is_name_of(&event.sender, &sending.name) {
        return Err(format!(
            "of `{}` is said to be from `{}`",
            sending.name, event.sender
        ));
    }
    if sending.room_of(key.number) != room {
        return Err(format!("of `{}` was sent to another room", sending.name));
    }
    if body.text != shared.content.text(key) {
        return Err(format!(
            "has another text than message {} was sent with",
            event.client_id
        ));
    }
    Ok(key)
}

/// A session that lost its name before it had the token goes on under another: `name`, `name-1`, …
fn is_name_of(name: &str, begins: &str) -> bool {
    name.strip_prefix(begins)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
