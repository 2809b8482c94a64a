//! The reminders of one person in one room.

use serde::{Deserialize, Serialize};

use crate::span;

/// A timer that is so late was lost: it fell due while the plugin was not loaded.
const LOST_MS: u64 = 86_400_000;

/// By number.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reminders(Vec<Reminder>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reminder {
    pub(crate) number: u32,
    pub(crate) due_ms: u64,
    pub(crate) text: String,
}

impl Reminders {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest number from 1 to `most` that is not taken.
    pub(crate) fn free(&self, most: u32) -> Option<u32> {
        (1..=most).find(|number| self.0.iter().all(|reminder| reminder.number != *number))
    }

    pub(crate) fn add(&mut self, reminder: Reminder) {
        self.0.push(reminder);
        self.0.sort_by_key(|reminder| reminder.number);
    }

    pub(crate) fn take(&mut self, number: u32) -> Option<Reminder> {
        let at = self
            .0
            .iter()
            .position(|reminder| reminder.number == number)?;
        Some(self.0.remove(at))
    }

    /// Drops those whose timers will not come any more, and returns how many there were.
    pub(crate) fn take_lost(&mut self, now_ms: u64) -> i64 {
        let before = self.0.len();
        self.0
            .retain(|reminder| reminder.due_ms.saturating_add(LOST_MS) > now_ms);
        i64::try_from(before - self.0.len()).unwrap_or_default()
    }

    /// One line each. A person has few, so together they fit into a message, but for the ends of long texts.
    pub(crate) fn shown(&self, now_ms: u64) -> String {
        const LETTERS: usize = 40;
        if self.0.is_empty() {
            return "you have no reminders here".into();
        }
        let lines = self.0.iter().map(|reminder| {
            let left = span::shown(reminder.due_ms.saturating_sub(now_ms));
            let mut text: String = reminder.text.chars().take(LETTERS).collect();
            if text.len() < reminder.text.len() {
                text.push('…');
            }
            let text = text.replace('\n', " ");
            format!("{}. in {left}: {text}", reminder.number)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
