//! What a name of a room or a person may be, and when two are the same.

use unicode_normalization::UnicodeNormalization;

/// The most letters of a name.
pub const LETTERS: usize = 64;

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the {0} is empty; give it 1 to 64 letters, digits, `-`, `_` or `.`")]
    Empty(&'static str),
    /// Too long.
    #[error("the {what} has {letters} letters; at most 64 are allowed")]
    TooLong {
        /// "room name" or "name".
        what: &'static str,
        /// How many there are.
        letters: usize,
    },
    /// A character that may not be in it.
    #[error("the {what} holds {character:?}; only letters, digits, `-`, `_` and `.` are allowed")]
    Character {
        /// "room name" or "name".
        what: &'static str,
        /// The first one.
        character: char,
    },
}

/// The name of a room, in NFC. Two are the same if they are equal to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(String);

/// The name of a person, in NFC. Two are the same if they differ in case only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonName(String);

impl RoomName {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        checked(name, "room name").map(Self)
    }

    /// As it is shown, which is its key too.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PersonName {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        checked(name, "name").map(Self)
    }

    /// As it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is known by: `Alice` is `alice`.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase().nfc().collect()
    }
}

fn checked(name: &str, what: &'static str) -> Result<String, NameError> {
    // Cut before normalising, so that a long text costs nothing; NFC never makes a text more than three times longer.
    let letters = name.chars().take(LETTERS * 4 + 1).count();
    if letters == 0 {
        return Err(NameError::Empty(what));
    }
    let name: String = name.chars().take(LETTERS * 4 + 1).nfc().collect();
    let letters = name.chars().count();
    if letters > LETTERS {
        return Err(NameError::TooLong { what, letters });
    }
    match name
        .chars()
        .find(|c| !(c.is_alphanumeric() || is_mark(*c) || matches!(c, '-' | '_' | '.')))
    {
        Some(character) => Err(NameError::Character { what, character }),
        None => Ok(name),
    }
}

/// Marks that belong to a letter (vowel signs, accents without a composed form).
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_kept() {
        for name in ["alice", "바보-방", "Ünïcode_1.2", "हिन्दी", "x"] {
            assert_eq!(RoomName::parse(name).map(|n| n.0), Ok(name.to_owned()));
        }
    }

    #[test]
    fn two_spellings_of_one_text_are_one_name() {
        assert_eq!(
            RoomName::parse("e\u{301}"),
            RoomName::parse("\u{e9}"),
            "NFC makes them one"
        );
        let (upper, lower) = (PersonName::parse("Alice"), PersonName::parse("alice"));
        assert_eq!(upper.map(|n| n.key()), lower.map(|n| n.key()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(RoomName::parse(""), Err(NameError::Empty("room name")));
        assert!(matches!(
            PersonName::parse(&"x".repeat(65)),
            Err(NameError::TooLong { letters: 65, .. })
        ));
        for bad in ["a b", "a/b", "a\n", "a\u{202e}b", "a\0"] {
            assert!(
                matches!(RoomName::parse(bad), Err(NameError::Character { .. })),
                "{bad:?}"
            );
        }
    }
}
