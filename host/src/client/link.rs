//! One stream to the server: opening, open, or closed.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status, Streaming};

use super::address::Address;
use super::session::Lost;
use crate::proto::v1::chat_client::ChatClient;
use crate::proto::v1::{ClientFrame, ServerFrame};

/// Frames on their way out. Hello, join and one send at a time fit many times over; a link that does not take them
/// is dead and is given up.
const OUT: usize = 32;
/// The largest frame taken from a server: bodies are bounded far below this.
const FRAME_BYTES: usize = 16 * 1024 * 1024;
/// How HTTP/2 is said to have failed where the other side does not speak it; there is no type to tell it by.
const NOT_HTTP2: &str = "FRAME_SIZE_ERROR";

type Opening =
    Pin<Box<dyn Future<Output = Result<Response<Streaming<ServerFrame>>, Status>> + Send>>;

/// A server: where it is, and a connection to it that is made when it is needed and again after it broke.
#[derive(Debug, Clone)]
pub struct Server {
    address: Address,
    channel: Channel,
}

impl Server {
    /// Connects at the first call.
    #[must_use]
    pub fn at(address: Address) -> Self {
        let channel = Endpoint::from(address.uri().clone())
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true)
            .connect_lazy();
        Self { address, channel }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A client on the connection.
    #[must_use]
    pub fn client(&self) -> ChatClient<Channel> {
        ChatClient::new(self.channel.clone()).max_decoding_message_size(FRAME_BYTES)
    }

    /// What a person should read: the server's own words as they are; where none came, what broke and what to do.
    #[must_use]
    pub fn explained(&self, status: Status) -> Status {
        let address = &self.address;
        let Some(cause) = innermost(&status) else {
            return match (status.code(), status.message()) {
                (Code::Unimplemented, words) => Status::unavailable(format!(
                    "{address} is not a chat-host of this version ({words}); name another with --server"
                )),
                (code, "") => Status::new(code, code.description()),
                _ => status,
            };
        };
        // What the system says ends with its number, which tells a person nothing.
        let words = cause.to_string();
        let words = words.split(" (os error").next().unwrap_or_default();
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        Status::unavailable(match kind {
            Some(io::ErrorKind::ConnectionRefused) => format!(
                "no server at {address} (connection refused); start one with `chat-host serve`, or name another with --server"
            ),
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof,
            ) => format!("the connection to {address} broke ({words})"),
            Some(_) => format!("no server at {address} ({words}); name another with --server"),
            None if format!("{status:?}").contains(NOT_HTTP2) => {
                format!("{address} is not a chat-host ({words}); name another with --server")
            }
            None => {
                format!("the connection to {address} broke ({words}); is a chat-host there?")
            }
        })
    }
}

/// The cause at the bottom; none where the status came from the server.
fn innermost(status: &Status) -> Option<&(dyn Error + 'static)> {
    let mut cause = status.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause)
}

/// What a link reports.
#[derive(Debug)]
pub enum News {
    /// The server took the stream.
    Opened,
    /// A frame has come.
    Frame(ServerFrame),
    /// It ended. The link is closed now.
    Lost(Lost),
}

/// One stream.
#[derive(Default)]
pub enum Link {
    /// None.
    #[default]
    Closed,
    /// On its way.
    Opening(Server, Opening, mpsc::Sender<ClientFrame>),
    /// Open.
    Open(Server, Streaming<ServerFrame>, mpsc::Sender<ClientFrame>),
}

impl Link {
    /// Begins to open a stream; frames can be sent at once.
    #[must_use]
    pub fn open(server: Server) -> Self {
        let (frames, out) = mpsc::channel(OUT);
        let mut client = server.client();
        let opening = async move { client.connect(ReceiverStream::new(out)).await };
        Self::Opening(server, Box::pin(opening), frames)
    }

    /// Puts a frame on the stream. On a closed link it is dropped: the session sends it again when it resumes.
    pub fn send(&mut self, frame: ClientFrame) {
        let (Self::Opening(.., frames) | Self::Open(.., frames)) = self else {
            return;
        };
        // Full or closed: the stream is dead, and `next` or the session's patience ends it.
        let _ = frames.try_send(frame);
    }

    /// Waits for news; for ever on a closed link. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(server, opening, _) => match opening.await {
                Ok(response) => {
                    if let Self::Opening(server, _, frames) = std::mem::take(self) {
                        *self = Self::Open(server, response.into_inner(), frames);
                    }
                    News::Opened
                }
                Err(status) => {
                    let status = server.explained(status);
                    self.lost(&status)
                }
            },
            Self::Open(server, stream, _) => match stream.message().await {
                Ok(Some(frame)) => News::Frame(frame),
                Ok(None) => self.ended(Code::Ok, "the server closed the connection".into()),
                Err(status) => {
                    let status = server.explained(status);
                    self.lost(&status)
                }
            },
        }
    }

    fn lost(&mut self, status: &Status) -> News {
        self.ended(status.code(), status.message().to_owned())
    }

    fn ended(&mut self, code: Code, why: String) -> News {
        *self = Self::Closed;
        News::Lost(Lost { code, why })
    }
}
