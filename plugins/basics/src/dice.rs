//! Dice: how they are written, and how they fall.

use std::fmt::Write as _;
use std::str::FromStr;

const COUNT: u32 = 100;
const SIDES: u32 = 1_000;
const BONUS: i64 = 1_000_000;

/// `count` dice of `sides` sides, and `bonus` added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dice {
    count: u32,
    sides: u32,
    bonus: i64,
}

/// Why dice were not understood. The text is for the person who wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("usage: /roll [NdM+K], e.g. /roll 2d6+1 for two dice of six sides and one added")]
    Form,
    #[error("roll 1 to {COUNT} dice")]
    Count,
    #[error("a die has 1 to {SIDES} sides here")]
    Sides,
    #[error("add or take at most {BONUS}")]
    Bonus,
}

impl FromStr for Dice {
    type Err = Refused;

    /// `NdM+K`: N and K may be left out, and so may spaces be; nothing at all is `1d6`.
    fn from_str(text: &str) -> Result<Self, Refused> {
        let text: String = text.split_whitespace().collect::<String>().to_lowercase();
        if text.is_empty() {
            return Ok(Dice {
                count: 1,
                sides: 6,
                bonus: 0,
            });
        }
        let (count, rest) = text.split_once('d').ok_or(Refused::Form)?;
        let (sides, bonus) = match rest.find(['+', '-']) {
            Some(sign) => rest.split_at_checked(sign).ok_or(Refused::Form)?,
            None => (rest, ""),
        };
        Ok(Dice {
            count: match count {
                "" => 1,
                count => within(count, COUNT)
                    .ok_or(Refused::Form)?
                    .ok_or(Refused::Count)?,
            },
            sides: within(sides, SIDES)
                .ok_or(Refused::Form)?
                .ok_or(Refused::Sides)?,
            bonus: signed(bonus)?,
        })
    }
}

impl Dice {
    /// What came of it, as an action: `rolls 2d6+1: 3 + 5 + 1 = 9`.
    pub(crate) fn roll(self, mut random: impl FnMut() -> u64) -> String {
        let mut sum = self.bonus;
        let mut falls = String::new();
        for die in 0..self.count {
            let fall = fall(self.sides, random());
            sum += i64::from(fall);
            let plus = if die == 0 { "" } else { " + " };
            // Writing to a string cannot fail.
            let _ = write!(falls, "{plus}{fall}");
        }
        let written = self.written();
        match (self.count, self.bonus) {
            (1, 0) => format!("rolls {written}: {sum}"),
            (_, 0) => format!("rolls {written}: {falls} = {sum}"),
            (_, 1..) => format!("rolls {written}: {falls} + {} = {sum}", self.bonus),
            _ => format!("rolls {written}: {falls} - {} = {sum}", -self.bonus),
        }
    }

    fn written(self) -> String {
        match self.bonus {
            0 => format!("{}d{}", self.count, self.sides),
            bonus => format!("{}d{}{bonus:+}", self.count, self.sides),
        }
    }
}

/// 1 to `sides`, each as likely as the other but for one part in 2^54.
fn fall(sides: u32, random: u64) -> u32 {
    let scaled = (u128::from(random) * u128::from(sides)) >> 64;
    u32::try_from(scaled).map_or(1, |scaled| scaled + 1)
}

/// None: not a number. `Some(None)`: a number, but not 1 to `most`.
fn within(text: &str, most: u32) -> Option<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        text.parse()
            .ok()
            .filter(|number| (1..=most).contains(number)),
    )
}

fn signed(text: &str) -> Result<i64, Refused> {
    let Some(digits) = text.strip_prefix(['+', '-']) else {
        return Ok(0);
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refused::Form);
    }
    text.parse()
        .ok()
        .filter(|bonus: &i64| bonus.abs() <= BONUS)
        .ok_or(Refused::Bonus)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dice(count: u32, sides: u32, bonus: i64) -> Result<Dice, Refused> {
        Ok(Dice {
            count,
            sides,
            bonus,
        })
    }

    #[test]
    fn dice_are_read_as_people_write_them() {
        assert_eq!("".parse(), dice(1, 6, 0));
        assert_eq!("d20".parse(), dice(1, 20, 0));
        assert_eq!("2d6+1".parse(), dice(2, 6, 1));
        assert_eq!("2 D 6 - 3".parse(), dice(2, 6, -3));
        assert_eq!("100d1000".parse(), dice(100, 1000, 0));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_the_bound() {
        let refused = |text: &str| text.parse::<Dice>().unwrap_err();
        assert_eq!(refused("101d6"), Refused::Count);
        assert_eq!(refused("0d6"), Refused::Count);
        assert_eq!(refused("99999999999d6"), Refused::Count);
        assert_eq!(refused("2d1001"), Refused::Sides);
        assert_eq!(refused("2d0"), Refused::Sides);
        assert_eq!(refused("2d6+1000001"), Refused::Bonus);
        assert_eq!(refused("2d6+99999999999999999999"), Refused::Bonus);
        for wrong in [
            "6", "2d", "x", "2d6+", "2d6+1+1", "-1d6", "2d6d6", "+", "d", "2d٦",
        ] {
            assert_eq!(refused(wrong), Refused::Form, "{wrong:?}");
        }
    }

    #[test]
    fn a_roll_shows_each_die_and_the_sum() {
        let highest = |text: &str| text.parse::<Dice>().unwrap().roll(|| u64::MAX);
        assert_eq!(highest(""), "rolls 1d6: 6");
        assert_eq!(highest("2d6"), "rolls 2d6: 6 + 6 = 12");
        assert_eq!(highest("2d6+1"), "rolls 2d6+1: 6 + 6 + 1 = 13");
        assert_eq!(highest("1d4-6"), "rolls 1d4-6: 4 - 6 = -2");
    }

    proptest! {
        #[test]
        fn a_die_falls_on_one_of_its_sides(sides in 1..=SIDES, random: u64) {
            prop_assert!((1..=sides).contains(&fall(sides, random)));
        }

        #[test]
        fn no_text_is_too_odd_to_refuse(text in ".{0,40}|[0-9d+ -]{0,12}") {
            if let Ok(dice) = text.parse::<Dice>() {
                let told = dice.roll(|| u64::MAX);
                prop_assert!(told.len() < 1_000, "{} bytes", told.len());
            }
        }
    }
}
