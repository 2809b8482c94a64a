//! What a session's client sends: gRPC messages out of a request body, decoded where they lie.
//!
//! tonic's own stream keeps 8 KiB for each session for as long as it lives; most sessions say a line now and then.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use http_body::Body as _;
use prost::Message;
use tonic::Status;
use tonic::body::Body;

use crate::state::frame::PREFIX;

/// A stream of messages.
pub struct Inbound<M> {
    body: Body,
    /// What has come and is not yet a message.
    rest: BytesMut,
    /// A data frame that may hold several messages.
    frame: Bytes,
    most_bytes: usize,
    ended: bool,
    message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Inbound<M> {
    /// Messages of at most so many bytes.
    #[must_use]
    pub fn new(body: Body, most_bytes: usize) -> Self {
        Self {
            body,
            rest: BytesMut::new(),
            frame: Bytes::new(),
            most_bytes,
            ended: false,
            message: PhantomData,
        }
    }

    /// A message that is whole by now.
    fn next_message(&mut self) -> Option<Result<M, Status>> {
        if self.rest.is_empty() {
            // The usual case: whole messages in one data frame.
            return match whole(&self.frame, self.most_bytes) {
                Ok(Some(length)) => {
                    self.frame.advance(PREFIX);
                    let bytes = self.frame.split_to(length);
                    Some(M::decode(bytes).map_err(|error| undecodable(&error)))
                }
                Ok(None) => {
                    self.rest.extend_from_slice(&self.frame);
                    self.frame = Bytes::new();
                    None
                }
                Err(status) => Some(Err(status)),
            };
        }
        self.rest.extend_from_slice(&self.frame);
        self.frame = Bytes::new();
        match whole(&self.rest, self.most_bytes) {
            Ok(Some(length)) => {
                self.rest.advance(PREFIX);
                let bytes = self.rest.split_to(length).freeze();
                if self.rest.is_empty() {
                    // Lets go of the buffer.
                    self.rest = BytesMut::new();
                }
                Some(M::decode(bytes).map_err(|error| undecodable(&error)))
            }
            Ok(None) => None,
            Err(status) => Some(Err(status)),
        }
    }
}

/// The length of the first message, where it is whole.
fn whole(bytes: &[u8], most_bytes: usize) -> Result<Option<usize>, Status> {
    let Some((head, rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let [flag, length @ ..] = *head;
    if flag != 0 {
        return Err(Status::unimplemented(
            "the frame is compressed; this server takes them as they are",
        ));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > most_bytes {
        return Err(Status::resource_exhausted(format!(
            "the frame has {length} bytes; at most {most_bytes} are allowed"
        )));
    }
    Ok((rest.len() >= length).then_some(length))
}

/// What a caller is told whose bytes are no message.
fn undecodable(error: &prost::DecodeError) -> Status {
    Status::invalid_argument(format!(
        "the message can't be decoded ({error}); it must be protobuf as chat/v1/chat.proto says, and strings must be UTF-8"
    ))
}

impl<M: Message + Default> Stream for Inbound<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if !(self.frame.is_empty() && self.rest.is_empty())
                && let Some(message) = self.next_message()
            {
                // After bytes that are no message nothing that follows can be trusted.
                self.ended = message.is_err();
                return Poll::Ready(Some(message));
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.frame = data;
                    }
                }
                Poll::Ready(Some(Err(status))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    if !self.rest.is_empty() {
                        let cut = Status::invalid_argument("the stream ended within a frame");
                        return Poll::Ready(Some(Err(cut)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;
    use futures_util::StreamExt;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    fn framed(message: &impl Message) -> Vec<u8> {
        let bytes = message.encode_to_vec();
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(&bytes);
        framed
    }

    async fn read(pieces: Vec<Vec<u8>>) -> Vec<Result<v1::Leave, Status>> {
        let frames = pieces
            .into_iter()
            .map(|piece| Ok::<_, Status>(http_body::Frame::data(Bytes::from(piece))));
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        Inbound::new(body, 1000).collect().await
    }

    proptest! {
        /// However the bytes are cut, the same messages come out.
        #[test]
        fn any_cut_gives_the_same_messages(
            rooms in proptest::collection::vec("[a-z]{0,40}", 0..12),
            cuts in proptest::collection::vec(1usize..30, 1..60),
        ) {
            let bytes: Vec<u8> = rooms.iter().flat_map(|room| framed(&v1::Leave { room: room.clone() })).collect();
            let (mut pieces, mut rest) = (Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle().take(if rest.is_empty() { 0 } else { rest.len() }) {
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece.to_vec());
                rest = left;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(read(pieces));
            let got: Vec<String> = read.into_iter().map(|leave| leave.unwrap().room).collect();
            prop_assert_eq!(got, rooms);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_broken_or_cut_is_refused() {
        let large = framed(&v1::Leave {
            room: "x".repeat(2000),
        });
        assert_eq!(
            read(vec![large]).await[0].as_ref().unwrap_err().code(),
            tonic::Code::ResourceExhausted
        );
        let broken = vec![0, 0, 0, 0, 3, 0x0a, 1, 0xff];
        assert_eq!(
            read(vec![broken]).await[0].as_ref().unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
        let mut cut = framed(&v1::Leave {
            room: "lobby".into(),
        });
        cut.pop();
        assert_eq!(
            read(vec![cut]).await[0].as_ref().unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }
}
