//! The field where the person writes: editing, what was written before, completion.

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};
use unicode_width::UnicodeWidthStr;

use super::super::clean::sendable;
use super::complete::{Completion, complete, usage};
use crate::proto::v1::Command;

/// Messages that can be called back.
const REMEMBERED: usize = 200;

/// The field.
pub struct Prompt {
    area: TextArea<'static>,
    written: Vec<String>,
    /// Which of them is shown; none: what is being written now.
    shown: Option<usize>,
    draft: String,
    completing: Option<(Completion, usize)>,
}

impl Default for Prompt {
    fn default() -> Self {
        Self {
            area: field(""),
            written: Vec::new(),
            shown: None,
            draft: String::new(),
            completing: None,
        }
    }
}

impl Prompt {
    /// What stands there, ready to be sent.
    #[must_use]
    pub fn text(&self) -> String {
        sendable(&self.area.lines().join("\n"))
    }

    /// Whether nothing stands there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// It was sent: remember it, and begin afresh.
    pub fn sent(&mut self, text: String) {
        if self.written.last() != Some(&text) {
            self.written.push(text);
        }
        if self.written.len() > REMEMBERED {
            self.written.remove(0);
        }
        self.shown = None;
        self.completing = None;
        self.area = field("");
    }

    /// A pasted text, which stays one message.
    pub fn paste(&mut self, text: &str) {
        self.completing = None;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text: String = text
            .chars()
            .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
            .collect();
        self.area.insert_str(text);
    }

    /// A key, if it is one for editing. Enter is not.
    pub fn key(&mut self, key: KeyEvent) {
        self.completing = None;
        let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let row = self.area.cursor().0;
        match key.code {
            KeyCode::Up if plain && row == 0 => self.recall(true),
            KeyCode::Down if plain && row + 1 >= self.area.lines().len() => self.recall(false),
            // As in a shell; the field's own meaning would be undo.
            KeyCode::Char('u') if control => {
                self.area.delete_line_by_head();
            }
            _ => {
                self.area.input(key);
            }
        }
    }

    /// A line break in the message.
    pub fn new_line(&mut self) {
        self.completing = None;
        self.area.insert_newline();
    }

    /// Completes the word before the cursor; again, with the next candidate.
    pub fn tab(&mut self, commands: &[Command], names: &[String]) {
        let (completion, index) = match self.completing.take() {
            Some((completion, index)) => {
                let next = (index + 1) % completion.candidates.len().max(1);
                (completion, next)
            }
            None => {
                let cursor = self.area.cursor();
                let line = self.area.lines().get(cursor.0).map_or("", String::as_str);
                let before: String = line.chars().take(cursor.1).collect();
                match complete(&before, cursor.0 == 0, commands, names) {
                    Some(completion) => (completion, 0),
                    None => return,
                }
            }
        };
        let Some(candidate) = completion.candidates.get(index).cloned() else {
            return;
        };
        for _ in 0..completion.replaces {
            self.area.delete_char();
        }
        self.area.insert_str(&candidate);
        let replaces = candidate.chars().count();
        if completion.candidates.len() > 1 {
            self.completing = Some((
                Completion {
                    replaces,
                    ..completion
                },
                index,
            ));
        }
    }

    /// What may be helpful now: the candidates, or how a command is used.
    #[must_use]
    pub fn hint(&self, commands: &[Command]) -> Option<String> {
        if let Some((completion, _)) = &self.completing {
            let all: Vec<&str> = completion.candidates.iter().map(|c| c.trim_end()).collect();
            return Some(all.join("  "));
        }
        usage(self.area.lines().first()?, commands)
    }

    /// How many rows it needs in so many columns.
    #[must_use]
    pub fn rows(&self, columns: u16) -> u16 {
        let columns = usize::from(columns.max(1));
        // One column more for the cursor behind the last letter.
        let rows = |line: &String| (line.width() + 1).div_ceil(columns);
        let rows: usize = self.area.lines().iter().map(rows).sum();
        u16::try_from(rows).unwrap_or(u16::MAX)
    }

    /// Draws it, and says where the cursor is.
    pub fn draw(&mut self, area: Rect, buffer: &mut Buffer) -> (u16, u16) {
        (&self.area).render(area, buffer);
        let cursor = self.area.screen_cursor();
        let (top, left) = self.area.scroll_offset();
        let at = |position: usize, offset: u16, length: u16| {
            u16::try_from(position)
                .unwrap_or(u16::MAX)
                .saturating_sub(offset)
                .min(length.saturating_sub(1))
        };
        (
            area.x + at(cursor.col, left, area.width),
            area.y + at(cursor.row, top, area.height),
        )
    }

    fn recall(&mut self, older: bool) {
        let next = match (self.shown, older) {
            (None, true) => self.written.len().checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < self.written.len()),
            (None, false) => return,
        };
        if self.shown.is_none() {
            self.draft = self.area.lines().join("\n");
        }
        if next.is_none() && self.shown.is_none() {
            return;
        }
        self.shown = next;
        let text = next
            .and_then(|at| self.written.get(at))
            .unwrap_or(&self.draft);
        self.area = field(text);
    }
}

fn field(text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_wrap_mode(WrapMode::Glyph);
    area.set_cursor_line_style(Style::new());
    // The terminal's own cursor stands there.
    area.set_cursor_style(Style::new());
    area.set_hard_tab_indent(true);
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(prompt: &mut Prompt, code: KeyCode) {
        prompt.key(KeyEvent::new(code, KeyModifiers::NONE));
    }

    #[test]
    fn a_paste_of_several_lines_stays_one_message() {
        let mut prompt = Prompt::default();
        prompt.paste("one\r\ntwo\rthree\u{1b}[31m");
        assert_eq!(prompt.text(), "one\ntwo\nthree[31m");
        assert_eq!(prompt.rows(80), 3);
    }

    #[test]
    fn what_was_written_comes_back_and_the_draft_is_not_lost() {
        let mut prompt = Prompt::default();
        prompt.sent("first".into());
        prompt.sent("second\nline".into());
        prompt.paste("draft");
        press(&mut prompt, KeyCode::Up);
        assert_eq!(prompt.text(), "second\nline");
        // The cursor stands in its last line, so one more Up moves it there first.
        press(&mut prompt, KeyCode::Up);
        press(&mut prompt, KeyCode::Up);
        assert_eq!(prompt.text(), "first");
        press(&mut prompt, KeyCode::Down);
        press(&mut prompt, KeyCode::Down);
        assert_eq!(prompt.text(), "draft");
    }

    #[test]
    fn tab_goes_round_the_candidates() {
        let mut prompt = Prompt::default();
        let names = ["alice".to_owned(), "albert".to_owned()];
        prompt.paste("hi al");
        let mut seen = Vec::new();
        for _ in 0..3 {
            prompt.tab(&[], &names);
            seen.push(prompt.text());
        }
        assert_eq!(seen, ["hi albert", "hi alice", "hi albert"]);
        assert_eq!(prompt.hint(&[]).unwrap(), "albert  alice");
    }

    #[test]
    fn wide_letters_need_more_rows() {
        let mut prompt = Prompt::default();
        prompt.paste("안녕하세요");
        assert_eq!((prompt.rows(11), prompt.rows(10)), (1, 2));
    }
}
