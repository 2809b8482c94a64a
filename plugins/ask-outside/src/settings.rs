//! What the operator sets.

use std::time::Duration;

use serde::Deserialize;

/// The host ends every request after so much time.
const LONGEST_MS: u64 = 5_000;

/// As they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the service is asked.
    pub(crate) url: String,
    /// How long its answer may take.
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u64,
    /// What becomes of a message for which there is no answer of use.
    #[serde(default)]
    pub(crate) when_unreachable: WhenUnreachable,
    /// Sent along, for the service to know who asks.
    #[serde(default)]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenUnreachable {
    #[default]
    Allow,
    Withhold,
}

/// Within the 50 ms on the clock that a plugin has where the operator says nothing else.
fn default_timeout_ms() -> u64 {
    40
}

impl Settings {
    /// An error names the setting and what it may be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Err(format!(
                "`url` is `{}`; write where the service is, with http:// or https://",
                self.url
            ));
        }
        if !(1..=LONGEST_MS).contains(&self.timeout_ms) {
            return Err(format!(
                "`timeout_ms` is {}; make it 1 to {LONGEST_MS}",
                self.timeout_ms
            ));
        }
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
