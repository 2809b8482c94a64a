//! One picture of the screen: the bar, the conversation, the members, the prompt.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::super::change::State;
use super::super::clean::clean_line;
use super::super::clock::Clock;
use super::keys;
use super::look::Look;
use super::model::{Model, Older};
use super::paint::Painter;
use super::prompt::Prompt;

/// Columns of the members, with their border.
const PANEL: u16 = 20;
/// The smallest screen on which anything can be read.
const SMALLEST: (u16, u16) = (20, 5);

/// What the picture tells those who scroll.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// As the conversation was painted.
    pub painter: Painter,
    /// Its rows.
    pub rows: usize,
    /// The columns of the whole screen.
    pub columns: u16,
    /// The oldest entry is in view.
    pub at_top: bool,
    /// Nothing can be read.
    pub too_small: bool,
}

/// Draws everything.
pub fn draw(
    frame: &mut Frame<'_>,
    model: &Model,
    prompt: &mut Prompt,
    look: Look,
    clock: &Clock,
    now: Instant,
) -> Drawn {
    let area = frame.area();
    let painter = |width: u16| Painter {
        width: width.into(),
        look,
        clock: clock.clone(),
        name: model.name.clone(),
    };
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let words = format!(
            "too small: {} columns x {} rows are needed, this is {} x {}",
            SMALLEST.0, SMALLEST.1, area.width, area.height
        );
        frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), area);
        return Drawn {
            painter: painter(area.width.max(SMALLEST.0)),
            rows: 1,
            columns: area.width,
            at_top: false,
            too_small: true,
        };
    }
    let input = prompt.rows(area.width - 2).min(area.height / 3).max(1);
    let [bar, middle, status, below] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(input),
    ])
    .areas(area);

    let wide = area.width >= PANEL * 3;
    let mut conversation = middle;
    if model.shows_panel(area.width) && wide {
        let [left, right] =
            Layout::horizontal([Constraint::Min(1), Constraint::Length(PANEL)]).areas(middle);
        conversation = left;
        members(frame, model, look, right);
    }
    let painter = painter(conversation.width);
    let rows: usize = conversation.height.into();
    let visible = model.visible(&painter, rows);
    let at_top = visible.at_top;
    // A short conversation stands at the bottom, next to the prompt.
    let missing = u16::try_from(rows.saturating_sub(visible.lines.len())).unwrap_or_default();
    let text = Rect {
        y: conversation.y + missing,
        height: conversation.height - missing,
        ..conversation
    };
    frame.render_widget(Paragraph::new(Text::from(visible.lines)), text);
    if model.shows_panel(area.width) && !wide {
        members(frame, model, look, middle);
    }
    if model.shows_keys {
        keys::draw(frame, middle);
    }
    frame.render_widget(top(model, look, area.width, now), bar);
    frame.render_widget(line(model, prompt, look, area.width), status);
    let [mark, field] =
        Layout::horizontal([Constraint::Length(2), Constraint::Min(1)]).areas(below);
    frame.render_widget(Paragraph::new("> "), mark);
    let (x, y) = prompt.draw(field, frame.buffer_mut());
    // The terminal's own cursor: input methods for Korean and others compose there.
    frame.set_cursor_position(Position::new(x, y));
    Drawn {
        painter,
        rows,
        columns: area.width,
        at_top,
        too_small: false,
    }
}

fn top(model: &Model, look: Look, width: u16, now: Instant) -> Line<'static> {
    let state = match &model.state {
        State::Online => "● online".to_owned(),
        State::Connecting => "○ connecting".to_owned(),
        State::Waiting { .. } => {
            let left = model
                .again
                .map_or(0.0, |at| at.saturating_duration_since(now).as_secs_f64());
            format!("○ offline, again in {} s", left.ceil())
        }
    };
    let right = if model.state == State::Online {
        format!(" {} here  {state} ", model.count)
    } else {
        format!(" {state} ")
    };
    let topic = clean_line(&model.topic);
    let left = if topic.is_empty() {
        format!(" #{}", clean_line(&model.room))
    } else {
        format!(" #{}  {topic}", clean_line(&model.room))
    };
    let room = usize::from(width).saturating_sub(right.width());
    let left = cut(&left, room);
    let gap = " ".repeat(room.saturating_sub(left.width()));
    Line::styled(
        cut(&format!("{left}{gap}{right}"), width.into()),
        look.bar(),
    )
}

/// The line above the prompt: what matters most at this moment.
fn line(model: &Model, prompt: &Prompt, look: Look, width: u16) -> Line<'static> {
    let (words, style) = if model.leaving {
        (
            format!(
                "sending {}; Ctrl+C leaves at once",
                messages(model.pending.len())
            ),
            look.notice(),
        )
    } else if let Some(hint) = &model.hint {
        (clean_line(hint), look.notice())
    } else if let Some(hint) = prompt.hint(&model.commands) {
        (clean_line(&hint), look.faint())
    } else if let State::Waiting { why, .. } = &model.state {
        let unsent = match model.pending.len() {
            0 => String::new(),
            n => format!("{} will be sent then; ", messages(n)),
        };
        (format!("{unsent}{}", clean_line(why)), look.trouble())
    } else if model.older == Older::Fetching {
        ("fetching older messages".into(), look.faint())
    } else if model.place.is_some() {
        let new = match model.unread {
            0 => String::new(),
            n => format!("{n} new below; "),
        };
        (format!("{new}Esc goes back to the end"), look.notice())
    } else if model.untouched {
        ("F1 shows the keys".into(), look.faint())
    } else {
        (String::new(), look.faint())
    };
    let words = if words.is_empty() {
        words
    } else {
        format!(" {words} ")
    };
    let words = cut(&words, usize::from(width).saturating_sub(4));
    let rule = usize::from(width).saturating_sub(words.width() + 2);
    Line::from(vec![
        Span::styled("──", look.faint()),
        Span::styled(words, style),
        Span::styled("─".repeat(rule), look.faint()),
    ])
}

fn members(frame: &mut Frame<'_>, model: &Model, look: Look, area: Rect) {
    let block = Block::new()
        .borders(Borders::LEFT)
        .border_style(look.faint());
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let rows: usize = inner.height.into();
    let columns = usize::from(inner.width).saturating_sub(1);
    let fits = if model.members.len() <= rows {
        rows
    } else {
        rows.saturating_sub(1)
    };
    let mut lines: Vec<Line<'static>> = model
        .members
        .iter()
        .take(fits)
        .map(|name| {
            Line::styled(
                format!(" {}", cut(&clean_line(name), columns)),
                look.name(name, *name == model.name),
            )
        })
        .collect();
    let others = usize::try_from(model.count)
        .unwrap_or(usize::MAX)
        .saturating_sub(lines.len());
    if others > 0 && !lines.is_empty() && lines.len() < rows {
        lines.push(Line::styled(format!(" and {others} more"), look.faint()));
    }
    frame.render_widget(Paragraph::new(Text::from(lines)), inner);
}

fn messages(n: usize) -> String {
    if n == 1 {
        "1 message".into()
    } else {
        format!("{n} messages")
    }
}

/// As much of `text` as fits, with `…` where something is left out.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > columns {
            break;
        }
        out.push_str(grapheme);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}
