//! Korean particles: what may follow a word without making it another word.
//!
//! `바보는` and `바보들에게` have the word `바보`; `바보상자`, a television, does not. A word may be followed by up to three
//! of those listed here, and by parts of syllables, which are laughter and tears (`바보ㅋㅋ`).

const PARTICLES: [&str; 72] = [
    "가",
    "같은",
    "같이",
    "까지",
    "께",
    "께서",
    "나",
    "냐",
    "네",
    "네요",
    "는",
    "니",
    "다",
    "던",
    "도",
    "들",
    "라",
    "라고",
    "라는",
    "라니",
    "라도",
    "랑",
    "로",
    "를",
    "마저",
    "만",
    "밖에",
    "보다",
    "부터",
    "뿐",
    "뿐만",
    "선",
    "아",
    "아니",
    "야",
    "에",
    "에게",
    "에서",
    "여",
    "예요",
    "와",
    "요",
    "으로",
    "은",
    "을",
    "의",
    "이",
    "이고",
    "이나",
    "이냐",
    "이네",
    "이니",
    "이다",
    "이라",
    "이라고",
    "이란",
    "이랑",
    "이며",
    "이야",
    "이었다",
    "이에요",
    "인",
    "인가",
    "인데",
    "임",
    "입니다",
    "자식아",
    "조차",
    "처럼",
    "하고",
    "한테",
    "님",
];

const AT_MOST: usize = 3;

/// No more letters than this are particles.
pub(crate) const LETTERS: usize = 9;

/// Whether `rest`, which follows a word, is nothing but particles.
pub(crate) fn are_all(rest: &str) -> bool {
    follow(rest, AT_MOST)
}

fn follow(rest: &str, at_most: usize) -> bool {
    rest.is_empty()
        || at_most > 0
            && PARTICLES
                .iter()
                .filter_map(|particle| rest.strip_prefix(particle))
                .any(|rest| follow(rest, at_most - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_particles_are_longer_than_said() {
        let longest = PARTICLES
            .iter()
            .map(|particle| particle.chars().count())
            .max();
        assert_eq!(longest.map(|longest| longest * AT_MOST), Some(LETTERS));
    }

    #[test]
    fn particles_follow_one_another() {
        for rest in ["", "는", "들에게", "들이라고", "처럼은", "한테도"] {
            assert!(are_all(rest), "{rest}");
        }
        for rest in ["상자", "는상자", "스럽다", "들들들들"] {
            assert!(!are_all(rest), "{rest}");
        }
    }
}
