//! In which rooms a plugin applies: patterns of their names.

use unicode_normalization::UnicodeNormalization;
use wildmatch::WildMatch;

/// The most patterns of a plugin, and the most letters of one.
const PATTERNS: usize = 100;
const LETTERS: usize = 64;

/// See the module. Without patterns: everywhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reach {
    within: Vec<WildMatch>,
    without: Vec<WildMatch>,
}

impl Reach {
    /// Reads patterns: `*` stands for any letters, `?` for one, and a `!` before a pattern takes its rooms out. Where
    /// there are only such, all other rooms are in.
    ///
    /// # Errors
    /// Which pattern no room's name can meet.
    pub fn parse(patterns: &[String]) -> Result<Self, String> {
        if patterns.len() > PATTERNS {
            return Err(format!(
                "there are {} patterns; at most {PATTERNS} are allowed",
                patterns.len()
            ));
        }
        let mut reach = Self::default();
        for written in patterns {
            let (list, pattern) = match written.strip_prefix('!') {
                Some(pattern) => (&mut reach.without, pattern),
                None => (&mut reach.within, written.as_str()),
            };
            let pattern: String = pattern.nfc().collect();
            let letters = pattern.chars().count();
            let fits = |c: char| {
                c.is_alphanumeric()
                    || matches!(c, '-' | '_' | '.' | '*' | '?')
                    || unicode_normalization::char::is_combining_mark(c)
            };
            if !(1..=LETTERS).contains(&letters) || !pattern.chars().all(fits) {
                return Err(format!(
                    "`{written}` can't be met by the name of a room; a pattern has 1 to {LETTERS} letters, digits, `-`, `_`, `.`, `*` and `?`, and may begin with `!`"
                ));
            }
            list.push(WildMatch::new(&pattern));
        }
        Ok(reach)
    }

    /// Whether it applies in the room of this name.
    #[must_use]
    pub fn includes(&self, room: &str) -> bool {
        let any = |patterns: &[WildMatch]| patterns.iter().any(|pattern| pattern.matches(room));
        (self.within.is_empty() || any(&self.within)) && !any(&self.without)
    }

    /// Whether it applies in every room there may be.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.within.is_empty() && self.without.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(patterns: &[&str]) -> Result<Reach, String> {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        Reach::parse(&patterns)
    }

    #[test]
    fn patterns_say_in_which_rooms() {
        for (patterns, inside, outside) in [
            (&["lobby"][..], &["lobby"][..], &["lobby2", "Lobby", ""][..]),
            (&["team-*"], &["team-", "team-a"], &["team", "my-team-a"]),
            (&["?.chat", "lobby"], &["é.chat", "lobby"], &["ab.chat"]),
            (&["!private-*"], &["lobby"], &["private-a"]),
            (&["a*", "!*b"], &["a", "abc"], &["ab", "c"]),
            (&["Cafe\u{301}"], &["Café"], &["Cafe"]),
            (&[], &["lobby"], &[]),
        ] {
            let reach = reach(patterns).unwrap();
            for room in inside {
                assert!(reach.includes(room), "{patterns:?} {room}");
            }
            for room in outside {
                assert!(!reach.includes(room), "{patterns:?} {room}");
            }
            assert_eq!(reach.is_everywhere(), patterns.is_empty());
        }
    }

    #[test]
    fn a_pattern_that_no_room_can_meet_is_named() {
        for pattern in ["", "!", "a b", "a/b", "[a]", "!!a", &"a".repeat(65)] {
            let told = reach(&["lobby", pattern]).unwrap_err();
            assert!(told.contains(&format!("`{pattern}`")), "{told}");
        }
        assert!(reach(&["a"; 101]).unwrap_err().contains("101"));
    }
}
