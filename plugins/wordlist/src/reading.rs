//! Readings: what a text could be read as, letter by letter, each with its place in the text.
//!
//! The plain reading has the words as they stand, apart from one another by one space. What could also be read
//! otherwise is read again: words taken apart by marks (`h.e.l.l.o`) or by spaces (`h e l l o`), and words in which 1
//! may be `i` or `l`.

use std::ops::Range;

use crate::fold::{self, Folded};
use crate::hangul;

/// A letter, or the stretch of one letter, or what is between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Letter {
    /// As it is typed but for case, width and marks: digits are digits. [`SPACE`] or [`MARK`] between words.
    pub(crate) typed: char,
    /// As it is read.
    pub(crate) read: char,
    /// Where it is in the text.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// How often it stands in a row.
    pub(crate) run: usize,
    /// Whether something was left out before it.
    pub(crate) apart: bool,
    /// Whether it is a syllable put together from parts.
    joined: bool,
}

/// Between words: whitespace, maybe with marks.
const SPACE: char = ' ';
/// Between words: marks only.
const MARK: char = '.';
/// How many words of one letter in a row are a word taken apart.
pub(crate) const SPREAD: usize = 3;

impl Letter {
    pub(crate) fn is_between(&self) -> bool {
        self.read == SPACE
    }
}

/// A text to be searched, and the letters it consists of.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) text: Vec<u8>,
    pub(crate) letters: Vec<Letter>,
    /// For each byte of `text`, which letter it belongs to.
    pub(crate) owners: Vec<usize>,
    word: Word,
    hints: Hints,
}

/// What the word being read has.
#[derive(Debug, Default, Clone, Copy)]
struct Word {
    /// The place of its first letter.
    first: usize,
    latin: bool,
    look_alike: bool,
}

/// What made it worth reading again.
#[derive(Debug, Default, Clone, Copy)]
struct Hints {
    marks_inside: bool,
    ones: bool,
    /// The words of one letter in a row, now and at most.
    single: usize,
    most_single: usize,
}

