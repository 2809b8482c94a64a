//! The list: finds its words in a text's readings, all at once.

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use crate::glance::Glance;
use crate::reading::{Letter, Reading};
use crate::{hangul, particle};

/// From so many in a row on, a letter is stretched: it stands for as few as the word has. No word has three.
const STRETCHED: usize = 3;

/// A word or phrase to find.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    text: Vec<u8>,
    /// How often each letter stands in a row.
    runs: Vec<usize>,
    whole: bool,
}

impl Word {
    /// The word of a plain reading; none where it has no letters.
    pub(crate) fn new(reading: &Reading, whole: bool) -> Option<Self> {
        let last = reading
            .letters
            .iter()
            .rposition(|letter| !letter.is_between())?;
        let runs: Vec<usize> = reading
            .letters
            .iter()
            .take(last + 1)
            .map(|letter| letter.run)
            .collect();
        let length = reading.owners.partition_point(|owner| *owner <= last);
        Some(Word {
            text: reading.text.get(..length)?.to_vec(),
            runs,
            whole,
        })
    }
}

/// An entry's word, found at a place of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) entry: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// Words to find, and room to find them in that is used again.
pub(crate) struct List {
    automaton: AhoCorasick,
    words: Vec<Word>,
    glance: Glance,
    plain: Reading,
    again: Reading,
    found: Vec<Hit>,
}

impl List {
    pub(crate) fn of(words: &[Word]) -> Result<Self, BuildError> {
        // All matches are needed, for one may be a word where a longer one is not.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(words.iter().map(|word| &word.text))?;
        Ok(List {
            automaton,
            words: words.to_vec(),
            glance: Glance::default(),
            plain: Reading::default(),
            again: Reading::default(),
            found: Vec::new(),
        })
    }

    /// What of the list is in `text`.
    pub(crate) fn find(&mut self, text: &str) -> &[Hit] {
        if self.words.is_empty() || self.is_surely_without(text) {
            return &[];
        }
        self.search(text)
    }

    /// Reads all of `text`.
    pub(crate) fn search(&mut self, text: &str) -> &[Hit] {
        self.found.clear();
        self.plain.read(text);
        self.again.read_again(&self.plain);
        for reading in [&self.plain, &self.again] {
            for found in self.automaton.find_overlapping_iter(&reading.text) {
                let entry = found.pattern().as_usize();
                let hit = self
                    .words
                    .get(entry)
                    .and_then(|word| place(word, reading, found.end()));
                self.found
                    .extend(hit.map(|(from, to)| Hit { entry, from, to }));
            }
        }
        &self.found
    }
}

impl List {
    /// Whether a glance is enough to tell that no word is in `text`.
    fn is_surely_without(&mut self, text: &str) -> bool {
        if self.glance.at(text).is_err() {
            return false;
        }
        let Glance { plain, again, .. } = &self.glance;
        (again.is_empty() || !self.automaton.is_match(again))
            && !self.automaton.find_overlapping_iter(plain).any(|found| {
                let word = self.words.get(found.pattern().as_usize());
                word.is_none_or(|word| {
                    !word.whole || may_be_whole(plain, found.start(), found.end())
                })
            })
    }
}

/// Whether what is found may be a word of its own: no Latin letter or digit is right before or behind another.
fn may_be_whole(text: &[u8], from: usize, to: usize) -> bool {
    let latin = |at: Option<usize>| {
        let byte = at.and_then(|at| text.get(at));
        byte.is_some_and(u8::is_ascii_alphanumeric)
    };
    let runs_on = latin(from.checked_sub(1)) && latin(Some(from));
    let goes_on = latin(to.checked_sub(1)) && latin(Some(to));
    !runs_on && !goes_on
}

/// Where in the text the word is that ends at `end` of a reading, if it is one there.
fn place(word: &Word, reading: &Reading, end: usize) -> Option<(usize, usize)> {
    let first = *reading.owners.get(end.checked_sub(word.text.len())?)?;
    let last = *reading.owners.get(end.checked_sub(1)?)?;
    let letters = reading.letters.get(first..=last)?;
    let alike = letters
        .iter()
        .zip(&word.runs)
        .enumerate()
        .all(|(at, (letter, run))| {
            // A part of a word may begin and end amid letters of a kind: `spam` is in `spammer`.
            let amid = !word.whole && (at == 0 || at == last - first);
            letter.run == *run || (letter.run >= *run && (letter.run >= STRETCHED || amid))
        });
    let whole = alike && (!word.whole || (begins(reading, first) && ends(reading, last)));
    let (from, to) = (letters.first()?.from, letters.last()?.to);
    whole.then_some((from, to))
}

fn begins(reading: &Reading, first: usize) -> bool {
    let before = first
        .checked_sub(1)
        .and_then(|before| reading.letters.get(before));
    let Some((before, letter)) = before.zip(reading.letters.get(first)) else {
        return true;
    };
    before.is_between() || letter.apart || is_unspaced(letter) || hangul::is_part(before.read)
}

fn ends(reading: &Reading, last: usize) -> bool {
    let after = reading.letters.get(last + 1);
    let Some((letter, after)) = reading.letters.get(last).zip(after) else {
        return true;
    };
    after.is_between()
        || after.apart
        || is_unspaced(letter)
        || hangul::is_part(after.read)
        || (hangul::is_syllable(after.read) && particles_follow(reading, last + 1))
}

fn particles_follow(reading: &Reading, first: usize) -> bool {
    let after = reading.letters.iter().skip(first);
    let rest: String = after
        .map(|letter| letter.read)
        .take_while(|letter| hangul::is_syllable(*letter))
        // One too many is none; a long word is not read on for each place where it could end.
        .take(particle::LETTERS + 1)
        .collect();
    let next = reading.letters.get(first + rest.chars().count());
    let ended = next.is_none_or(|next| !hangul::is_syllable(next.read));
    ended && particle::are_all(&rest)
}

/// Scripts that put no spaces between words, so that whole words can't be told from parts of them: Thai to Burmese,
/// Khmer, kana and Chinese characters.
fn is_unspaced(letter: &Letter) -> bool {
    matches!(
        letter.read,
        '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}
