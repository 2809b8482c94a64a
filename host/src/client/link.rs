//! One stream to the server: opening, open, or closed.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status, Streaming};

use super::session::Lost;
use crate::proto::v1::chat_client::ChatClient;
use crate::proto::v1::{ClientFrame, ServerFrame};

/// Frames on their way out. Hello, join and one send at a time fit many times over; a link that does not take them
/// is dead and is given up.
const OUT: usize = 32;
/// The largest frame taken from a server: bodies are bounded far below this.
const FRAME_BYTES: usize = 16 * 1024 * 1024;

type Opening =
    Pin<Box<dyn Future<Output = Result<Response<Streaming<ServerFrame>>, Status>> + Send>>;

/// A connection to the server that is made when it is needed and again after it broke.
///
/// # Errors
/// In words, when `server` is no URL that this client can speak to.
pub fn channel(server: &str) -> Result<Channel, String> {
    if server.starts_with("https://") {
        return Err(format!(
            "{server}: this client speaks http:// only; put it and the server behind a tunnel, or use a TLS proxy on this machine"
        ));
    }
    if !server.starts_with("http://") {
        return Err(format!(
            "{server}: not a server's address; write it like http://127.0.0.1:8081"
        ));
    }
    let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|e| {
        format!("{server}: not a server's address ({e}); write it like http://127.0.0.1:8081")
    })?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .connect_lazy())
}

/// A client on such a connection.
#[must_use]
pub fn client(channel: Channel) -> ChatClient<Channel> {
    ChatClient::new(channel).max_decoding_message_size(FRAME_BYTES)
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
    Opening(Opening, mpsc::Sender<ClientFrame>),
    /// Open.
    Open(Streaming<ServerFrame>, mpsc::Sender<ClientFrame>),
}

impl Link {
    /// Begins to open a stream; frames can be sent at once.
    #[must_use]
    pub fn open(channel: Channel) -> Self {
        let (frames, out) = mpsc::channel(OUT);
        let mut client = client(channel);
        let opening = async move { client.connect(ReceiverStream::new(out)).await };
        Self::Opening(Box::pin(opening), frames)
    }

    /// Puts a frame on the stream. On a closed link it is dropped: the session sends it again when it resumes.
    pub fn send(&mut self, frame: ClientFrame) {
        let (Self::Opening(_, frames) | Self::Open(_, frames)) = self else {
            return;
        };
        // Full or closed: the stream is dead, and `next` or the session's patience ends it.
        let _ = frames.try_send(frame);
    }

    /// Waits for news; for ever on a closed link. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(opening, _) => match opening.await {
                Ok(response) => {
                    if let Self::Opening(_, frames) = std::mem::take(self) {
                        *self = Self::Open(response.into_inner(), frames);
                    }
                    News::Opened
                }
                Err(status) => self.lost(&status),
            },
            Self::Open(stream, _) => match stream.message().await {
                Ok(Some(frame)) => News::Frame(frame),
                Ok(None) => self.ended(Code::Ok, "the server closed the connection".into()),
                Err(status) => self.lost(&status),
            },
        }
    }

    fn lost(&mut self, status: &Status) -> News {
        self.ended(status.code(), words(status))
    }

    fn ended(&mut self, code: Code, why: String) -> News {
        *self = Self::Closed;
        News::Lost(Lost { code, why })
    }
}

/// A status as a person reads it: the server's words, or what broke underneath.
#[must_use]
pub fn words(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut innermost = None;
    while let Some(error) = cause {
        innermost = Some(error.to_string());
        cause = error.source();
    }
    match (status.message(), innermost) {
        (_, Some(cause))
            if status.code() == Code::Unavailable || status.code() == Code::Unknown =>
        {
            cause
        }
        ("", Some(cause)) => cause,
        ("", None) => status.code().description().to_owned(),
        (message, _) => message.to_owned(),
    }
}
