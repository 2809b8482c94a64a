//! A server frame as it goes over the wire: encoded once, shared by all who get it, and kept like that.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::proto::v1::{self, server_frame::Frame};

/// gRPC's prefix of a message: a flag (not compressed) and its length, big-endian.
pub const PREFIX: usize = 5;

/// Encodes and frames.
#[must_use]
pub fn framed(frame: Frame) -> Bytes {
    framed_message(&v1::ServerFrame { frame: Some(frame) })
}

/// As [`framed`], for any message.
#[must_use]
pub fn framed_message(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(PREFIX + length);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A `BytesMut` grows, so there is always room.
    if message.encode(&mut buffer).is_err() {
        buffer.truncate(0);
    }
    buffer.freeze()
}

/// Undoes [`framed`]; `None` where it is not one frame.
#[must_use]
pub fn unframed(bytes: &Bytes) -> Option<Frame> {
    if bytes.len() < PREFIX {
        return None;
    }
    v1::ServerFrame::decode(bytes.slice(PREFIX..)).ok()?.frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_read_back() {
        let left = Frame::Left(v1::Left {
            room: "lobby".into(),
        });
        assert_eq!(unframed(&framed(left.clone())), Some(left));
        assert_eq!(unframed(&Bytes::from_static(b"\0\0")), None);
    }
}
