//! One `Connect` stream over TCP: frames out, frames in, nothing kept between.
//!
//! Reads go through one buffer for all connections of a thread, which stays in the processor's cache; what a frame
//! means is up to the caller, to whom it is lent.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::broken::Broken;
use super::http2::{self, Event, Inbound};
use super::messages::Messages;
use super::options::Target;
use crate::proto::v1::ClientFrame;

/// Takes what a socket holds in one call, at 1,000 members of a room.
const READ_BYTES: usize = 256 * 1024;
/// Windows are refilled after so much, far before they run dry.
const REFILL_BYTES: u32 = 256 * 1024 * 1024;
/// Beyond so much unwritten the caller should wait.
const UNWRITTEN_BYTES: usize = 64 * 1024;

thread_local! {
    // Scratch, borrowed within one poll only; a buffer a connection would be 256 KiB times 20,000.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// An open stream.
#[derive(Debug)]
pub struct Connection {
    io: TcpStream,
    inbound: Inbound,
    messages: Messages,
    out: BytesMut,
    /// What may still be sent: on the connection, and on the stream.
    connection_credit: i64,
    stream_credit: i64,
    initial_window: i64,
    unreturned: u32,
    /// Messages that were read before their reader was there.
    early: Vec<Vec<u8>>,
}

impl Connection {
    /// Connects and begins the call; the server's answer is not awaited.
    ///
    /// # Errors
    /// What the system says of the connection.
    pub async fn open(target: &Target) -> Result<Self, Broken> {
        let io = TcpStream::connect(target.address).await?;
        io.set_nodelay(true)?;
        let mut out = BytesMut::with_capacity(512);
        http2::put_opening(&mut out, &target.authority, "/chat.v1.Chat/Connect");
        Ok(Self {
            io,
            inbound: Inbound::default(),
            messages: Messages::default(),
            out,
            connection_credit: http2::INITIAL_WINDOW,
            stream_credit: http2::INITIAL_WINDOW,
            initial_window: http2::INITIAL_WINDOW,
            unreturned: 0,
            early: Vec::new(),
        })
    }

    /// Queues a frame; [`Self::poll_exchange`] writes it.
    pub fn send(&mut self, frame: &ClientFrame) {
        let length = frame.encoded_len();
        let mut message = BytesMut::with_capacity(length + 5);
        message.put_u8(0);
        message.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        message.put_slice(&frame.encode_to_vec());
        let sent = i64::try_from(message.len()).unwrap_or(i64::MAX);
        self.connection_credit -= sent;
        self.stream_credit -= sent;
        for piece in message.chunks(http2::FRAME_BYTES) {
            http2::put_data(&mut self.out, piece);
        }
    }

    /// Has these messages read first by the next exchange.
    pub fn keep(&mut self, early: Vec<Vec<u8>>) {
        self.early = early;
    }

    /// Whether a frame of `bytes` may be queued now; if not, go on exchanging until it may.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let needed = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.connection_credit.min(self.stream_credit) >= needed && self.out.len() < UNWRITTEN_BYTES
    }

    /// Writes what is queued, reads once, and lends each message that came to `on_message`.
    ///
    /// # Errors
    /// The stream is over; nothing more will come.
    pub fn poll_exchange(
        &mut self,
        context: &mut Context<'_>,
        on_message: &mut impl FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>> {
        self.write(context)?;
        if !self.early.is_empty() {
            for message in std::mem::take(&mut self.early) {
                on_message(&message);
            }
            return Poll::Ready(Ok(()));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            Poll::Ready(self.take(buffer.filled(), on_message))
        })
    }

    /// The same, once, as a future.
    ///
    /// # Errors
    /// As [`Self::poll_exchange`].
    pub async fn exchange(&mut self, mut on_message: impl FnMut(&[u8])) -> Result<(), Broken> {
        std::future::poll_fn(|context| self.poll_exchange(context, &mut on_message)).await
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), Broken> {
        while !self.out.is_empty() {
            match Pin::new(&mut self.io).poll_write(context, &self.out) {
                Poll::Ready(written) => self.out.advance(written?),
                Poll::Pending => break,
            }
        }
        if self.out.is_empty() && self.out.capacity() > 0 {
            self.out = BytesMut::new(); // 20,000 idle members keep no buffer.
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8], on_message: &mut impl FnMut(&[u8])) -> Result<(), Broken> {
        while let Some(event) = self.inbound.next(&mut bytes)? {
            match event {
                Event::Data(mut part) => {
                    self.unreturned += u32::try_from(part.len()).unwrap_or(u32::MAX);
                    while let Some(message) = self.messages.next(&mut part)? {
                        on_message(message);
                    }
                }
                Event::Settings(window) => {
                    http2::put_settings_ack(&mut self.out);
                    if let Some(window) = window {
                        self.stream_credit += i64::from(window) - self.initial_window;
                        self.initial_window = i64::from(window);
                    }
                }
                Event::Ping(payload) => http2::put_pong(&mut self.out, payload),
                Event::Credit {
                    stream: true,
                    bytes,
                } => self.stream_credit += i64::from(bytes),
                Event::Credit {
                    stream: false,
                    bytes,
                } => self.connection_credit += i64::from(bytes),
                Event::End => return Err(Broken::StreamEnded),
                Event::Reset(code) => return Err(Broken::Reset(code)),
                Event::GoAway(0) => {} // A graceful end: what is under way is finished, then `End` comes.
                Event::GoAway(code) => return Err(Broken::GoAway(code)),
            }
        }
        if self.unreturned > REFILL_BYTES {
            http2::put_credit(&mut self.out, self.unreturned);
            self.unreturned = 0;
        }
        Ok(())
    }
}
