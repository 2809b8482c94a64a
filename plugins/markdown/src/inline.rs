//! What is inside a paragraph: one pass makes pieces, and pairs brackets and delimiters as it goes.

use chat_plugin::Style;
use unicode_normalization::char::is_combining_mark;

use crate::address::{self, Parentheses, Schemes};
use crate::code::{self, Ticks};
use crate::emphasis::{self, Delimiter, Span};
use crate::layout::{Layout, Leads};
use crate::steps;

/// A name is at most this long, so that a long word is not taken for one.
const NAME_BYTES: usize = 128;
/// Longer than any emoji's name.
const EMOJI_BYTES: usize = 64;
/// Everybody's shrug has what would be an escape and an emphasis.
const SHRUG: &str = r"\_(ツ)_/¯";

/// Whether a byte may begin or end anything here.
pub(crate) fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'\\' | b'`' | b'*' | b'_' | b'~' | b'[' | b']' | b'@' | b':'
    )
}

/// Lays out a paragraph that looks like `base`.
pub(crate) fn lay_out(text: &str, base: Style, schemes: &Schemes, layout: &mut Layout) {
    let mut inline = Inline {
        text,
        schemes,
        at: 0,
        plain_from: 0,
        pieces: Vec::new(),
        delimiters: Vec::new(),
        spans: Vec::new(),
        brackets: Vec::new(),
        addresses: Vec::new(),
        ticks: None,
        parentheses: None,
    };
    inline.read();
    inline.show(base, layout);
}

/// A stretch of shown text before its emphasis is known.
struct Piece<'a> {
    text: &'a str,
    style: Style,
    leads: Leads<'a>,
}

/// A `[` that may turn out to begin a link.
struct Bracket {
    /// The piece that shows it.
    piece: usize,
    /// How many delimiters and addresses came before it.
    delimiters: usize,
    addresses: usize,
}

struct Inline<'a> {
    text: &'a str,
    schemes: &'a Schemes,
    /// What is read.
    at: usize,
    /// Where the text begins that is read and not yet a piece.
    plain_from: usize,
    pieces: Vec<Piece<'a>>,
    delimiters: Vec<Delimiter>,
    spans: Vec<Span>,
    brackets: Vec<Bracket>,
    /// The bare addresses found.
    addresses: Vec<&'a str>,
    ticks: Option<Ticks>,
    parentheses: Option<Parentheses>,
}

impl<'a> Inline<'a> {
    fn read(&mut self) {
        while let Some(special) = self.rest().bytes().position(is_special) {
            steps::count(special + 1);
            self.at += special;
            match self.rest().as_bytes().first() {
                Some(b'\\') => self.escape(),
                Some(b'`') => self.code(),
                Some(b'[') => self.open(),
                Some(b']') => self.close(),
                Some(b'@') => self.mention(),
                Some(b':') => self.colon(),
                Some(byte) => self.delimiter(*byte),
                None => {}
            }
        }
        self.at = self.text.len();
        self.flush();
        emphasis::pair(&mut self.delimiters, &mut self.spans);
        self.keep_what_is_left_of(0);
    }

    fn show(self, base: Style, layout: &mut Layout) {
        // How many spans of each style begin and end before each piece.
        let mut changes = vec![[0_i32; SPANNED.len()]; self.pieces.len() + 1];
        for span in &self.spans {
            steps::count(1);
            for (at, by) in [(span.from, 1), (span.to, -1)] {
                for (style, change) in SPANNED
                    .iter()
                    .zip(changes.get_mut(at).into_iter().flatten())
                {
                    *change += if *style == span.style { by } else { 0 };
                }
            }
        }
        let mut depths = [0_i32; SPANNED.len()];
        for (piece, changes) in self.pieces.iter().zip(&changes) {
            let mut style = base | piece.style;
            for ((spanned, depth), change) in SPANNED.iter().zip(&mut depths).zip(changes) {
                *depth += change;
                style.set(*spanned, *depth > 0);
            }
            layout.push(piece.text, style, piece.leads);
        }
    }

    /// `\` and what it keeps from being markup.
    fn escape(&mut self) {
        if self.before(self.at) == Some('¯') && self.rest().starts_with(SHRUG) {
            self.at += SHRUG.len();
            return;
        }
        let escaped = self.rest().as_bytes().get(1);
        if !escaped.is_some_and(u8::is_ascii_punctuation) {
            self.at += 1;
            return;
        }
        self.flush();
        self.plain_from = self.at + 1;
        self.at += 2;
    }

    fn code(&mut self) {
        let length = self.run_length(b'`');
        let begin = self.at + length;
        let ticks = self.ticks.get_or_insert_with(|| Ticks::of(self.text));
        let Some(end) = ticks.closing(length, begin) else {
            self.at = begin;
            return;
        };
        let span = self.text.get(begin..end).unwrap_or_default();
        self.take(end + length, code::shown(span), Style::CODE, Leads::Nowhere);
    }

    fn delimiter(&mut self, byte: u8) {
        let length = self.run_length(byte);
        let end = self.at + length;
        let before = self.before(self.at);
        let after = self.text.get(end..).and_then(|rest| rest.chars().next());
        let shown = self.text.get(self.at..end).unwrap_or_default();
        self.take(end, shown, Style::empty(), Leads::Nowhere);
        let piece = self.pieces.len() - 1;
        let delimiter = Delimiter::between(before, after, byte, length, piece);
        if delimiter.opens || delimiter.closes {
            self.delimiters.push(delimiter);
        }
    }

