//! Masking: as many characters as there were, so that a message keeps its shape.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// The text with `mask` over each character (grapheme) that the ranges touch, but for whitespace.
pub(crate) fn over(text: &str, mut ranges: Vec<Range<usize>>, mask: char) -> String {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut ranges = ranges.into_iter().peekable();
    let mut reach = 0;
    let mut masked = String::with_capacity(text.len());
    for (at, character) in text.grapheme_indices(true) {
        // How far the ranges reach that begin before this character ends.
        while let Some(range) = ranges.next_if(|range| range.start < at + character.len()) {
            reach = reach.max(range.end);
        }
        if at < reach && !character.chars().all(char::is_whitespace) {
            masked.push(mask);
        } else {
            masked.push_str(character);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stars(text: &str, places: &[(usize, usize)]) -> String {
        let ranges = places.iter().map(|(from, to)| *from..*to).collect();
        over(text, ranges, '*')
    }

    #[test]
    fn each_character_has_one_mask() {
        assert_eq!(stars("a bad word", &[(2, 5)]), "a *** word");
        assert_eq!(stars("바보야", &[(0, 6)]), "**야");
        assert_eq!(stars("e\u{301}x", &[(0, 1)]), "*x");
        assert_eq!(stars("a b c d", &[(0, 5), (2, 3)]), "* * * d");
    }
}
