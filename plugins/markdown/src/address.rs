//! Addresses: where a link may lead, and where a bare one ends.

use serde::Deserialize;

use crate::steps;

/// The interface's bound on an address.
const BYTES: usize = 2_048;

/// Where links may lead.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Schemes(Vec<Scheme>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    Http,
    Https,
    Mailto,
}

impl Default for Schemes {
    fn default() -> Self {
        Schemes(vec![Scheme::Http, Scheme::Https, Scheme::Mailto])
    }
}

impl Scheme {
    const ALL: [Scheme; 3] = [Scheme::Https, Scheme::Http, Scheme::Mailto];

    fn prefix(self) -> &'static str {
        match self {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
            Scheme::Mailto => "mailto:",
        }
    }
}

impl Schemes {
    /// Whether a link may lead to `url`.
    pub(crate) fn allow(&self, url: &str) -> bool {
        if url.len() > BYTES {
            return false;
        }
        let allowed = |scheme: &&Scheme| starts_with(url, scheme.prefix());
        let Some(scheme) = self.0.iter().find(allowed) else {
            return false;
        };
        let rest = url.get(scheme.prefix().len()..).unwrap_or_default();
        // Brackets end it, so that addresses in one another are not read once for each that they are in.
        let inside = rest.find(|letter| !may_be_inside(letter));
        steps::count(inside.unwrap_or(rest.len()));
        inside.is_none()
            && match scheme {
                Scheme::Mailto => rest.contains('@') && !rest.starts_with('@'),
                // `https://known.example@other.example` leads to the other one.
                Scheme::Http | Scheme::Https => {
                    let authority = authority(rest);
                    authority.starts_with(char::is_alphanumeric) && !authority.contains('@')
                }
            }
    }
}

/// A bare address around the colon at `colon`: where it begins and where it ends.
///
/// The part after the scheme ends where the word does, but not with what ends a sentence. A host in another script ends
/// it too: a Korean particle after an address is common, and such a host is not.
pub(crate) fn bare(text: &str, earliest: usize, colon: usize) -> Option<(usize, usize)> {
    let (begin, after) = Scheme::ALL.iter().find_map(|scheme| {
        let name = scheme.prefix().find(':')?;
        let begin = colon.checked_sub(name).filter(|begin| *begin >= earliest)?;
        let after = begin + scheme.prefix().len();
        starts_with(text.get(begin..)?, scheme.prefix()).then_some((begin, after))
    })?;
    let before = text.get(..begin)?.chars().next_back();
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let word = text.get(after..after + length_of_rest(text.get(after..)?))?;
    Some((begin, after + without_end_of_sentence(word).len()))
}

/// How long what follows `https://` is. Looks no further than that, so that a text full of addresses is read once.
fn length_of_rest(rest: &str) -> usize {
    let mut in_host = true;
    let end = rest.find(|letter: char| {
        in_host &= !matches!(letter, '/' | '?' | '#');
        (in_host && !letter.is_ascii()) || !may_be_inside(letter)
    });
    let length = end.unwrap_or(rest.len());
    steps::count(length);
    length
}

/// `(` and its `)` in one word, so that an address may hold pairs of them.
pub(crate) struct Parentheses {
    /// Sorted by the opening one.
    pairs: Vec<(usize, usize)>,
}

impl Parentheses {
    pub(crate) fn of(text: &str) -> Self {
        let mut open = Vec::new();
        let mut pairs = Vec::new();
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'(' => open.push(at),
                b')' => pairs.extend(open.pop().map(|from| (from, at))),
                b' ' | b'\n' | b'\t' => open.clear(),
                _ => {}
            }
        }
        steps::count(text.len());
        pairs.sort_unstable();
        Parentheses { pairs }
    }

    /// Where the one that opens at `from` closes.
    pub(crate) fn closing(&self, from: usize) -> Option<usize> {
        steps::count(1);
        let pair = self.pairs.binary_search_by_key(&from, |pair| pair.0).ok()?;
        self.pairs.get(pair).map(|pair| pair.1)
    }
}

/// What ends a word also ends an address; so does what a client could take for the end of one.
fn may_be_inside(letter: char) -> bool {
    let ends = matches!(letter, '<' | '>' | '"' | '`' | '[' | ']' | '\\');
    !(ends || letter.is_whitespace() || letter.is_control())
}

fn authority(rest: &str) -> &str {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn without_end_of_sentence(word: &str) -> &str {
    let opened = word.bytes().filter(|byte| *byte == b'(').count();
    let closed = word.bytes().filter(|byte| *byte == b')').count();
    let mut unopened = closed.saturating_sub(opened);
    let mut word = word;
    while let Some(last) = word.chars().next_back() {
        match last {
            ')' if unopened > 0 => unopened -= 1,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '。' | '，' | '！'
            | '？' => {}
            _ => break,
        }
        steps::count(1);
        word = word.get(..word.len() - last.len_utf8()).unwrap_or_default();
    }
    word
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
