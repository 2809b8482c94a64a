//! A plugin's log lines: cut, cleaned and bounded on their way into the host's log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::LogLevel;
use super::fault::one_line;

/// Longer lines are cut.
const LINE_BYTES: usize = 1024;

/// How many lines an instance may write at once, and how long it takes to earn another.
const BURST: u32 = 50;
const EARN: Duration = Duration::from_millis(200);

/// One instance's way into the log.
pub(super) struct Lines {
    plugin: Arc<str>,
    left: u32,
    earned_at: Instant,
    dropped: u64,
}

impl Lines {
    pub(super) fn new(plugin: Arc<str>) -> Self {
        Self {
            plugin,
            left: BURST,
            earned_at: Instant::now(),
            dropped: 0,
        }
    }

    pub(super) fn write(&mut self, level: LogLevel, text: &str) {
        self.earn();
        if self.left == 0 {
            self.dropped += 1;
            return;
        }
        self.left -= 1;
        self.tell_dropped();
        let plugin = &*self.plugin;
        let line = one_line(text, LINE_BYTES);
        match level {
            LogLevel::Debug => debug!(plugin, "{line}"),
            LogLevel::Info => info!(plugin, "{line}"),
            LogLevel::Warn => warn!(plugin, "{line}"),
            LogLevel::Error => error!(plugin, "{line}"),
        }
    }

    fn earn(&mut self) {
        let earned = self.earned_at.elapsed().as_millis() / EARN.as_millis();
        if let Some(earned) = u32::try_from(earned).ok().filter(|earned| *earned > 0) {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.earned_at = Instant::now();
        }
    }

    fn tell_dropped(&mut self) {
        if self.dropped > 0 {
            warn!(
                plugin = &*self.plugin,
                dropped = self.dropped,
                "log lines of a plugin dropped"
            );
            self.dropped = 0;
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.tell_dropped();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let mut lines = Lines::new("flood".into());
        for _ in 0..BURST + 100 {
            lines.write(LogLevel::Debug, "again");
        }
        assert!(lines.dropped >= 99, "{}", lines.dropped);
        assert_eq!(lines.left, 0);
    }
}
