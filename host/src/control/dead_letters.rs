//! What may be asked about dead letters, and how they are shown.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::gateway::Gateway;
use crate::proto::log::v1::{DeadLetter, Verdict};
use crate::state::ids::Partition;

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The newest.
    List {
        /// At most so many.
        limit: usize,
    },
    /// One of them.
    Show {
        /// `2-17`, or the message's ULID.
        id: String,
    },
    /// Send its message again.
    Retry {
        /// As above.
        id: String,
    },
    /// Forget all of them.
    Clear,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Newest first.
    Letters(Vec<Letter>),
    /// One.
    Letter(Box<Letter>),
    /// It was sent again, now or before.
    Retried {
        /// What became of it: `delivered`, `withheld`, `discarded`, `handled` …
        outcome: String,
        /// Why.
        reason: String,
        /// It had been sent again before.
        before: bool,
    },
    /// So many are forgotten.
    Cleared(usize),
    /// Not done, and why.
    Refused(String),
}

/// A message at which plugins failed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Letter {
    /// `2-17`.
    pub id: String,
    /// ULID of the message.
    pub message: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// The room's name.
    pub room: String,
    /// The sender's name.
    pub sender: String,
    /// The sender's number.
    pub person: u64,
    /// Where the message is in the ingress log.
    pub partition: u16,
    /// Where the message is in the ingress log.
    pub offset: u64,
    /// As it was sent.
    pub text: String,
    /// What became of it all the same: `delivered`, `withheld` …
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// Who failed at it.
    pub failures: Vec<Failure>,
    /// What became of it when it was sent again.
    pub retried: Option<Again>,
}

/// A plugin that failed.
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // As in log.proto.
pub struct Failure {
    pub plugin: String,
    pub version: String,
    pub role: String,
    pub blame: String,
    pub detail: String,
    pub policy: String,
    pub output: String,
}

/// What became of a message that was sent again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Again {
    /// ULID of the new message.
    pub message: String,
    /// As above.
    pub outcome: String,
    /// As above.
    pub reason: String,
}

pub(super) async fn carry_out(request: Request, gateway: &Gateway) -> Answer {
    let answer = match request {
        Request::List { limit } => gateway.dead_letters(limit).map(|letters| {
            let shown = letters.into_iter().map(|(p, letter)| shown(p, letter));
            Answer::Letters(shown.collect())
        }),
        Request::Show { id } => gateway
            .dead_letter(&id)
            .map(|(partition, letter)| Answer::Letter(Box::new(shown(partition, letter)))),
        Request::Retry { id } => {
            let retried = gateway.retry_dead_letter(&id).await;
            retried.map(|retried| Answer::Retried {
                outcome: word(retried.verdict).into(),
                reason: retried.reason,
                before: retried.before,
            })
        }
        Request::Clear => gateway.clear_dead_letters().await.map(Answer::Cleared),
    };
    answer.unwrap_or_else(Answer::Refused)
}

fn shown(partition: Partition, letter: DeadLetter) -> Letter {
    let outcome = word(letter.verdict()).into();
    let failures = letter.failures.into_iter().map(|failure| Failure {
        plugin: failure.plugin,
        version: failure.version,
        role: failure.role,
        blame: failure.kind,
        detail: failure.detail,
        policy: failure.policy,
        output: failure.output,
    });
    Letter {
        id: format!("{partition}-{}", letter.number),
        message: ulid(&letter.id),
        time_ms: letter.time_ms,
        room: letter.room_name,
        sender: letter.name,
        person: letter.person,
        partition: partition.0,
        offset: letter.offset,
        text: letter.text,
        outcome,
        reason: letter.reason,
        failures: failures.collect(),
        retried: letter.retried.map(|again| Again {
            message: ulid(&again.id),
            outcome: word(again.verdict()).into(),
            reason: again.reason,
        }),
    }
}

fn ulid(bytes: &[u8]) -> String {
    bytes.try_into().map_or_else(
        |_| String::new(),
        |bytes| Ulid::from_bytes(bytes).to_string(),
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Withheld => "withheld",
        Verdict::Discarded => "discarded",
        Verdict::Handled => "handled",
        Verdict::Repeat => "repeat",
        Verdict::SendAgain => "send again",
        Verdict::Refused => "refused",
        Verdict::Unspecified => "unknown",
    }
}
