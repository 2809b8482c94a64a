//! What of a `ServerFrame` each member must look at: is it a room event, which number, and the rest as opaque bytes.
//!
//! The bytes are hashed and compared between members; one of them decodes them, for all.

use std::hash::{BuildHasher, Hasher};

/// `ServerFrame.room_event`: field 4, length-delimited.
const ROOM_EVENT: u8 = 4 << 3 | 2;

/// A room event that is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// The room's name.
    pub room: &'a [u8],
    /// Its place in the room.
    pub sequence: u64,
    /// The encoded `RoomEvent`.
    pub bytes: &'a [u8],
}

impl<'a> RawEvent<'a> {
    /// Reads a `ServerFrame`; none: it is no room event, or has no readable number.
    pub fn peek(frame: &'a [u8]) -> Option<Self> {
        let (&ROOM_EVENT, rest) = frame.split_first()? else {
            return None;
        };
        let (length, bytes) = varint(rest)?;
        let bytes = bytes.get(..usize::try_from(length).ok()?)?;
        let (room, sequence) = place(bytes)?;
        Some(Self {
            room,
            sequence,
            bytes,
        })
    }

    /// A hash of all its bytes, never 0.
    pub fn hash(&self) -> u64 {
        let mut hasher = foldhash::fast::FixedState::with_seed(1).build_hasher();
        hasher.write(self.bytes);
        hasher.finish().max(1)
    }
}

/// `RoomEvent.room`, field 1, and `RoomEvent.sequence`, field 2; in practice at the beginning, in this order.
fn place(mut event: &[u8]) -> Option<(&[u8], u64)> {
    let mut room: &[u8] = &[];
    loop {
        let (key, rest) = varint(event)?;
        event = match key & 7 {
            0 => {
                let (value, rest) = varint(rest)?;
                if key == 0x10 {
                    return Some((room, value));
                }
                rest
            }
            1 => rest.get(8..)?,
            2 => {
                let (length, rest) = varint(rest)?;
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                if key == 0x0a {
                    room = value;
                }
                rest
            }
            5 => rest.get(4..)?,
            _ => return None,
        };
    }
}

fn varint(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{Joined, RoomEvent, ServerFrame, server_frame::Frame};
    use prost::Message;

    fn encoded(frame: Frame) -> Vec<u8> {
        ServerFrame { frame: Some(frame) }.encode_to_vec()
    }

    #[test]
    fn the_number_and_bytes_of_a_room_event_are_found_undecoded() {
        let event = RoomEvent {
            room: "lobby".into(),
            sequence: 300,
            id: "x".into(),
            ..RoomEvent::default()
        };
        let frame = encoded(Frame::RoomEvent(event.clone()));
        let raw = RawEvent::peek(&frame).unwrap();
        assert_eq!((raw.room, raw.sequence), (b"lobby".as_slice(), 300));
        assert_eq!(raw.bytes, event.encode_to_vec());
    }

    #[test]
    fn other_frames_are_no_room_events() {
        assert_eq!(
            RawEvent::peek(&encoded(Frame::Joined(Joined::default()))),
            None
        );
        assert_eq!(RawEvent::peek(&[]), None);
        assert_eq!(RawEvent::peek(&[ROOM_EVENT, 200, 1, 0]), None, "cut short");
    }

    #[test]
    fn one_changed_byte_changes_the_hash() {
        let (a, b) = (
            RawEvent {
                room: b"",
                sequence: 1,
                bytes: b"hello",
            },
            RawEvent {
                room: b"",
                sequence: 1,
                bytes: b"hellp",
            },
        );
        assert_ne!(a.hash(), b.hash());
    }
}
