//! Letters as people read them: what is drawn alike is alike.

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

/// What a character comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folded {
    /// A letter or a digit, in lower case and without marks.
    Letter(char),
    /// Whitespace.
    Space,
    /// Anything else that shows.
    Mark,
}

/// What a character outside of ASCII comes to, part by part: nothing for what does not show.
///
/// Compatibility forms (full width, ligatures, circled letters) come to what they stand for. Accents go, and with them
/// the difference between `и` and `й`; signs that make another letter of theirs stay: kana's voicing, Indic and Thai
/// vowels.
pub(crate) fn wide(letter: char, mut emit: impl FnMut(Folded)) {
    if ('가'..='힣').contains(&letter) {
        return emit(Folded::Letter(letter));
    }
    decompose_compatible(letter, |part| {
        if is_accent(part) || is_unseen(part) {
            return;
        }
        if part.is_alphanumeric() || canonical_combining_class(part) > 0 {
            // A lower case of several letters has marks for the rest.
            for lower in part.to_lowercase().filter(|lower| !is_accent(*lower)) {
                emit(Folded::Letter(if lower == 'ς' { 'σ' } else { lower }));
            }
        } else if part.is_whitespace() {
            emit(Folded::Space);
        } else {
            emit(Folded::Mark);
        }
    });
}

/// The letter that a digit or a mark is drawn like. `one` is what 1 is read as: it looks like two.
pub(crate) fn look_alike(letter: char, one: char) -> char {
    match letter {
        '0' => 'o',
        '1' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        other => other,
    }
}

/// Marks over, under and through letters, and the points of Hebrew, Arabic and Syriac.
fn is_accent(part: char) -> bool {
    matches!(canonical_combining_class(part), 1 | 10..=36 | 200..)
        || matches!(part, '\u{20dd}'..='\u{20e4}')
}

/// What takes no place: joiners, direction marks, soft hyphens, variation selectors, tags.
fn is_unseen(part: char) -> bool {
    matches!(
        part,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut folded = String::new();
        for letter in text.chars() {
            wide(letter, |part| {
                folded.push(match part {
                    Folded::Letter(letter) => letter,
                    Folded::Space => ' ',
                    Folded::Mark => '.',
                })
            });
        }
        folded
    }

    #[test]
    fn what_is_drawn_alike_is_alike() {
        assert_eq!(folded("ＨÉllÖ"), "hello");
        assert_eq!(folded("ⓗ𝐞ℓℓº"), "hello");
        assert_eq!(folded("e\u{301}\u{200b}a"), "ea");
        assert_eq!(folded("ﬁ"), "fi");
        assert_eq!(folded("ΣΑΣ σας"), "σασ σασ");
        assert_eq!(folded("İ"), "i");
    }

    #[test]
    fn signs_that_make_another_letter_stay() {
        assert_ne!(folded("ばか"), folded("はか"));
        assert_eq!(folded("ﾊﾞｶ"), folded("バカ"));
        assert_eq!(folded("바보"), "바보");
        assert_eq!(folded("की").chars().count(), 2);
    }
}
