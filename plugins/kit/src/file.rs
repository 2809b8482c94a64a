//! A case file as it is written. Whatever is not known here is an error that names its line.

use std::collections::BTreeMap;
use std::fmt;

use chat_plugin::{Run, Style, Target};
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Map, Value};
use toml::Spanned;

use crate::span::Span;

/// Why a case file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("the case file {path} can't be read: {error}")]
    Read {
        /// Where it should be.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not TOML, or holds a key or value that cases don't have.
    #[error("{0}")]
    Form(#[from] toml::de::Error),
    /// It is well formed, and makes no sense.
    #[error("line {line}: {what}")]
    Sense {
        /// Where.
        line: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) settings: Map<String, Value>,
    #[serde(default = "people")]
    pub(crate) people: Vec<String>,
    #[serde(default = "rooms")]
    pub(crate) rooms: Vec<String>,
    #[serde(default)]
    pub(crate) case: Vec<Case>,
}

fn people() -> Vec<String> {
    ["ann", "bob", "cho"].map(Into::into).into()
}

fn rooms() -> Vec<String> {
    ["lobby", "tea"].map(Into::into).into()
}

/// What is remembered, by room and key.
pub(crate) type Rooms = BTreeMap<Spanned<String>, BTreeMap<String, Entry>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: Spanned<String>,
    pub(crate) settings: Option<Map<String, Value>>,
    pub(crate) refused: Option<String>,
    #[serde(default)]
    pub(crate) seed: u64,
    #[serde(default)]
    pub(crate) given: Rooms,
    pub(crate) layout: Option<u32>,
    #[serde(default)]
    pub(crate) steps: Vec<Spanned<Step>>,
    #[serde(default)]
    pub(crate) left: Rooms,
}

/// What is under a key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Entry {
    Json(Value),
    Counter(i64),
    Absent,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) send: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) timer: Option<String>,
    pub(crate) format: Option<Text>,
    pub(crate) review: Option<Text>,
    pub(crate) from: Option<String>,
    pub(crate) room: Option<String>,
    pub(crate) at: Option<Span>,
    pub(crate) expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Expect {
    Allow,
    Discard,
    Unchanged,
    Revise(String),
    Withhold(String),
    Usage(String),
    Effects(Vec<Effect>),
    Runs(Vec<RunLine>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Effect {
    Say(String),
    Act(String),
    Notice(String),
    Whisper {
        to: String,
        text: String,
    },
    Reply(String),
    Topic(String),
    Mute {
        person: String,
        lasting: Span,
    },
    Schedule {
        key: String,
        delay: Span,
        #[serde(default)]
        data: String,
    },
    Cancel(String),
}

/// A body: plain text, or a list of runs.
#[derive(Debug)]
pub(crate) enum Text {
    Plain(String),
    Styled(Vec<RunLine>),
}

// By hand, because an untagged enum forgets which key of which line was wrong.
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of runs such as `{ text = \"…\" }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Plain(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, runs: A) -> Result<Text, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(runs)).map(Text::Styled)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunLine {
    text: String,
    #[serde(default)]
    style: Vec<Look>,
    url: Option<String>,
    #[serde(default)]
    mention: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Look {
    Strong,
    Emphasis,
    Strike,
    Code,
    Block,
    Quote,
}

impl From<RunLine> for Run {
    fn from(line: RunLine) -> Self {
        let style = line.style.iter().map(|look| match look {
            Look::Strong => Style::STRONG,
            Look::Emphasis => Style::EMPHASIS,
            Look::Strike => Style::STRIKE,
            Look::Code => Style::CODE,
            Look::Block => Style::BLOCK,
            Look::Quote => Style::QUOTE,
        });
        Run {
            text: line.text,
            style: style.collect(),
            target: match line.url {
                Some(url) => Target::Url(url),
                None if line.mention => Target::Mention,
                None => Target::None,
            },
        }
    }
}
