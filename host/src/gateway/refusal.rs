//! Refusals: what was wrong, what to do, and when to come back; as an error event or as a gRPC status.

use std::time::Duration;

use tonic::{Code, Status};

use crate::proto::v1::{self, server_frame::Frame};
use crate::state::name::NameError;
use crate::state::store::StoreError;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status.
    pub code: Code,
    /// For the person who reads it.
    pub message: String,
    /// When to come back; none where that would not help.
    pub retry_after: Option<Duration>,
    /// The oldest number that is kept, with `OUT_OF_RANGE`.
    pub oldest: u64,
}

/// The result of something that may be refused.
pub type Admission<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal that coming back does not change.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            oldest: 0,
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A bound is met.
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// It can't be done now: come back.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message).retry(Duration::from_secs(1))
    }

    /// When to come back.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    fn retry_ms(&self) -> u64 {
        self.retry_after.map_or(0, |wait| {
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)
        })
    }

    /// As an event of a session.
    #[must_use]
    pub fn event(&self, room: &str, client_id: &str) -> Frame {
        Frame::Error(v1::Error {
            code: self.code as u32,
            message: self.message.clone(),
            client_id: client_id.to_owned(),
            room: room.to_owned(),
            retry_after_ms: self.retry_ms(),
            oldest: self.oldest,
        })
    }

    /// As the status of a call. When to come back is in the metadata too, as gRPC's retry push-back.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status::new(self.code, self.message.clone());
        let mut insert = |key: &'static str, number: u64| {
            if number > 0
                && let Ok(value) = number.to_string().parse()
            {
                status.metadata_mut().insert(key, value);
            }
        };
        insert("grpc-retry-pushback-ms", self.retry_ms());
        insert("chat-oldest", self.oldest);
        status
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error.to_string())
    }
}
