//! The little of HTTP/2 that one gRPC stream needs.
//!
//! Members multiply whatever a frame costs here by thousands, and a library's queues, locks and buffers would cost
//! more than what is measured. So: one stream a connection, response headers passed over unread, payload lent from
//! the read buffer. Does no I/O.

use bytes::{BufMut, BytesMut};

use super::broken::Broken;

/// What a connection may send before it hears from the other side.
pub const INITIAL_WINDOW: i64 = 65_535;
/// The largest payload of a frame that both sides accept unasked.
pub const FRAME_BYTES: usize = 16_384;
/// The largest window there is.
const MAX_WINDOW: u32 = 0x7fff_ffff;
/// The one stream of a connection.
const STREAM: u32 = 1;
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Of `HEADERS` and `DATA`.
const END_STREAM: u8 = 1;
/// Of `SETTINGS` and `PING`.
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A piece of the stream's content.
    Data(&'a [u8]),
    /// Must be acknowledged; the initial window of streams, where it was set.
    Settings(Option<u32>),
    /// Must be answered with the same bytes.
    Ping([u8; 8]),
    /// More may be sent, on the stream or (`false`) the connection.
    Credit {
        /// For our stream rather than the connection.
        stream: bool,
        /// Bytes.
        bytes: u32,
    },
    /// The server says nothing more on this stream.
    End,
    /// The stream is over: an HTTP/2 error code.
    Reset(u32),
    /// The connection is over, or will be after what is under way: an HTTP/2 error code.
    GoAway(u32),
}

/// The receiving half between two pieces.
#[derive(Debug, Default)]
pub struct Inbound {
    header: Vec<u8>,
    frame: Option<Frame>,
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: u8,
    flags: u8,
    on_stream: bool,
    left: usize,
}

