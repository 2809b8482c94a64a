//! What the operator lists, and what of it is refused.

use serde::Deserialize;

use crate::list::Word;
use crate::reading::Reading;

const ENTRIES: usize = 10_000;
const TEXT_BYTES: usize = 256;
/// The interface's bound on a reason.
const REASON_BYTES: usize = 512;
const NO_REASON: &str = "it has a word that is not welcome here";

/// The settings as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    entries: Vec<Entry>,
    /// What stands for each letter of a masked word: one ASCII mark.
    mask: Option<String>,
}

/// A word or phrase, and what becomes of a message that has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    text: String,
    #[serde(default)]
    action: ActionName,
    /// Told to the sender of what is withheld.
    reason: Option<String>,
    /// Whether it counts only as a word of its own.
    #[serde(default = "yes")]
    whole_word: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionName {
    #[default]
    Mask,
    Withhold,
    Discard,
}

/// What becomes of a message that has a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Mask,
    Withhold(String),
    Discard,
}

/// Settings that make sense. The action of a word is at the same place.
pub(crate) struct Checked {
    pub(crate) words: Vec<Word>,
    pub(crate) actions: Vec<Action>,
    pub(crate) mask: char,
}

/// Which setting is wrong, and what would be right. Entries are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there are {0} entries; list at most {ENTRIES}")]
    Entries(usize),
    #[error("entry {0} has an empty text; give a word or a phrase")]
    Empty(usize),
    #[error("entry {0} (`{1}`) has neither letters nor digits to look for")]
    NoLetters(usize, String),
    #[error("the text of entry {0} is {1} bytes long; make it at most {TEXT_BYTES}")]
    Long(usize, usize),
    #[error(
        "the reason of entry {0} (`{1}`) is told only with the action `withhold`; leave it out"
    )]
    Untold(usize, String),
    #[error("the reason of entry {0} (`{1}`) is {2} bytes long; make it 1 to {REASON_BYTES}")]
    Reason(usize, String, usize),
    #[error(
        "the mask `{0}` is not one ASCII mark such as `*`; a longer one could make a message too long"
    )]
    Mask(String),
}

impl Settings {
    pub(crate) fn check(self) -> Result<Checked, Refused> {
        if self.entries.len() > ENTRIES {
            return Err(Refused::Entries(self.entries.len()));
        }
        let mut words = Vec::with_capacity(self.entries.len());
        let mut actions = Vec::with_capacity(self.entries.len());
        for (number, entry) in (1..).zip(self.entries) {
            words.push(entry.word(number)?);
            actions.push(entry.action(number)?);
        }
        let mask = mask(self.mask.as_deref().unwrap_or("*"))?;
        Ok(Checked {
            words,
            actions,
            mask,
        })
    }
}

impl Entry {
    fn word(&self, number: usize) -> Result<Word, Refused> {
        if self.text.trim().is_empty() {
            return Err(Refused::Empty(number));
        }
        if self.text.len() > TEXT_BYTES {
            return Err(Refused::Long(number, self.text.len()));
        }
        let mut reading = Reading::default();
        reading.read(&self.text);
        Word::new(&reading, self.whole_word)
            .ok_or_else(|| Refused::NoLetters(number, self.text.clone()))
    }

    fn action(self, number: usize) -> Result<Action, Refused> {
        match (self.action, self.reason) {
            (ActionName::Mask, None) => Ok(Action::Mask),
            (ActionName::Discard, None) => Ok(Action::Discard),
            (ActionName::Withhold, None) => Ok(Action::Withhold(NO_REASON.into())),
            (ActionName::Withhold, Some(reason)) => match reason.len() {
                1..=REASON_BYTES => Ok(Action::Withhold(reason)),
                length => Err(Refused::Reason(number, self.text, length)),
            },
            (ActionName::Mask | ActionName::Discard, Some(_)) => {
                Err(Refused::Untold(number, self.text))
            }
        }
    }
}

fn mask(text: &str) -> Result<char, Refused> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(mask), None) if mask.is_ascii_punctuation() => Ok(mask),
        _ => Err(Refused::Mask(text.into())),
    }
}

fn yes() -> bool {
    true
}
