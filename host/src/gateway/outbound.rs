//! What a session sends: its own frames, and what its rooms have for everybody, as one response body of shared bytes.
//!
//! Polled by the connection itself. Holds a cursor for each channel and no queue of messages; its own frames come
//! through a small bounded channel, and when that is full the session waits.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::mpsc;
use tonic::Status;

use super::refusal::Refusal;
use crate::rooms::Source;
use crate::rooms::cursor::{Cursor, Given};

/// Own frames that may wait. Beyond that the session stops reading what the client sends.
const OWN: usize = 64;

/// What a session tells its outbound half.
pub enum Outbound {
    /// A frame for this session alone.
    Frame(Bytes),
    /// Follow a channel.
    Follow(Box<Cursor>),
    /// Follow it no more.
    Unfollow(Source),
    /// End with this status.
    End(Box<Status>),
}

/// Counts deliveries.
pub trait Deliveries: Send + Sync {
    /// So many events were handed to one session.
    fn delivered(&self, events: u64);
}

/// See the module.
pub struct SessionBody {
    own: mpsc::Receiver<Outbound>,
    cursors: Vec<Cursor>,
    /// Whose turn it is.
    turn: usize,
    deliveries: Arc<dyn Deliveries>,
    ending: Option<Status>,
    ended: bool,
}

/// The two halves.
pub fn outbound(deliveries: Arc<dyn Deliveries>) -> (mpsc::Sender<Outbound>, SessionBody) {
    let (sender, own) = mpsc::channel(OWN);
    let body = SessionBody {
        own,
        cursors: Vec::new(),
        turn: 0,
        deliveries,
        ending: None,
        ended: false,
    };
    (sender, body)
}

impl SessionBody {
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        while self.ending.is_none() {
            match self.own.poll_recv(cx) {
                Poll::Ready(Some(Outbound::Frame(bytes))) => return Poll::Ready(bytes),
                Poll::Ready(Some(Outbound::Follow(cursor))) => self.cursors.push(*cursor),
                Poll::Ready(Some(Outbound::Unfollow(source))) => {
                    self.cursors
                        .retain(|cursor| cursor.channel().source() != source);
                }
                Poll::Ready(Some(Outbound::End(status))) => self.ending = Some(*status),
                Poll::Ready(None) => {
                    self.ending = Some(Status::unavailable("the session ended; connect again"));
                }
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    fn poll_cursors(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let count = self.cursors.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let Some(cursor) = self.cursors.get_mut(index) else {
                continue;
            };
            match cursor.poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Given::Frames(bytes, events)) => {
                    self.turn = index + 1;
                    self.deliveries.delivered(events);
                    return Poll::Ready(bytes);
                }
                Poll::Ready(Given::Gone(from)) => {
                    // Without the cursor the stream would be silent for good. At the next one the reader hears where
                    // what is kept begins.
                    self.ending = Some(gone(cursor.channel().name(), from.0).status());
                    return Poll::Pending;
                }
                Poll::Ready(Given::Failed(error)) => {
                    self.ending = Some(Refusal::from(error).status());
                    return Poll::Pending;
                }
            }
        }
        Poll::Pending
    }
}

fn gone(room: &str, from: u64) -> Refusal {
    let of = if room.is_empty() { "private" } else { room };
    Refusal::unavailable(format!(
        "you read so slowly that the {of} events from {from} on are no longer kept; connect again"
    ))
}

impl http_body::Body for SessionBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(bytes) = self.poll_own(cx) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.ending.is_none()
            && let Poll::Ready(bytes) = self.poll_cursors(cx)
        {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(status) = self.ending.take() else {
            return Poll::Pending;
        };
        self.ended = true;
        self.cursors.clear();
        let mut trailers = HeaderMap::new();
        // A status that can't be written is one that was never sent: the client sees the stream break.
        status.add_header(&mut trailers).ok();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}
