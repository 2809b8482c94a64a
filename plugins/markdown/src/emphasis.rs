//! Emphasis: which delimiters belong together.
//!
//! CommonMark's rules for what pairs with what. What may open or close is simpler here: CommonMark looks at punctuation
//! too, and so fails where a word runs on after the mark, as Korean particles do (`**"강조"**는`).

use chat_plugin::Style;

use crate::steps;

/// A run of one delimiter byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delimiter {
    /// The piece that shows it, as far as it is not used.
    pub(crate) piece: usize,
    pub(crate) byte: u8,
    /// How many bytes it had.
    pub(crate) length: usize,
    /// How many are left.
    pub(crate) left: usize,
    pub(crate) opens: bool,
    pub(crate) closes: bool,
}

/// Pieces from `from` up to, not including, `to` look like this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) style: Style,
}

impl Delimiter {
    /// A delimiter run between these characters.
    pub(crate) fn between(
        before: Option<char>,
        after: Option<char>,
        byte: u8,
        length: usize,
        piece: usize,
    ) -> Self {
        let filled = |side: Option<char>| side.is_some_and(|side| !side.is_whitespace());
        let wordy = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
        // An underscore inside a word belongs to it: snake_case.
        let inside = byte == b'_';
        // A strike is two tildes and nothing else; four stars are a word that somebody masked.
        let counts = if byte == b'~' {
            length == 2
        } else {
            length <= 3
        };
        Delimiter {
            piece,
            byte,
            length,
            left: length,
            opens: counts && filled(after) && !(inside && wordy(before)),
            closes: counts && filled(before) && !(inside && wordy(after)),
        }
    }

    /// Whether `self` may open what `closer` closes: the same byte, and CommonMark's rule of three.
    fn pairs_with(&self, closer: &Delimiter) -> bool {
        let both_ways = self.closes || closer.opens;
        let thirds = self.length.is_multiple_of(3) && closer.length.is_multiple_of(3);
        let three = (self.length + closer.length).is_multiple_of(3);
        self.byte == closer.byte && !(both_ways && three && !thirds)
    }

    /// Delimiters of one kind find the same openers.
    fn kind(&self) -> usize {
        let byte = match self.byte {
            b'*' => 0,
            b'_' => 1,
            _ => 2,
        };
        (byte * 2 + usize::from(self.opens)) * 3 + self.length % 3
    }
}

const KINDS: usize = 18;

/// Pairs the delimiters, takes from each what is used, and adds the spans.
pub(crate) fn pair(delimiters: &mut [Delimiter], spans: &mut Vec<Span>) {
    let mut openers: Vec<Delimiter> = Vec::new();
    // For each kind: how far up `openers` none is left that it pairs with. Keeps the search from starting over.
    let mut barren = [0; KINDS];
    // Where each opener is in `delimiters`, to write back what is left of it.
    let mut places: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = Vec::with_capacity(delimiters.len());
    for (place, delimiter) in delimiters.iter().enumerate() {
        let mut closer = *delimiter;
        while closer.closes && closer.left > 0 {
            let Some(barren) = barren.get_mut(closer.kind()) else {
                break;
            };
            let Some(depth) = search(&openers, *barren, &closer) else {
                *barren = openers.len();
                break;
            };
            openers.truncate(depth + 1);
            places.truncate(depth + 1);
            if let (Some(opener), Some(place)) = (openers.last_mut(), places.last()) {
                let (used, style) = reach(opener, &closer);
                spans.push(Span {
                    from: opener.piece + 1,
                    to: closer.piece,
                    style,
                });
                opener.left -= used;
                closer.left -= used;
                if let Some(left) = left.get_mut(*place) {
                    *left = opener.left;
                }
                if opener.left == 0 {
                    openers.pop();
                    places.pop();
                }
            }
        }
        for barren in &mut barren {
            *barren = openers.len().min(*barren);
        }
        left.push(closer.left);
        if closer.opens && closer.left > 0 {
            openers.push(closer);
            places.push(place);
        }
    }
    for (delimiter, left) in delimiters.iter_mut().zip(left) {
        delimiter.left = left;
    }
}

/// The topmost opener above `barren` that pairs with `closer`.
fn search(openers: &[Delimiter], barren: usize, closer: &Delimiter) -> Option<usize> {
    let live = openers.get(barren..)?;
    let found = live.iter().rposition(|opener| opener.pairs_with(closer));
    steps::count(live.len() - found.unwrap_or(0));
    found.map(|depth| barren + depth)
}

/// How many bytes of each a pair uses, and what it makes of what is between.
fn reach(opener: &Delimiter, closer: &Delimiter) -> (usize, Style) {
    match (opener.byte, opener.left.min(closer.left)) {
        (b'~', _) => (2, Style::STRIKE),
        (_, 0 | 1) => (1, Style::EMPHASIS),
        _ => (2, Style::STRONG),
    }
}
