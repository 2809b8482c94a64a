//! Breaks styled text into lines of a width, counted in the columns that a terminal uses.
//!
//! Breaks between words; inside a word only where it is longer than a line. A grapheme (a Korean syllable, an emoji
//! of several code points, a letter with its marks) is never cut.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Whether lines may be broken between words only, or anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Between words.
    Words,
    /// Anywhere; spaces stay as they are. For code.
    Anywhere,
}

/// Lines in the making.
#[derive(Debug)]
pub struct Wrap {
    width: usize,
    /// What each further line begins with.
    indent: Vec<Span<'static>>,
    lines: Vec<Line<'static>>,
    line: Vec<Span<'static>>,
    column: usize,
    /// Where the text of this line begins.
    start: usize,
    /// What comes next belongs on a line of its own.
    owed: bool,
}

/// A grapheme, its columns, its look.
type Glyph<'a> = (&'a str, usize, Style);

impl Wrap {
    /// The first line begins with `head`.
    #[must_use]
    pub fn new(width: usize, head: Vec<Span<'static>>) -> Self {
        let column = columns(&head);
        Self {
            width,
            indent: Vec::new(),
            lines: Vec::new(),
            line: head,
            column,
            start: column,
            owed: false,
        }
    }

    /// Further lines begin with this.
    pub fn indent(&mut self, indent: Vec<Span<'static>>) {
        self.indent = indent;
    }

    /// The columns left on this line.
    #[must_use]
    pub fn room(&self) -> usize {
        self.width.saturating_sub(self.column)
    }

    /// Whether nothing was put on this line yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.column == self.start
    }

    /// Begins a line of a block: this one, if there is nothing on it yet.
    pub fn block_line(&mut self) {
        if self.is_fresh() && !self.lines.is_empty() && !self.owed {
            self.line = self.indent.clone();
            self.column = columns(&self.line);
            self.start = self.column;
        } else {
            self.next_line();
        }
    }

    /// A block is complete: what follows it goes to the next line.
    pub fn end_block(&mut self) {
        self.owed = true;
    }

    /// Ends this line and begins the next.
    pub fn next_line(&mut self) {
        self.owed = false;
        let next = self.indent.clone();
        self.column = columns(&next);
        self.start = self.column;
        let mut line = std::mem::replace(&mut self.line, next);
        if let Some(last) = line.last_mut() {
            last.content = last.content.trim_end().to_owned().into();
        }
        self.lines.push(Line::from(line));
    }

    /// Puts text on this line and, as far as it does not fit, on further ones.
    pub fn put(&mut self, pieces: &[(String, Style)], breaks: Break) {
        if self.owed && !pieces.is_empty() {
            self.next_line();
        }
        let glyphs: Vec<Glyph<'_>> = pieces
            .iter()
            .flat_map(|(text, style)| text.graphemes(true).map(|g| (g, g.width(), *style)))
            .collect();
        if breaks == Break::Anywhere {
            self.put_all(&glyphs);
            return;
        }
        for word in glyphs.chunk_by(|a, b| is_space(a) == is_space(b)) {
            if word.first().is_some_and(is_space) {
                // Space that does not fit is the break itself.
                for glyph in word {
                    if glyph.1 <= self.room() {
                        self.put_one(glyph);
                    }
                }
                continue;
            }
            let columns_needed: usize = word.iter().map(|g| g.1).sum();
            let fits_on_a_line = columns_needed <= self.width.saturating_sub(columns(&self.indent));
            if columns_needed > self.room() && fits_on_a_line && !self.is_fresh() {
                self.next_line();
            }
            self.put_all(word);
        }
    }

    /// The lines.
    #[must_use]
    pub fn finish(mut self) -> Vec<Line<'static>> {
        self.next_line();
        self.lines
    }

    fn put_all(&mut self, glyphs: &[Glyph<'_>]) {
        for glyph in glyphs {
            if glyph.1 > self.room() && !self.is_fresh() {
                self.next_line();
            }
            self.put_one(glyph);
        }
    }

    fn put_one(&mut self, &(text, columns, style): &Glyph<'_>) {
        match self.line.last_mut() {
            Some(last) if last.style == style && self.column > self.start => {
                last.content.to_mut().push_str(text);
            }
            _ => self.line.push(Span::styled(text.to_owned(), style)),
        }
        self.column += columns;
    }
}

fn is_space(glyph: &Glyph<'_>) -> bool {
    // A no-break space is not among them.
    glyph
        .0
        .chars()
        .all(|c| c.is_whitespace() && c != '\u{a0}' && c != '\u{202f}')
}

fn columns(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|s| s.content.width()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(width: usize, text: &str, breaks: Break) -> Vec<String> {
        let mut wrap = Wrap::new(width, vec![Span::raw("> ")]);
        wrap.indent(vec![Span::raw("  ")]);
        wrap.put(&[(text.into(), Style::new())], breaks);
        wrap.finish().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn breaks_between_words() {
        assert_eq!(
            wrap(10, "one two three", Break::Words),
            ["> one two", "  three"]
        );
    }

    #[test]
    fn a_word_longer_than_a_line_is_filled_in() {
        assert_eq!(
            wrap(8, "a bbbbbbbbbb", Break::Words),
            ["> a bbbb", "  bbbbbb"]
        );
    }

    #[test]
    fn korean_syllables_take_two_columns_and_are_not_cut() {
        assert_eq!(wrap(9, "안녕하세요", Break::Words), ["> 안녕하", "  세요"]);
    }

    #[test]
    fn an_emoji_of_many_code_points_stays_whole() {
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(
            wrap(6, &family.repeat(3), Break::Words),
            [format!("> {family}{family}"), format!("  {family}")]
        );
    }

    #[test]
    fn code_keeps_its_spaces() {
        assert_eq!(wrap(8, "a    b c", Break::Anywhere), ["> a    b", "   c"]);
    }

    #[test]
    fn no_line_is_wider_than_the_width() {
        let text = "한국어 text with 👩‍💻 emoji, é and loooooooooooooooooooooong words";
        for width in 6..40 {
            for line in wrap(width, text, Break::Words) {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
    }
}
