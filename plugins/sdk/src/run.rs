//! A laid-out body: runs of text, each with one look. No offsets and no escaping, so any client can render it safely.

use crate::{PersonId, RoomId};

bitflags::bitflags! {
    /// How a run looks. Flags combine.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Style: u8 {
        /// Bold.
        const STRONG = 1;
        /// Italic.
        const EMPHASIS = 1 << 1;
        /// Struck through.
        const STRIKE = 1 << 2;
        /// Typed out, in a monospaced face.
        const CODE = 1 << 3;
        /// A paragraph of its own.
        const BLOCK = 1 << 4;
        /// Said by somebody else.
        const QUOTE = 1 << 5;
    }
}

/// Where a run leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    #[default]
    None,
    /// To an absolute http, https or mailto address of at most 2,048 bytes.
    Url(String),
    /// To the person whose name is the run's text.
    Mention,
}

/// A stretch of displayed text with one look. The texts of all runs together are the displayed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is displayed.
    pub text: String,
    /// How it looks.
    pub style: Style,
    /// Where it leads.
    pub target: Target,
}

impl Run {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Run {
            text: text.into(),
            style: Style::empty(),
            target: Target::None,
        }
    }

    /// A person's name.
    #[must_use]
    pub fn mention(name: impl Into<String>) -> Self {
        Run {
            target: Target::Mention,
            ..Run::text(name)
        }
    }

    /// The run, looking like this too.
    #[must_use]
    pub fn styled(self, style: Style) -> Self {
        Run {
            style: self.style | style,
            ..self
        }
    }

    /// The run in bold.
    #[must_use]
    pub fn strong(self) -> Self {
        self.styled(Style::STRONG)
    }

    /// The run in italics.
    #[must_use]
    pub fn emphasis(self) -> Self {
        self.styled(Style::EMPHASIS)
    }

    /// The run struck through.
    #[must_use]
    pub fn strike(self) -> Self {
        self.styled(Style::STRIKE)
    }

    /// The run typed out.
    #[must_use]
    pub fn code(self) -> Self {
        self.styled(Style::CODE)
    }

    /// The run as a paragraph of its own.
    #[must_use]
    pub fn block(self) -> Self {
        self.styled(Style::BLOCK)
    }

    /// The run as somebody else's words.
    #[must_use]
    pub fn quote(self) -> Self {
        self.styled(Style::QUOTE)
    }

    /// The run, leading to `url`.
    #[must_use]
    pub fn link(self, url: impl Into<String>) -> Self {
        Run {
            target: Target::Url(url.into()),
            ..self
        }
    }
}

/// What members would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As it was decided.
    Plain(String),
    /// As a formatting plugin laid it out.
    Styled(Vec<Run>),
}

/// A body on its way to the members of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it will be read.
    pub room: RoomId,
    /// Who said it.
    pub sender: PersonId,
    /// What was said.
    pub body: Body,
}

impl Item {
    /// A plain item for tests: room 1, sender 1.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Item {
            room: RoomId(1),
            sender: PersonId(1),
            body: Body::Plain(text.into()),
        }
    }
}
