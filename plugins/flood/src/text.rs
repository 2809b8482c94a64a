//! Texts as marks: two that people would call the same have one mark.

/// FNV-1a, letter by letter, over the text without case, spaces and stretched letters. The mark is kept in state, so it must be the same in
/// every version and on every host, which a hash of the standard library is not.
pub(crate) fn mark(text: &str) -> u32 {
    const BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let mut before = None;
    let mut mark = BASIS;
    let mut add = |letter: char| {
        if before != Some(letter) {
            before = Some(letter);
            mark = (mark ^ u32::from(letter)).wrapping_mul(PRIME);
        }
    };
    for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
        // The tables of all scripts would take longer than all else here.
        if letter.is_ascii() {
            add(letter.to_ascii_lowercase());
        } else {
            letter.to_lowercase().for_each(&mut add);
        }
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_the_same_have_one_mark() {
        assert_eq!(mark("Buy now"), mark(" buuuy\tNOW "));
        assert_ne!(mark("buy now"), mark("buy new"));
        assert_ne!(mark("ab"), mark("ba"));
    }

    #[test]
    fn marks_are_those_of_every_version() {
        assert_eq!(mark(""), 0x811c_9dc5);
        assert_eq!(mark("tea"), 0xb401_e629);
    }
}
