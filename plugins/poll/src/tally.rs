//! A tally as text: a bar, a share and a count for each option.

use std::fmt::Write as _;

use crate::question::Question;

/// How long the bar of all votes is.
const BAR: u64 = 10;

pub(crate) fn shown(question: &Question, tally: &[u64]) -> String {
    let all: u64 = tally
        .iter()
        .fold(0, |sum, votes| sum.saturating_add(*votes));
    let mut shown = question.text.clone();
    for ((number, option), votes) in (1..).zip(&question.options).zip(tally) {
        let filled = share(*votes, all, BAR);
        let bar: String = (0..BAR)
            .map(|at| if at < filled { '█' } else { '░' })
            .collect();
        let percent = share(*votes, all, 100);
        // Writing to a string cannot fail.
        let _ = write!(shown, "\n{number}. {option} {bar} {percent} % ({votes})");
    }
    let votes = if all == 1 { "vote" } else { "votes" };
    let _ = write!(shown, "\n{all} {votes}");
    shown
}

/// `votes` out of `all` as parts of `whole`, rounded to the nearest.
fn share(votes: u64, all: u64, whole: u64) -> u64 {
    let (votes, all, whole) = (u128::from(votes), u128::from(all), u128::from(whole));
    let rounded = (votes * whole * 2 + all).checked_div(all * 2).unwrap_or(0);
    u64::try_from(rounded).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_and_none_of_none_is_none() {
        assert_eq!(share(0, 0, 100), 0);
        assert_eq!(share(1, 3, 100), 33);
        assert_eq!(share(2, 3, 100), 67);
        assert_eq!(share(u64::MAX, u64::MAX, 10), 10);
    }
}
