//! An entry as lines of styled text.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::super::clean::{clean, clean_line};
use super::super::clock::Clock;
use super::super::plain::words::linked;
use super::entry::{Entry, Kind};
use super::look::{Look, bits};
use super::wrap::{Break, Wrap};
use crate::proto::v1::private_event::Event as Private;
use crate::proto::v1::room_event::Event;
use crate::proto::v1::run::Target;
use crate::proto::v1::{Body, Run};

/// Columns for the time and the mark.
const HANG: usize = 8;
/// A narrower screen gets no hanging indent.
const NARROW: usize = 40;

/// What painting needs to know besides the entry.
#[derive(Debug, Clone)]
pub struct Painter {
    /// Columns.
    pub width: usize,
    /// How things look.
    pub look: Look,
    /// The time zone.
    pub clock: Clock,
    /// Our name, for mentions.
    pub name: String,
}

impl Painter {
    /// The lines of an entry, with the day above it where it is not that of the entry before.
    #[must_use]
    pub fn lines(&self, entry: &Entry, before: Option<&Entry>) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let day = self.clock.day(entry.time_ms);
        if before.is_none_or(|b| self.clock.day(b.time_ms) != day) {
            lines.push(self.day(&day));
        }
        lines.extend(self.entry(entry));
        lines
    }

    fn entry(&self, entry: &Entry) -> Vec<Line<'static>> {
        let look = self.look;
        match &entry.kind {
            Kind::Said { event, own } => {
                let mark = if *own { "✓" } else { " " };
                let who = if *own {
                    "You".to_owned()
                } else {
                    clean_line(&event.sender)
                };
                let plugin = clean_line(&event.plugin);
                let name = look.name(&who, *own);
                match &event.event {
                    Some(Event::Message(body)) if who.is_empty() => self.body(
                        entry,
                        "»",
                        vec![(format!("{plugin}: "), look.notice())],
                        Some(body),
                        Style::new(),
                    ),
                    Some(Event::Message(body)) => self.body(
                        entry,
                        mark,
                        vec![(format!("{who}: "), name)],
                        Some(body),
                        Style::new(),
                    ),
                    Some(Event::Action(body)) => {
                        let slant = Style::new().add_modifier(Modifier::ITALIC);
                        self.body(
                            entry,
                            mark,
                            vec![("* ".into(), slant), (format!("{who} "), name)],
                            Some(body),
                            slant,
                        )
                    }
                    Some(Event::Notice(body)) => self.body(
                        entry,
                        "»",
                        vec![(
                            format!("{plugin}: "),
                            look.notice().add_modifier(Modifier::BOLD),
                        )],
                        Some(body),
                        look.notice(),
                    ),
                    Some(Event::Topic(topic)) => {
                        let by = if who.is_empty() { plugin } else { who };
                        let words = format!("{by} set the topic: {}", clean_line(&topic.topic));
                        self.words(entry, "#", &words, look.notice())
                    }
                    // A kind that this client does not know yet.
                    None => Vec::new(),
                }
            }
            Kind::Private(event) => match &event.event {
                Some(Private::Whisper(whisper)) => {
                    let people = format!(
                        "{} → {}: ",
                        self.person(&whisper.from),
                        self.person(&whisper.to)
                    );
                    let name = look.name(&whisper.from, whisper.from == self.name);
                    self.body(
                        entry,
                        "✉",
                        vec![(people, name)],
                        whisper.body.as_ref(),
                        Style::new(),
                    )
                }
                Some(Private::Reply(reply)) => {
                    let plugin = if reply.plugin.is_empty() {
                        "server"
                    } else {
                        &reply.plugin
                    };
                    let head = vec![(format!("{}: ", clean_line(plugin)), look.notice())];
                    self.body(entry, "↩", head, reply.body.as_ref(), Style::new())
                }
                Some(Private::Withheld(withheld)) => {
                    let words = format!("withheld: {}", clean_line(&withheld.reason));
                    self.words(entry, "✗", &words, look.trouble())
                }
                None => Vec::new(),
            },
            Kind::Kept { how, text, reason } => {
                let mut wrap = self.begin(entry, "✗");
                wrap.put(
                    &[
                        (format!("You ({how}): "), look.trouble()),
                        (
                            clean_line(text),
                            look.faint().add_modifier(Modifier::CROSSED_OUT),
                        ),
                    ],
                    Break::Words,
                );
                wrap.next_line();
                wrap.put(&[(clean_line(reason), look.trouble())], Break::Words);
                wrap.finish()
            }
            Kind::Pending(text) => {
                let body = Body {
                    text: text.clone(),
                    runs: Vec::new(),
                };
                self.body(
                    entry,
                    "…",
                    vec![("You: ".into(), look.faint())],
                    Some(&body),
                    look.faint(),
                )
            }
            Kind::Note(text) => self.words(entry, "!", &clean_line(text), look.faint()),
        }
    }

    fn body(
        &self,
        entry: &Entry,
        mark: &str,
        head: Vec<(String, Style)>,
        body: Option<&Body>,
        base: Style,
    ) -> Vec<Line<'static>> {
        let mut wrap = self.begin(entry, mark);
        wrap.put(&head, Break::Words);
        let plain;
        let runs = match body {
            Some(body) if !body.runs.is_empty() => &body.runs,
            _ => {
                let text = body.map(|b| b.text.clone()).unwrap_or_default();
                plain = vec![Run {
                    text,
                    ..Run::default()
                }];
                &plain
            }
        };
        for part in runs.chunk_by(|a, b| frame(a.style) == frame(b.style)) {
            let pieces: Vec<(String, Style)> =
                part.iter().map(|run| self.piece(run, base)).collect();
            match frame(part.first().map_or(0, |r| r.style)) {
                Frame::None => self.text(&mut wrap, &pieces),
                Frame::Code => self.framed(&mut wrap, &pieces, "│ ", Break::Anywhere),
                Frame::Quote => self.framed(&mut wrap, &pieces, "▎ ", Break::Words),
            }
        }
        wrap.finish()
    }

    fn text(&self, wrap: &mut Wrap, pieces: &[(String, Style)]) {
        for (i, line) in split_lines(pieces).iter().enumerate() {
            if i > 0 {
                wrap.next_line();
            }
            wrap.put(line, Break::Words);
        }
    }

    /// Lines of their own, with a rule at their left.
    fn framed(
        &self,
        wrap: &mut Wrap,
        pieces: &[(String, Style)],
        rule: &'static str,
        breaks: Break,
    ) {
        let outer = self.indent();
        let mut inner = outer.clone();
        inner.push(Span::styled(rule, self.look.faint()));
        wrap.indent(inner);
        let lines = split_lines(pieces);
        let last = lines
            .iter()
            .rposition(|l| l.iter().any(|(t, _)| !t.is_empty()));
        for (i, line) in lines.iter().take(last.map_or(0, |at| at + 1)).enumerate() {
            if i == 0 {
                wrap.block_line();
            } else {
                wrap.next_line();
            }
            wrap.put(line, breaks);
        }
        wrap.indent(outer);
        wrap.end_block();
    }

    fn piece(&self, run: &Run, base: Style) -> (String, Style) {
        let text = clean(&run.text);
        let look = base.patch(self.look.run(run.style));
        match &run.target {
            Some(Target::Url(url)) => {
                let url = clean_line(url);
                (linked(&text, &url), self.look.link(look))
            }
            Some(Target::Mention(true)) => {
                let own = text.trim_start_matches('@') == self.name;
                (text, self.look.mention(look, own))
            }
            _ => (text, look),
        }
    }

    fn words(&self, entry: &Entry, mark: &str, words: &str, look: Style) -> Vec<Line<'static>> {
        let mut wrap = self.begin(entry, mark);
        wrap.put(&[(words.to_owned(), look)], Break::Words);
        wrap.finish()
    }

    fn begin(&self, entry: &Entry, mark: &str) -> Wrap {
        let time = self.clock.minutes(entry.time_ms);
        let head = vec![
            Span::styled(format!("{time} "), self.look.faint()),
            Span::raw(format!("{mark} ")),
        ];
        let mut wrap = Wrap::new(self.width, head);
        wrap.indent(self.indent());
        wrap
    }

    fn indent(&self) -> Vec<Span<'static>> {
        let columns = if self.width < NARROW { 2 } else { HANG };
        vec![Span::raw(" ".repeat(columns))]
    }

    fn day(&self, day: &str) -> Line<'static> {
        let rule = self.width.saturating_sub(day.width() + 2);
        let (left, right) = (rule / 2, rule - rule / 2);
        let text = format!("{} {day} {}", "─".repeat(left), "─".repeat(right));
        Line::styled(text, self.look.faint())
    }

    fn person(&self, name: &str) -> String {
        if name == self.name {
            "You".into()
        } else {
            clean_line(name)
        }
    }
}

#[derive(PartialEq, Eq)]
enum Frame {
    None,
    Code,
    Quote,
}

fn frame(style: u32) -> Frame {
    if style & bits::QUOTE != 0 {
        Frame::Quote
    } else if style & bits::BLOCK != 0 {
        Frame::Code
    } else {
        Frame::None
    }
}

/// Cuts styled text at its line breaks.
fn split_lines(pieces: &[(String, Style)]) -> Vec<Vec<(String, Style)>> {
    let mut lines = vec![Vec::new()];
    for (text, style) in pieces {
        for (i, part) in text.split('\n').enumerate() {
            if i > 0 {
                lines.push(Vec::new());
            }
            if let (Some(line), false) = (lines.last_mut(), part.is_empty()) {
                line.push((part.to_owned(), *style));
            }
        }
    }
    lines
}
