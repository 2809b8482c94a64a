//! Why a connection came to its end.

/// A connection that can't be used any more, and why.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The other side closed it, or it was reset.
    #[error("the connection ended: {0}")]
    Io(#[from] std::io::Error),
    /// The server ended the stream: its status is in trailers that are not decoded here.
    #[error("the server ended the stream")]
    StreamEnded,
    /// `RST_STREAM`.
    #[error("the server reset the stream with HTTP/2 error {0}")]
    Reset(u32),
    /// `GOAWAY` other than for a graceful end.
    #[error("the server ended the connection with HTTP/2 error {0}")]
    GoAway(u32),
    /// No gRPC answer, or a refusal before the session began.
    #[error("the server refused: {message} (code {code})")]
    Refused {
        /// The gRPC status code.
        code: u32,
        /// What the server says about it.
        message: String,
    },
    /// The server announced the end.
    #[error("the server said goodbye: {0}")]
    Goodbye(String),
    /// Handshake or connect took too long.
    #[error("no answer within {0:?}")]
    Slow(std::time::Duration),
    /// A frame that this client never asked for.
    #[error("an HTTP/2 frame of kind {kind} with {length} bytes is not understood")]
    Frame {
        /// The frame's type.
        kind: u8,
        /// Its payload.
        length: usize,
    },
    /// Compression was not offered.
    #[error("a compressed message came, though none was asked for")]
    Compressed,
    /// Far beyond the protocol.
    #[error("a message of {0} bytes came")]
    MessageTooLarge(usize),
}
