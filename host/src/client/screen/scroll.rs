//! Where the view is in the conversation.
//!
//! It holds on to an entry, so that it stays where it is when messages come, older ones are put in front, or the
//! width changes.

use ratatui::text::Line;

use super::model::Model;
use super::paint::Painter;

/// The entry at the bottom of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its key.
    pub key: u64,
    /// How many of its lines are below the view.
    pub below: usize,
}

/// What is visible.
#[derive(Debug)]
pub struct Visible {
    /// From top to bottom, at most as many as asked for.
    pub lines: Vec<Line<'static>>,
    /// The oldest entry's first line is among them, or there is nothing.
    pub at_top: bool,
}

impl Model {
    /// The lines for a view of so many rows.
    #[must_use]
    pub fn visible(&self, painter: &Painter, rows: usize) -> Visible {
        let mut upwards: Vec<Line<'static>> = Vec::new();
        let (mut index, mut below) = self.bottom();
        if self.place.is_none() {
            let mut before = self.entries.back();
            let mut lines = Vec::new();
            for pending in &self.pending {
                lines.extend(painter.lines(&pending.entry, before));
                before = Some(&pending.entry);
            }
            upwards.extend(lines.into_iter().rev());
        }
        let mut at_top = self.entries.is_empty();
        while upwards.len() < rows {
            let Some(lines) = self.lines(painter, index) else {
                break;
            };
            upwards.extend(lines.into_iter().rev().skip(below));
            below = 0;
            at_top = index == 0 && upwards.len() <= rows;
            match index.checked_sub(1) {
                Some(before) => index = before,
                None => break,
            }
        }
        upwards.truncate(rows);
        upwards.reverse();
        Visible {
            lines: upwards,
            at_top,
        }
    }

    /// Moves the view up by so many rows, as far as there is something.
    pub fn scroll_up(&mut self, painter: &Painter, rows: usize, by: usize) {
        let (mut index, mut below) = self.bottom();
        below += by;
        loop {
            let height = self.height(painter, index);
            if below < height {
                break;
            }
            let Some(before) = index.checked_sub(1) else {
                self.to_top(painter, rows);
                return;
            };
            below -= height;
            index = before;
        }
        let mut above = self.height(painter, index) - below;
        for i in (0..index).rev() {
            if above >= rows {
                break;
            }
            above += self.height(painter, i);
        }
        if above < rows {
            self.to_top(painter, rows);
        } else {
            self.put(index, below);
        }
    }

    /// Moves the view down by so many rows; at the end it follows again.
    pub fn scroll_down(&mut self, painter: &Painter, by: usize) {
        let (mut index, mut below) = self.bottom();
        let mut by = by;
        while by > below {
            by -= below;
            index += 1;
            if index >= self.entries.len() {
                self.to_bottom();
                return;
            }
            below = self.height(painter, index);
        }
        self.put(index, below - by);
    }

    /// Follows the conversation again.
    pub fn to_bottom(&mut self) {
        self.place = None;
        self.unread = 0;
    }

    /// Shows the oldest entry at the top.
    pub fn to_top(&mut self, painter: &Painter, rows: usize) {
        let mut height = 0;
        for index in 0..self.entries.len() {
            height += self.height(painter, index);
            if height >= rows {
                self.put(index, height - rows);
                return;
            }
        }
        self.to_bottom();
    }

    fn put(&mut self, index: usize, below: usize) {
        if index + 1 == self.entries.len() && below == 0 {
            self.to_bottom();
            return;
        }
        self.place = self.entries.get(index).map(|entry| Place {
            key: entry.key,
            below,
        });
    }

    /// The entry at the bottom, and how many of its lines are below the view.
    fn bottom(&self) -> (usize, usize) {
        let end = self.entries.len().saturating_sub(1);
        let Some(place) = self.place else {
            return (end, 0);
        };
        match self.entries.iter().position(|e| e.key == place.key) {
            Some(index) => (index, place.below),
            None => (end, 0),
        }
    }

    fn height(&self, painter: &Painter, index: usize) -> usize {
        self.lines(painter, index).map_or(0, |lines| lines.len())
    }

    fn lines(&self, painter: &Painter, index: usize) -> Option<Vec<Line<'static>>> {
        let before = index.checked_sub(1).and_then(|i| self.entries.get(i));
        Some(painter.lines(self.entries.get(index)?, before))
    }
}