    fn open(&mut self) {
        self.take(self.at + 1, "[", Style::empty(), Leads::Nowhere);
        self.brackets.push(Bracket {
            piece: self.pieces.len() - 1,
            delimiters: self.delimiters.len(),
            addresses: self.addresses.len(),
        });
    }

    /// `]`, which makes a link of what its `[` began, if an address follows.
    fn close(&mut self) {
        let bracket = self.brackets.pop();
        let Some((bracket, url, end)) = bracket.and_then(|bracket| self.link(bracket)) else {
            self.at += 1;
            return;
        };
        self.flush();
        if let Some(inner) = self.delimiters.get_mut(bracket.delimiters..) {
            // What was opened outside is not closed inside.
            emphasis::pair(inner, &mut self.spans);
        }
        self.keep_what_is_left_of(bracket.delimiters);
        for piece in self.pieces.iter_mut().skip(bracket.piece) {
            steps::count(1);
            piece.leads = Leads::To(url);
        }
        if let Some(opening) = self.pieces.get_mut(bracket.piece) {
            opening.text = "";
        }
        // No link is inside a link.
        self.brackets.clear();
        self.at = end;
        self.plain_from = end;
    }

    /// The address behind the `]` that is next, and where it ends, if that makes a link.
    fn link(&mut self, bracket: Bracket) -> Option<(Bracket, &'a str, usize)> {
        let open = self.at + 1;
        if self.text.as_bytes().get(open) != Some(&b'(') {
            return None;
        }
        let parentheses = self
            .parentheses
            .get_or_insert_with(|| Parentheses::of(self.text));
        let close = parentheses.closing(open)?;
        let url = self.text.get(open + 1..close)?;
        // The text must not pose as another address.
        let inside = self.addresses.get(bracket.addresses..)?;
        let honest = inside.is_empty() || inside == [url];
        let shown = self.pieces.len() > bracket.piece + 1 || self.plain_from < self.at;
        (honest && shown && self.schemes.allow(url)).then_some((bracket, url, close + 1))
    }

    /// `@name`. The `@` stays, in the run before: what is no name is shown as it was typed.
    fn mention(&mut self) {
        let begin = self.at + 1;
        let inside = self.before(self.at).is_some_and(char::is_alphanumeric);
        let rest = self.text.get(begin..).unwrap_or_default();
        let length = rest.find(|letter| !may_be_in_a_name(letter));
        let word = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        steps::count(word.len());
        let name = word.trim_end_matches(['.', '-']);
        let named = !inside && name.starts_with(char::is_alphanumeric) && name.len() <= NAME_BYTES;
        self.at = begin;
        if named {
            self.take(begin + name.len(), name, Style::empty(), Leads::Mention);
        }
    }

    /// `:`, inside of a bare address or before an emoji's name.
    fn colon(&mut self) {
        if let Some((begin, end)) = address::bare(self.text, self.plain_from, self.at) {
            let url = self.text.get(begin..end).unwrap_or_default();
            if self.schemes.allow(url) {
                self.at = begin;
                self.take(end, url, Style::empty(), Leads::To(url));
                self.addresses.push(url);
            } else {
                // Not a place to lead to, but not markup either.
                self.at = end.max(self.at + 1);
            }
            return;
        }
        let begin = self.at + 1;
        let rest = self.text.get(begin..).unwrap_or_default();
        let length = rest
            .bytes()
            .take(EMOJI_BYTES)
            .position(|byte| !may_be_in_an_emoji(byte));
        let name = length
            .and_then(|length| rest.get(..length))
            .unwrap_or_default();
        steps::count(name.len());
        let closed = rest.as_bytes().get(name.len()) == Some(&b':');
        match emojis::get_by_shortcode(name).filter(|_| closed) {
            Some(emoji) => {
                let end = begin + name.len() + 1;
                self.take(end, emoji.as_str(), Style::empty(), Leads::Nowhere);
            }
            None => self.at = begin,
        }
    }

    /// Makes a piece that stands for the text up to `end`.
    fn take(&mut self, end: usize, text: &'a str, style: Style, leads: Leads<'a>) {
        self.flush();
        self.pieces.push(Piece { text, style, leads });
        self.at = end;
        self.plain_from = end;
    }

    /// Makes a piece of the plain text before what is next.
    fn flush(&mut self) {
        if self.plain_from < self.at {
            self.pieces.push(Piece {
                text: self.text.get(self.plain_from..self.at).unwrap_or_default(),
                style: Style::empty(),
                leads: Leads::Nowhere,
            });
            self.plain_from = self.at;
        }
    }

    /// Shows of the delimiters from `first` on what no pair used, and forgets them.
    fn keep_what_is_left_of(&mut self, first: usize) {
        for delimiter in self.delimiters.drain(first..) {
            if let Some(piece) = self.pieces.get_mut(delimiter.piece) {
                piece.text = piece.text.get(..delimiter.left).unwrap_or_default();
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text.get(..at)?.chars().next_back()
    }

    fn run_length(&self, byte: u8) -> usize {
        let rest = self.rest().bytes();
        let length = rest.take_while(|next| *next == byte).count();
        steps::count(length);
        length
    }
}

/// The styles that come as spans.
const SPANNED: [Style; 3] = [Style::STRONG, Style::EMPHASIS, Style::STRIKE];

/// Letters of any script with their marks, digits, `-`, `_` and `.`.
fn may_be_in_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.') || is_combining_mark(letter)
}

fn may_be_in_an_emoji(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'+' | b'-')
}
