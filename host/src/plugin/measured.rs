//! An instance whose calls are counted and timed.

use std::sync::Arc;
use std::time::Instant;

use super::guest::Guest;
use super::stats::{PluginStats, RoleStats};
use super::{Effect, Fault, FormatItem, Instance, Message, Remembered, Run, Timer, Verdict};

pub(super) struct Measured {
    pub(super) guest: Guest,
    pub(super) stats: Arc<PluginStats>,
}

impl Measured {
    fn call<R>(
        &mut self,
        role: impl FnOnce(&PluginStats) -> &RoleStats,
        messages: usize,
        call: impl FnOnce(&mut Guest) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let started = Instant::now();
        let answer = call(&mut self.guest);
        self.stats.called(
            role(&self.stats),
            messages,
            started.elapsed(),
            self.guest.memory_held(),
        );
        if let Err(fault) = &answer {
            self.stats.failures.of(fault.blame).add(1);
        }
        answer
    }
}

impl Instance for Measured {
    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Fault> {
        self.call(
            |stats| &stats.moderation,
            batch.len(),
            |guest| guest.moderate(batch),
        )
    }

    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Fault> {
        self.call(
            |stats| &stats.commands,
            1,
            |guest| guest.run(name, arguments, by),
        )
    }

    fn format(&mut self, batch: &[FormatItem]) -> Result<Vec<Option<Vec<Run>>>, Fault> {
        self.call(
            |stats| &stats.formatting,
            batch.len(),
            |guest| guest.format(batch),
        )
    }

    fn review(&mut self, batch: &[FormatItem]) -> Result<Vec<Verdict>, Fault> {
        self.call(
            |stats| &stats.review,
            batch.len(),
            |guest| guest.review(batch),
        )
    }

    fn fired(&mut self, room: u64, due: &Timer) -> Result<Vec<Effect>, Fault> {
        self.call(|stats| &stats.timers, 1, |guest| guest.fired(room, due))
    }

    /// Not timed: it happens once a room, and says nothing of what a message costs.
    fn migrate(
        &mut self,
        room: u64,
        from: u32,
        entries: &[Remembered],
    ) -> Result<Vec<Remembered>, Fault> {
        let answer = self.guest.migrate(room, from, entries);
        if let Err(fault) = &answer {
            self.stats.failures.of(fault.blame).add(1);
        }
        answer
    }
}
