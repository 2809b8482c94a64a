//! What one plugin may use, as numbers, and the guard over its memory.
//!
//! Times are enforced by `drive`, host calls by `outside`, answers by `check`.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::config::{PluginConfig, PluginDefaults};

/// The most elements of one table: function pointers, mostly.
pub(super) const TABLE_ELEMENTS: usize = 100_000;

/// No batch has longer than this, however many messages it holds.
const BATCH_MOST: Duration = Duration::from_millis(250);

/// The bounds of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Of computing, for one message.
    pub(super) running: Duration,
    /// On the clock, for one message.
    pub(super) wall: Duration,
    /// For `describe` and `start`, each.
    pub(super) start: Duration,
    /// Of one instance.
    pub(super) memory_bytes: usize,
    /// The largest message text.
    pub(super) message_bytes: usize,
}

/// How long one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) running: Duration,
    pub(super) wall: Duration,
}

impl Limits {
    pub(super) fn new(defaults: &PluginDefaults, own: &PluginConfig, message_bytes: usize) -> Self {
        let ms = Duration::from_millis;
        Self {
            running: ms(own.running_ms.unwrap_or(defaults.running_ms)),
            wall: ms(own.wall_ms.unwrap_or(defaults.wall_ms)),
            start: ms(defaults.start_ms),
            memory_bytes: own.memory_bytes.unwrap_or(defaults.memory_bytes),
            message_bytes,
        }
    }

    /// For a batch: as many times a message's time, at most 250 ms (or one message's, where that is more).
    pub(super) fn batch(&self, messages: usize) -> Deadline {
        let times = u32::try_from(messages.max(1)).unwrap_or(u32::MAX);
        let of = |one: Duration| one.saturating_mul(times).min(BATCH_MOST.max(one));
        Deadline {
            running: of(self.running),
            wall: of(self.wall),
        }
    }

    /// For `describe` and `start`.
    pub(super) fn starting(&self) -> Deadline {
        Deadline {
            running: self.start,
            wall: self.start,
        }
    }
}

/// Says no to growth beyond the limits, and remembers that it did: the guest's allocator then traps with an
/// `unreachable` that does not say why.
pub(super) struct MemoryGuard {
    memory_bytes: usize,
    /// What was denied during the current call.
    pub(super) denied: Option<String>,
    /// Bytes of linear memory in all.
    pub(super) held: usize,
}

impl MemoryGuard {
    pub(super) fn new(memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            denied: None,
            held: 0,
        }
    }
}

impl ResourceLimiter for MemoryGuard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let most = self.memory_bytes.min(maximum.unwrap_or(usize::MAX));
        if desired > most {
            self.denied = Some(format!(
                "it asked for {desired} bytes of memory and may have {most}"
            ));
        } else {
            self.held += desired.saturating_sub(current);
        }
        Ok(desired <= most)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            self.denied = Some(format!(
                "it asked for a table of {desired} elements and may have {TABLE_ELEMENTS}"
            ));
        }
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(running_ms: u64) -> Limits {
        let defaults = PluginDefaults {
            running_ms,
            ..PluginDefaults::default()
        };
        Limits::new(&defaults, &PluginConfig::default(), 4096)
    }

    #[test]
    fn a_batch_has_as_many_times_the_time_of_a_message_but_at_most_250_ms() {
        let ms = Duration::from_millis;
        assert_eq!(limits(50).batch(1).running, ms(50));
        assert_eq!(limits(50).batch(3).running, ms(150));
        assert_eq!(limits(50).batch(256).running, ms(250));
        assert_eq!(limits(400).batch(2).running, ms(400));
    }

    #[test]
    fn denied_growth_is_remembered() {
        let mut guard = MemoryGuard::new(1 << 20);
        assert!(guard.memory_growing(0, 1 << 20, None).unwrap());
        assert!(guard.denied.is_none());
        assert!(!guard.memory_growing(0, (1 << 20) + 1, None).unwrap());
        assert!(guard.denied.is_some());
    }

    #[test]
    fn a_table_that_grows_too_large_is_denied() {
        let mut guard = MemoryGuard::new(1 << 20);
        assert!(guard.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!guard.table_growing(0, TABLE_ELEMENTS + 1, None).unwrap());
        assert!(guard.denied.is_some_and(|denied| denied.contains("table")));
    }
}
