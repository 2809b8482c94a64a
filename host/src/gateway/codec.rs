//! Protobuf over gRPC, where what can't be decoded is the caller's fault and is said so.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

/// A codec that answers `INVALID_ARGUMENT` to bytes that are no message. (tonic's own says `INTERNAL`, for bad UTF-8
/// too.)
pub struct StrictCodec<E, D>(PhantomData<fn(D) -> E>);

impl<E, D> Default for StrictCodec<E, D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// See [`StrictCodec`].
pub struct StrictDecoder<D>(PhantomData<fn() -> D>);

impl<D> Default for StrictDecoder<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E, D> Codec for StrictCodec<E, D>
where
    E: Message + 'static,
    D: Message + Default + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = ProstEncoder<E>;
    type Decoder = StrictDecoder<D>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        StrictDecoder::default()
    }
}

impl<D: Message + Default> Decoder for StrictDecoder<D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        D::decode(buffer)
            .map(Some)
            .map_err(|error| undecodable(&error))
    }
}

/// What a caller is told whose bytes are no message.
pub fn undecodable(error: &prost::DecodeError) -> Status {
    Status::invalid_argument(format!(
        "the message can't be decoded ({error}); it must be protobuf as chat/v1/chat.proto says, and strings must be UTF-8"
    ))
}