impl Reading {
    /// Reads `text` plainly.
    pub(crate) fn read(&mut self, text: &str) {
        self.clear();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'a'..=b'z' => self.latin(*byte, at),
                b'A'..=b'Z' => self.latin(byte | 0x20, at),
                b'0'..=b'9' => self.look_alike(*byte, at),
                // Inside of a word or before a letter a price is none; a mention keeps its `@`.
                b'$' if self.in_word() || next_is_letter(bytes, at) => self.look_alike(*byte, at),
                b'@' if self.in_word() && next_is_letter(bytes, at) => self.look_alike(*byte, at),
                b' ' | b'\n' | b'\t' => self.between(SPACE, at),
                0x80.. => {
                    let letter = text.get(at..).and_then(|rest| rest.chars().next());
                    at += letter.map_or(1, |letter| self.wide(letter, at));
                    continue;
                }
                _ => self.between(MARK, at),
            }
            at += 1;
        }
        self.end_word();
    }

    /// Reads again what `plain` hints at. Empty where there is nothing.
    pub(crate) fn read_again(&mut self, plain: &Reading) {
        self.clear();
        if plain.hints.marks_inside {
            self.read_marked(plain);
        }
        if plain.hints.most_single >= SPREAD {
            self.read_spread(plain);
        }
        if plain.hints.ones {
            for word in words(plain) {
                let letters = plain.letters.get(word).unwrap_or_default();
                if letters.iter().any(|letter| letter.typed == '1') {
                    self.spell(letters, 'l', false);
                    self.push_break();
                }
            }
        }
    }

    /// Words that only marks keep apart, as one.
    fn read_marked(&mut self, plain: &Reading) {
        let tokens = plain
            .letters
            .split(|letter| letter.typed == SPACE && letter.is_between());
        let mut follows = false;
        for token in tokens {
            let token = match token {
                [words @ .., last] if last.is_between() => words,
                words => words,
            };
            let marked = token.iter().any(Letter::is_between);
            if marked {
                self.spell(token, 'i', true);
            }
            // One space between words so read, for phrases; one more where another word is left out.
            if marked || follows {
                self.push_between(SPACE, 0);
            }
            follows = marked;
        }
        self.push_between(SPACE, 0);
    }

    /// Words of one letter, as one.
    fn read_spread(&mut self, plain: &Reading) {
        let mut spread: Vec<Letter> = Vec::new();
        for word in words(plain).map(Some).chain([None]) {
            let single = word.and_then(|word| match plain.letters.get(word) {
                Some([letter]) => Some(*letter),
                _ => None,
            });
            if let Some(letter) = single {
                spread.push(Letter {
                    apart: true,
                    ..letter
                });
            } else {
                if spread.len() >= SPREAD {
                    self.spell(&spread, 'i', true);
                    self.push_break();
                }
                spread.clear();
            }
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.letters.clear();
        self.owners.clear();
        self.word = Word::default();
        self.hints = Hints::default();
    }

    fn latin(&mut self, byte: u8, at: usize) {
        self.word.latin = true;
        let letter = char::from(byte);
        self.push(letter, letter, at..at + 1, 1, false);
    }

    fn look_alike(&mut self, byte: u8, at: usize) {
        self.word.look_alike = true;
        let letter = char::from(byte);
        self.push(letter, letter, at..at + 1, 1, false);
    }

    /// Reads a character outside of ASCII, and returns its length.
    fn wide(&mut self, letter: char, at: usize) -> usize {
        let length = letter.len_utf8();
        fold::wide(letter, |folded| match folded {
            Folded::Letter(folded) => {
                self.word.latin |= folded.is_ascii_lowercase();
                self.word.look_alike |= folded.is_ascii_digit();
                self.push(folded, folded, at..at + length, 1, false);
            }
            Folded::Space => self.between(SPACE, at),
            Folded::Mark => self.between(MARK, at),
        });
        length
    }

    fn in_word(&self) -> bool {
        self.word.first < self.letters.len()
    }

    /// Ends the word, if one is being read, and keeps it apart from the next.
    fn between(&mut self, typed: char, at: usize) {
        if self.in_word() {
            self.end_word();
            self.push_between(typed, at);
        } else if typed == SPACE
            && let Some(last) = self.letters.last_mut()
        {
            last.typed = SPACE;
        }
        self.word.first = self.letters.len();
    }

    fn end_word(&mut self) {
        self.settle();
        let first = self.word.first;
        let Some(letters) = self.letters.get(first..).filter(|word| !word.is_empty()) else {
            return;
        };
        self.hints.single = if letters.len() == 1 {
            self.hints.single + 1
        } else {
            0
        };
        self.hints.most_single = self.hints.most_single.max(self.hints.single);
        // The word before was apart by marks only.
        let between = first.checked_sub(1).and_then(|at| self.letters.get(at));
        self.hints.marks_inside |= between.is_some_and(|between| between.typed == MARK);
        if self.word.latin && self.word.look_alike {
            self.hints.ones |= letters.iter().any(|letter| letter.typed == '1');
            let letters = letters.to_vec();
            self.truncate(first);
            self.spell(&letters, 'i', false);
        }
        self.word = Word {
            first: self.letters.len(),
            ..Word::default()
        };
    }

    /// Reads letters as one word. Among Latin letters, what looks like a letter is one.
    fn spell(&mut self, letters: &[Letter], one: char, apart: bool) {
        let latin = letters
            .iter()
            .any(|letter| letter.read.is_ascii_lowercase());
        let mut left_out = false;
        let base = self.letters.len();
        for letter in letters {
            if letter.is_between() {
                left_out = true;
                continue;
            }
            let read = if latin {
                fold::look_alike(letter.typed, one)
            } else {
                letter.typed
            };
            let gap = apart && (left_out || letter.apart) && self.letters.len() > base;
            self.push(letter.typed, read, letter.from..letter.to, letter.run, gap);
            left_out = false;
        }
        self.settle();
    }

    fn push(&mut self, typed: char, read: char, place: Range<usize>, run: usize, apart: bool) {
        let in_word = self.in_word();
        if let Some(last) = self
            .letters
            .last_mut()
            .filter(|last| in_word && !last.is_between())
        {
            if last.read == read {
                last.run += run;
                last.to = place.end;
                return;
            }
            if !read.is_ascii() && !apart {
                if let Some(syllable) = hangul::join(last.read, read) {
                    let joined = Letter {
                        typed: syllable,
                        read: syllable,
                        to: place.end,
                        run: 1,
                        joined: true,
                        ..*last
                    };
                    self.replace_last(joined);
                    return;
                }
                self.settle();
            }
        }
        self.append(Letter {
            typed,
            read,
            from: place.start,
            to: place.end,
            run,
            apart,
            joined: false,
        });
    }

    /// Lets an initial that nothing follows end the syllable before it, if that was typed in parts as well.
    fn settle(&mut self) {
        if let [.., before, last] = self.letters.as_slice()
            && before.joined
            && last.run == 1
            && let Some(syllable) = hangul::close(before.read, last.read)
        {
            let closed = Letter {
                typed: syllable,
                read: syllable,
                to: last.to,
                ..*before
            };
            self.truncate(self.letters.len() - 1);
            self.replace_last(closed);
        }
    }

    fn replace_last(&mut self, letter: Letter) {
        self.truncate(self.letters.len() - 1);
        self.append(letter);
    }

    fn append(&mut self, letter: Letter) {
        let owner = self.letters.len();
        if letter.read.is_ascii() {
            // The usual case, without the detour over UTF-8. ASCII fits into a byte.
            self.text.push(u8::try_from(letter.read).unwrap_or(b' '));
            self.owners.push(owner);
        } else {
            let mut bytes = [0; 4];
            let bytes = letter.read.encode_utf8(&mut bytes).as_bytes();
            self.text.extend_from_slice(bytes);
            self.owners.extend(bytes.iter().map(|_| owner));
        }
        self.letters.push(letter);
    }

    /// Puts a space, and begins a word after it.
    fn push_between(&mut self, typed: char, at: usize) {
        self.append(Letter {
            typed,
            read: SPACE,
            from: at,
            to: at,
            run: 1,
            apart: false,
            joined: false,
        });
        self.word.first = self.letters.len();
    }

    /// What is read again has no neighbours: two spaces, which no word or phrase has.
    fn push_break(&mut self) {
        self.push_between(SPACE, 0);
        self.push_between(SPACE, 0);
    }

    /// Forgets the letters from `first` on.
    fn truncate(&mut self, first: usize) {
        self.letters.truncate(first);
        let bytes = self.owners.partition_point(|owner| *owner < first);
        self.owners.truncate(bytes);
        self.text.truncate(bytes);
    }
}

/// The places of the words of a plain reading.
fn words(plain: &Reading) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    plain
        .letters
        .split(Letter::is_between)
        .filter_map(move |word| {
            let place = at..at + word.len();
            at = place.end + 1;
            (!word.is_empty()).then_some(place)
        })
}

fn next_is_letter(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
}
