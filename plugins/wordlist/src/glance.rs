//! The glance: the text of a reading without its letters, for nearly all messages hold no listed word.
//!
//! It gives up where a text takes more than one look: look-alikes among letters, syllables typed apart, words spread
//! over single letters. Where it does not give up, it sees what [`crate::reading`] reads, which a test holds it to.

use crate::fold::{self, Folded};
use crate::hangul;
use crate::reading::SPREAD;

/// What is seen, and room for it that is used again.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// The plain reading's text.
    pub(crate) plain: Vec<u8>,
    /// The text of what is read again: words that only marks keep apart, as one.
    pub(crate) again: Vec<u8>,
    /// The letter seen last in this word; none between words.
    last: Option<char>,
    latin: bool,
    look_alike: bool,
    /// How many letters this word has, and how many words before it have one.
    letters: usize,
    singles: usize,
    /// Whether whitespace is between the words, or marks only.
    space: bool,
    /// Where the words begin that only marks keep apart, and whether there are several.
    token: usize,
    marked: bool,
    /// What they have, all together.
    token_latin: bool,
    token_look_alike: bool,
    /// Whether the words before these were marked.
    follows: bool,
}

/// A text that takes more than a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsure;

impl Glance {
    /// Looks at `text`.
    pub(crate) fn at(&mut self, text: &str) -> Result<(), Unsure> {
        self.clear();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' => {
                    at += self.latin(bytes.get(at..).unwrap_or_default())?;
                    continue;
                }
                b'0'..=b'9' => {
                    self.look_alike = true;
                    self.ascii(*byte)?;
                }
                b' ' | b'\n' | b'\t' => self.between(true)?,
                // Maybe a letter.
                b'$' | b'@'
                    if self.last.is_some()
                        || bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) =>
                {
                    if *byte == b'$' || self.last.is_some() {
                        return Err(Unsure);
                    }
                    self.between(false)?;
                }
                0x80.. => {
                    let letter = text
                        .get(at..)
                        .and_then(|rest| rest.chars().next())
                        .ok_or(Unsure)?;
                    self.wide(letter)?;
                    at += letter.len_utf8();
                    continue;
                }
                _ => self.between(false)?,
            }
            at += 1;
        }
        if self.last.is_some() {
            self.end_word()?;
        }
        self.end_token()
    }

    fn clear(&mut self) {
        let (mut plain, mut again) = (
            std::mem::take(&mut self.plain),
            std::mem::take(&mut self.again),
        );
        plain.clear();
        again.clear();
        *self = Glance {
            plain,
            again,
            space: true,
            ..Glance::default()
        };
    }

    /// Takes the Latin letters that `bytes` begins with, and returns how many there are. A loop of its own, because
    /// most of most messages is these.
    fn latin(&mut self, bytes: &[u8]) -> Result<usize, Unsure> {
        self.latin = true;
        let first = bytes.first().map_or(0, u8::to_ascii_lowercase);
        self.ascii(first)?;
        let mut last = first;
        let mut length = 1;
        for byte in bytes
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_alphabetic())
        {
            let letter = byte.to_ascii_lowercase();
            length += 1;
            if letter != last {
                self.plain.push(letter);
                self.letters += 1;
                last = letter;
            }
        }
        self.last = Some(char::from(last));
        Ok(length)
    }

    fn ascii(&mut self, byte: u8) -> Result<(), Unsure> {
        let letter = char::from(byte);
        if self.last != Some(letter) {
            self.begin_letter(letter)?;
            self.plain.push(byte);
        }
        Ok(())
    }

    fn wide(&mut self, letter: char) -> Result<(), Unsure> {
        let mut sure = Ok(());
        fold::wide(letter, |folded| {
            let seen = match folded {
                Folded::Letter(folded) => self.folded(folded),
                Folded::Space => self.between(true),
                Folded::Mark => self.between(false),
            };
            sure = sure.and(seen);
        });
        sure
    }

    fn folded(&mut self, letter: char) -> Result<(), Unsure> {
        if self
            .last
            .is_some_and(|last| hangul::join(last, letter).is_some())
        {
            return Err(Unsure);
        }
        self.latin |= letter.is_ascii_lowercase();
        self.look_alike |= letter.is_ascii_digit();
        if self.last != Some(letter) {
            self.begin_letter(letter)?;
            push(&mut self.plain, letter);
        }
        Ok(())
    }

    #[inline]
    fn begin_letter(&mut self, letter: char) -> Result<(), Unsure> {
        if self.last.is_none() {
            if self.space {
                self.end_token()?;
            } else {
                self.marked = true;
            }
        }
        self.letters += 1;
        self.last = Some(letter);
        Ok(())
    }

    #[inline]
    fn between(&mut self, space: bool) -> Result<(), Unsure> {
        if self.last.is_some() {
            self.end_word()?;
            self.plain.push(b' ');
            self.space = space;
        } else {
            self.space |= space;
        }
        Ok(())
    }

    #[inline]
    fn end_word(&mut self) -> Result<(), Unsure> {
        self.singles = if self.letters == 1 {
            self.singles + 1
        } else {
            0
        };
        if (self.latin && self.look_alike) || self.singles >= SPREAD {
            return Err(Unsure);
        }
        self.token_latin |= self.latin;
        self.token_look_alike |= self.look_alike;
        self.last = None;
        self.letters = 0;
        self.latin = false;
        self.look_alike = false;
        Ok(())
    }

    /// Ends the words that only marks keep apart: what is next begins after whitespace.
    #[inline]
    fn end_token(&mut self) -> Result<(), Unsure> {
        if self.marked {
            if self.token_latin && self.token_look_alike {
                return Err(Unsure);
            }
            let token = self.plain.get(self.token..).unwrap_or_default();
            let mut last = ' ';
            for letter in std::str::from_utf8(token).unwrap_or_default().chars() {
                if letter != ' ' && letter != last {
                    push(&mut self.again, letter);
                    last = letter;
                }
            }
        }
        if self.marked || self.follows {
            self.again.push(b' ');
        }
        self.follows = self.marked;
        self.marked = false;
        self.token_latin = false;
        self.token_look_alike = false;
        self.token = self.plain.len();
        Ok(())
    }
}

fn push(text: &mut Vec<u8>, letter: char) {
    text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}