impl Inbound {
    /// The next event, taken off the front of `input`; none: `input` is used up.
    ///
    /// # Errors
    /// A frame that the server has no reason to send.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, Broken> {
        loop {
            let Some(mut frame) = self.frame else {
                match self.begin(input)? {
                    Some(frame) => self.frame = Some(frame),
                    None => return Ok(None),
                }
                continue;
            };
            if frame.left == 0 {
                self.frame = None;
                if let Some(event) = self.complete(frame)? {
                    return Ok(Some(event));
                }
                continue;
            }
            if input.is_empty() {
                return Ok(None);
            }
            let (part, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            frame.left -= part.len();
            self.frame = Some(frame);
            match frame.kind {
                DATA => return Ok(Some(Event::Data(part))),
                RST_STREAM | SETTINGS | PING | GOAWAY | WINDOW_UPDATE => {
                    self.control.extend_from_slice(part)
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Broken> {
        let header = if self.header.is_empty() && input.len() >= HEADER_BYTES {
            let (header, rest) = input.split_at(HEADER_BYTES);
            *input = rest;
            frame_header(header)
        } else {
            let wanted = (HEADER_BYTES - self.header.len()).min(input.len());
            let (part, rest) = input.split_at(wanted);
            *input = rest;
            self.header.extend_from_slice(part);
            if self.header.len() < HEADER_BYTES {
                return Ok(None);
            }
            let header = frame_header(&self.header);
            self.header.clear();
            header
        };
        let Some(frame) = header else { return Ok(None) };
        self.control.clear();
        let padded = frame.kind == DATA && frame.flags & PADDED != 0;
        if frame.left > FRAME_BYTES || padded {
            return Err(Broken::Frame {
                kind: frame.kind,
                length: frame.left,
            });
        }
        Ok(Some(frame))
    }

    fn complete(&mut self, frame: Frame) -> Result<Option<Event<'static>>, Broken> {
        let bad = Broken::Frame {
            kind: frame.kind,
            length: self.control.len(),
        };
        let word = |at: usize| -> Option<u32> {
            let bytes = self.control.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        Ok(match frame.kind {
            DATA | HEADERS if frame.flags & END_STREAM != 0 => Some(Event::End),
            SETTINGS if frame.flags & ACK == 0 => {
                Some(Event::Settings(initial_window(&self.control)))
            }
            PING if frame.flags & ACK == 0 => Some(Event::Ping(
                self.control.as_slice().try_into().map_err(|_| bad)?,
            )),
            WINDOW_UPDATE => Some(Event::Credit {
                stream: frame.on_stream,
                bytes: word(0).ok_or(bad)? & MAX_WINDOW,
            }),
            RST_STREAM => Some(Event::Reset(word(0).ok_or(bad)?)),
            GOAWAY => Some(Event::GoAway(word(4).ok_or(bad)?)),
            _ => None,
        })
    }
}

fn frame_header(header: &[u8]) -> Option<Frame> {
    let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] = header else {
        return None;
    };
    Some(Frame {
        kind,
        flags,
        on_stream: u32::from_be_bytes([s0, s1, s2, s3]) & MAX_WINDOW == STREAM,
        left: u32::from_be_bytes([0, l0, l1, l2]) as usize,
    })
}

fn initial_window(settings: &[u8]) -> Option<u32> {
    settings
        .chunks_exact(6)
        .rev()
        .find_map(|setting| match *setting {
            [0, 4, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        })
}

/// Opens the connection, with windows that never close, and one gRPC call on it.
pub fn put_opening(out: &mut BytesMut, authority: &str, path: &str) {
    out.put_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_header(out, 12, SETTINGS, 0, 0);
    out.put_slice(&[0, 2, 0, 0, 0, 0]); // ENABLE_PUSH: never.
    out.put_slice(&[0, 4]); // INITIAL_WINDOW_SIZE
    out.put_u32(MAX_WINDOW);
    put_header(out, 4, WINDOW_UPDATE, 0, 0);
    out.put_u32(MAX_WINDOW - 65_535);

    // HPACK without a dynamic table or Huffman codes: indexed fields (0x80 and up), then literals never to be indexed.
    let mut block = BytesMut::with_capacity(256);
    block.put_slice(&[0x83, 0x86]); // :method POST, :scheme http
    block.put_u8(0x04); // :path
    put_text(&mut block, path);
    block.put_u8(0x01); // :authority
    put_text(&mut block, authority);
    block.put_slice(&[0x0f, 31 - 15]); // content-type
    put_text(&mut block, "application/grpc");
    block.put_slice(&[0x0f, 58 - 15]); // user-agent
    put_text(
        &mut block,
        concat!("chat-host-bench/", env!("CARGO_PKG_VERSION")),
    );
    block.put_u8(0x00);
    put_text(&mut block, "te");
    put_text(&mut block, "trailers");
    put_header(out, block.len(), HEADERS, END_HEADERS, STREAM);
    out.put_slice(&block);
}

/// One piece of content, at most [`FRAME_BYTES`].
pub fn put_data(out: &mut BytesMut, payload: &[u8]) {
    put_header(out, payload.len(), DATA, 0, STREAM);
    out.put_slice(payload);
}

/// The answer to [`Event::Settings`].
pub fn put_settings_ack(out: &mut BytesMut) {
    put_header(out, 0, SETTINGS, ACK, 0);
}

/// The answer to [`Event::Ping`].
pub fn put_pong(out: &mut BytesMut, payload: [u8; 8]) {
    put_header(out, 8, PING, ACK, 0);
    out.put_slice(&payload);
}

/// Gives back what was read, for connection and stream.
pub fn put_credit(out: &mut BytesMut, bytes: u32) {
    for stream in [0, STREAM] {
        put_header(out, 4, WINDOW_UPDATE, 0, stream);
        out.put_u32(bytes);
    }
}

/// What every frame begins with.
pub fn put_header(out: &mut BytesMut, length: usize, kind: u8, flags: u8, stream: u32) {
    out.put_uint(length as u64, 3);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
}

/// A string of fewer than 127 bytes: its length is then one byte.
fn put_text(out: &mut BytesMut, text: &str) {
    let text = text.get(..text.len().min(126)).unwrap_or_default();
    out.put_u8(text.len() as u8);
    out.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Content joined, everything else as it comes.
    fn read(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<String>) {
        let mut inbound = Inbound::default();
        let (mut content, mut events) = (Vec::new(), Vec::new());
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let mut from = 0;
        for end in ends {
            let mut piece = &stream[from..end];
            while let Some(event) = inbound.next(&mut piece).unwrap() {
                match event {
                    Event::Data(part) => content.extend_from_slice(part),
                    other => events.push(format!("{other:?}")),
                }
            }
            from = end;
        }
        (content, events)
    }

    fn stream_of_every_frame() -> (Vec<u8>, Vec<u8>) {
        let mut out = BytesMut::new();
        put_header(&mut out, 6, SETTINGS, 0, 0);
        out.put_slice(&[0, 4, 0, 1, 0, 0]);
        put_settings_ack(&mut out);
        put_header(&mut out, 5, HEADERS, END_HEADERS, STREAM);
        out.put_slice(b"hpack");
        put_data(&mut out, b"first");
        put_header(&mut out, 8, PING, 0, 0);
        out.put_slice(b"pingping");
        put_pong(&mut out, *b"answered");
        put_data(&mut out, b"");
        put_data(&mut out, b"second");
        put_credit(&mut out, 77);
        put_header(&mut out, 8, GOAWAY, 0, 0);
        out.put_slice(&[0; 8]);
        put_header(&mut out, 2, HEADERS, END_HEADERS | END_STREAM, STREAM);
        out.put_slice(b"ok");
        (out.to_vec(), b"firstsecond".to_vec())
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_frames(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
            let (stream, content) = stream_of_every_frame();
            let whole = read(&stream, &[]);
            prop_assert_eq!(&whole.0, &content);
            prop_assert_eq!(read(&stream, &cuts), whole);
        }
    }

    #[test]
    fn every_frame_that_matters_is_reported() {
        let (_, events) = read(&stream_of_every_frame().0, &[]);
        assert_eq!(
            events,
            [
                "Settings(Some(65536))",
                "Ping([112, 105, 110, 103, 112, 105, 110, 103])",
                "Credit { stream: false, bytes: 77 }",
                "Credit { stream: true, bytes: 77 }",
                "GoAway(0)",
                "End",
            ]
        );
    }

    #[test]
    fn a_padded_frame_is_refused_rather_than_misread() {
        let mut out = BytesMut::new();
        put_header(&mut out, 3, DATA, PADDED, STREAM);
        let mut input: &[u8] = &out;
        assert!(Inbound::default().next(&mut input).is_err());
    }
}
