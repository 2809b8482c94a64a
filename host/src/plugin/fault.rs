//! From what went wrong to whose doing it was.

use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::drive::Overdue;
use super::outside::Outside;
use super::{Blame, Fault};

/// The most bytes of a fault's text.
const DETAIL_BYTES: usize = 512;

impl Fault {
    pub(super) fn new(blame: Blame, detail: &str) -> Self {
        Self {
            blame,
            detail: one_line(detail, DETAIL_BYTES),
            last_words: String::new(),
        }
    }

    /// The answer breaks the interface.
    pub(super) fn answer(detail: &str) -> Self {
        Self::new(Blame::Answer, detail)
    }

    pub(super) fn host(detail: &str) -> Self {
        Self::new(Blame::Host, detail)
    }
}

/// The fault of a call that was ended.
pub(super) fn of_overdue(overdue: Overdue) -> Fault {
    match overdue {
        Overdue::Running(ran) => Fault::new(
            Blame::RunningTime,
            &format!("ended after computing for {} ms", ran.as_millis()),
        ),
        Overdue::Waiting(waited) => Fault::new(
            Blame::WallClock,
            &format!("ended after {} ms, in which it waited", waited.as_millis()),
        ),
    }
}

/// The fault of a call that failed. What the host recorded goes before what the error says: denied memory, for one,
/// looks like any other trap.
pub(super) fn of_error(error: &wasmtime::Error, outside: &mut Outside) -> Fault {
    if let Some(denied) = outside.memory.denied.take() {
        return Fault::new(Blame::Memory, &denied);
    }
    if let Some(broken) = outside.broken.take() {
        return Fault::answer(&broken);
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Fault::new(Blame::Trap, &format!("it called exit({code})"));
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Fault::host(&format!("{error:#}"));
    }
    // The error's type is private to wasmtime.
    let text = format!("{error:#}");
    if text.contains("hostcalls has been exhausted") {
        return Fault::answer("it handed over more data at once than the host takes");
    }
    let words = outside.output.last_words(DETAIL_BYTES / 2);
    let trap = error
        .downcast_ref::<Trap>()
        .map_or(text, |trap| trap.to_string());
    Fault {
        last_words: words,
        ..Fault::new(Blame::Trap, &trap)
    }
}

/// A guest's or an error's text as one line of at most `most` bytes, without control characters.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if line.len() + c.len_utf8() > most {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_bounded_line() {
        assert_eq!(one_line(" a\nb\u{1b}[0m ", 100), "a b [0m");
        assert_eq!(one_line("äää", 5), "ää");
    }
}
