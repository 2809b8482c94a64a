//! Requests as bytes, for what no honest client sends.

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::client;
use super::server::{PATIENCE, Server};

/// A gRPC frame with this first byte: 1 says that it is compressed.
pub fn flagged(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

pub fn framed(message: &impl Message) -> Bytes {
    flagged(0, &message.encode_to_vec())
}

/// A request that stays open after these bytes: what ends it is the server.
pub fn open(frames: Vec<Bytes>) -> Body {
    let frames = tokio_stream::iter(frames).map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
    Body::new(StreamBody::new(frames.chain(tokio_stream::pending())))
}

/// A request that ends after these bytes.
pub fn whole(bytes: Bytes) -> Body {
    Body::new(http_body_util::Full::new(bytes))
}

/// How the answer to a request ends, whatever comes before.
pub async fn end_of(server: &Server, path: &str, body: Body) -> Status {
    let mut channel = client::channel(&server.url).await;
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/grpc")
        .header(http::header::TE, "trailers")
        .body(body)
        .unwrap();
    let answer = async {
        let response = channel.ready().await.unwrap().call(request).await.unwrap();
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status;
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        return Status::from_header_map(trailers).expect("a status");
                    }
                }
                Err(status) => return status,
            }
        }
        panic!("{path} ended without a status")
    };
    let answered = timeout(PATIENCE, answer).await;
    answered.unwrap_or_else(|_| panic!("{path} does not end in time"))
}
