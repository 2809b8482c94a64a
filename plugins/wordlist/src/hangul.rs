//! Hangul typed apart: `ㅂㅏㅂㅗ`, or the decomposed form that some systems send, as the syllables people read.

const FIRST: u32 = 0x1100;
const VOWEL: u32 = 0x1161;
/// One before the first final, for there may be none.
const FINAL: u32 = 0x11a7;
const SYLLABLE: u32 = 0xac00;
const VOWELS: u32 = 21;
const FINALS: u32 = 28;

/// Finals for initials: which final is drawn like the initial of this number; 0 for those that can't end a syllable.
const FINAL_OF_FIRST: [u32; 19] = [
    1, 2, 4, 7, 0, 8, 16, 17, 0, 19, 20, 21, 22, 0, 23, 24, 25, 26, 27,
];

/// A part of a syllable that stands alone.
pub(crate) fn is_part(letter: char) -> bool {
    matches!(letter, '\u{1100}'..='\u{11ff}')
}

pub(crate) fn is_syllable(letter: char) -> bool {
    ('가'..='힣').contains(&letter)
}

/// The syllable that `letter` makes with what is before it.
pub(crate) fn join(before: char, letter: char) -> Option<char> {
    if let (Some(first), Some(vowel)) = (number(before, FIRST, 19), number(letter, VOWEL, VOWELS)) {
        return char::from_u32(SYLLABLE + (first * VOWELS + vowel) * FINALS);
    }
    let syllable = number(before, SYLLABLE, 11_172)?;
    let last = number(letter, FINAL, FINALS).filter(|last| *last > 0)?;
    syllable
        .is_multiple_of(FINALS)
        .then(|| char::from_u32(SYLLABLE + syllable + last))?
}

/// The syllable that the initial `letter` ends, where no vowel follows it.
pub(crate) fn close(before: char, letter: char) -> Option<char> {
    let first = number(letter, FIRST, 19)?;
    let last = FINAL_OF_FIRST.get(usize::try_from(first).ok()?)?;
    if *last == 0 {
        return None;
    }
    join(before, char::from_u32(FINAL + last)?)
}

fn number(letter: char, from: u32, count: u32) -> Option<u32> {
    u32::from(letter)
        .checked_sub(from)
        .filter(|number| *number < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_to_the_syllables_they_spell() {
        assert_eq!(join('\u{1107}', '\u{1161}'), Some('바'));
        assert_eq!(join('바', '\u{11af}'), Some('발'));
        assert_eq!(join('발', '\u{11af}'), None);
        assert_eq!(join('a', '\u{1161}'), None);
        assert_eq!(close('바', '\u{1105}'), Some('발'));
        assert_eq!(close('바', '\u{1104}'), None);
    }
}
