//! What becomes of a message.

/// The answer of [`crate::Moderation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It passes with this text, which is what the next plugin sees. Bounded like a message.
    Revise(String),
    /// It is kept back, and its sender is told this reason (at most 512 bytes).
    Withhold(String),
    /// It is kept back, and nobody is told.
    Discard,
}

impl Verdict {
    /// It passes with this text.
    #[must_use]
    pub fn revise(text: impl Into<String>) -> Self {
        Verdict::Revise(text.into())
    }

    /// It is kept back, for this reason.
    #[must_use]
    pub fn withhold(reason: impl Into<String>) -> Self {
        Verdict::Withhold(reason.into())
    }
}

/// The answer of [`crate::Review`]: a verdict that can't revise, for what is judged is already laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It passes.
    Allow,
    /// It is kept back, and its sender is told this reason (at most 512 bytes).
    Withhold(String),
    /// It is kept back, and nobody is told.
    Discard,
}

impl Judgement {
    /// It is kept back, for this reason.
    #[must_use]
    pub fn withhold(reason: impl Into<String>) -> Self {
        Judgement::Withhold(reason.into())
    }
}
