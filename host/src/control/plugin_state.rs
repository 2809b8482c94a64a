//! What may be asked about plugins' memories, and how an entry is written down: readable where it can be, exact always.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::base64;
use crate::gateway::{Gateway, NotTaken};
use crate::proto::log::v1::{ImportPluginState, PluginEntry, PluginStateValue};

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Where a plugin remembers how much.
    Show {
        /// Whose.
        plugin: String,
        /// In this room alone.
        room: Option<String>,
    },
    /// All that it remembers in a room.
    Export {
        /// Whose.
        plugin: String,
        /// Where.
        room: String,
    },
    /// A piece of what it is to remember in a room; the last one makes all of them count.
    Import(Piece),
    /// Forget it, and remove its timers.
    Delete {
        /// Whose.
        plugin: String,
        /// In this room alone.
        room: Option<String>,
    },
}

/// A piece of an import. Sent again, it counts once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)] // As in log.proto.
pub struct Piece {
    pub plugin: String,
    pub room: String,
    pub import: u128,
    pub piece: u32,
    pub last: bool,
    pub replace: bool,
    pub layout: u32,
    pub entries: Vec<Entry>,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// By room.
    Memories(Vec<Memory>),
    /// One room's.
    Contents(Contents),
    /// Done.
    Done,
    /// Not known: to be asked again as it was.
    Unknown(String),
    /// Not done, and why.
    Refused(String),
}

/// How much a plugin remembers in a room.
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Memory {
    pub room: String,
    pub entries: u64,
    /// Of keys and values.
    pub bytes: u64,
    pub layout: u32,
    pub timers: u64,
}

/// All that a plugin remembers in a room, as it was at one point of the log.
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Contents {
    pub layout: u32,
    pub partition: u16,
    /// The next outcome of the partition.
    pub outcome: u64,
    /// The partition's time, in milliseconds.
    pub time_ms: u64,
    pub entries: Vec<Entry>,
}

/// An entry as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// The value.
    #[serde(flatten)]
    pub value: Value,
    /// When it is forgotten, in milliseconds since 1970-01-01 UTC; 0 where it is not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expires_ms: u64,
}

/// A value, written down as what it most likely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Text, as all values that are JSON.
    Text(String),
    /// Eight bytes, little-endian, signed.
    Counter(i64),
    /// Anything else.
    Base64(String),
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Value {
    /// Written down.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(bytes)
            && !text
                .chars()
                .any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            return Self::Text(text.to_owned());
        }
        match bytes.try_into() {
            Ok(counter) => Self::Counter(i64::from_le_bytes(counter)),
            Err(_) => Self::Base64(base64::encode(bytes)),
        }
    }

    /// The value itself; none where it is not Base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Counter(number) => Some(number.to_le_bytes().to_vec()),
            Self::Base64(text) => base64::decode(text),
        }
    }
}

impl Entry {
    fn of((key, stored): (String, PluginStateValue)) -> Self {
        Self {
            key,
            value: Value::of(&stored.value),
            expires_ms: stored.expires_ms,
        }
    }

    fn into_log(self) -> Result<PluginEntry, String> {
        let Some(value) = self.value.bytes() else {
            return Err(format!("the value of `{}` is not Base64", self.key));
        };
        Ok(PluginEntry {
            key: self.key,
            value: Some(Bytes::from(value)),
            expires_ms: self.expires_ms,
        })
    }
}

pub(super) async fn carry_out(request: Request, gateway: &std::sync::Arc<Gateway>) -> Answer {
    match request {
        // Both read the disk, and may read much.
        Request::Show { plugin, room } => {
            let gateway = gateway.clone();
            reading(move || {
                let found = gateway.memories(&plugin, room.as_deref())?;
                Ok(Answer::Memories(found.into_iter().map(shown).collect()))
            })
            .await
        }
        Request::Export { plugin, room } => {
            let gateway = gateway.clone();
            reading(move || {
                let (partition, found) = gateway.memory_in(&plugin, &room)?;
                Ok(Answer::Contents(Contents {
                    layout: found.layout,
                    partition: partition.0,
                    outcome: found.position.next_outcome,
                    time_ms: found.position.time_ms,
                    entries: found.entries.into_iter().map(Entry::of).collect(),
                }))
            })
            .await
        }
        Request::Import(piece) => {
            let entries: Result<Vec<_>, _> =
                piece.entries.into_iter().map(Entry::into_log).collect();
            let entries = match entries {
                Ok(entries) => entries,
                Err(reason) => return Answer::Refused(reason),
            };
            let taken = gateway.import_memory(ImportPluginState {
                plugin: piece.plugin,
                room: piece.room,
                import: piece.import.to_be_bytes().to_vec().into(),
                piece: piece.piece,
                last: piece.last,
                replace: piece.replace,
                layout: piece.layout,
                entries,
            });
            match taken.await {
                Ok(()) => Answer::Done,
                Err(NotTaken::Refused(reason)) => Answer::Refused(reason),
                Err(NotTaken::Unknown(reason)) => Answer::Unknown(reason),
            }
        }
        Request::Delete { plugin, room } => {
            let done = gateway.forget_memories(&plugin, room.as_deref()).await;
            done.map_or_else(Answer::Refused, |()| Answer::Done)
        }
    }
}

async fn reading(read: impl FnOnce() -> Result<Answer, String> + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(read).await {
        Ok(answer) => answer.unwrap_or_else(Answer::Refused),
        Err(error) => Answer::Refused(error.to_string()),
    }
}

fn shown(memory: crate::rooms::Memory) -> Memory {
    Memory {
        room: memory.room,
        entries: memory.account.entries,
        bytes: memory.account.bytes,
        layout: memory.account.layout,
        timers: memory.timers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_plugin_remembers_comes_back_as_it_was() {
        for (bytes, written) in [
            (&b"{\"a\":1}"[..], r#""text":"{\"a\":1}""#),
            (b"", r#""text":"""#),
            (&7_i64.to_le_bytes(), r#""counter":7"#),
            (&(-1_i64).to_le_bytes(), r#""counter":-1"#),
            (&[0, 255], r#""base64":"AP8=""#),
            (b"eight by", r#""text":"eight by""#),
        ] {
            let entry = Entry {
                key: "k".into(),
                value: Value::of(bytes),
                expires_ms: 0,
            };
            let text = serde_json::to_string(&entry).unwrap();
            assert!(text.contains(written), "{text}");
            let back: Entry = serde_json::from_str(&text).unwrap();
            assert_eq!(back.value.bytes().unwrap(), bytes, "{text}");
        }
    }
}
