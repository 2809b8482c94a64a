//! What the chain made of a message: it passes or is stopped, by a plugin's decision or for want of one.

use std::time::Duration;

use crate::proto::log::v1::Failure;

/// What a judging role made of a message.
#[derive(Debug, Default)]
pub struct Judged {
    /// None: it passes.
    pub stopped: Option<Stopped>,
    /// The revised text, where it was revised.
    pub text: Option<String>,
    /// Who failed at it.
    pub failures: Vec<Failure>,
}

/// Why a plugin answers nothing.
#[derive(Debug)]
pub enum Silent {
    /// It failed.
    Failed(Box<Failure>),
    /// It is in quarantine, for so long yet; [`Duration::MAX`]: until the operator releases it.
    Quarantined(Duration),
}

/// A message that does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// None: in silence.
    pub reason: Option<String>,
    /// Whose decision.
    pub plugin: String,
}

impl Silent {
    /// What a sender reads where this keeps something back.
    pub fn words(&self, plugin: &str) -> String {
        match self {
            Self::Failed(_) => format!("the plugin `{plugin}` failed; try again later"),
            Self::Quarantined(Duration::MAX) => {
                format!("the plugin `{plugin}` is paused by the operator")
            }
            Self::Quarantined(left) => format!(
                "the plugin `{plugin}` is paused, for it failed or was slow too often; try again in {} s",
                left.as_millis().div_ceil(1000)
            ),
        }
    }
}
