//! From what went wrong to whose doing it was.

use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::captured::is_panic;
use super::drive::Overdue;
use super::outside::Outside;
use super::{Blame, Fault};

/// The most bytes of a fault's text, and of the line of last words beside it.
pub(super) const LAST_LINE_BYTES: usize = 256;
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
    let trap = error
        .downcast_ref::<Trap>()
        .map_or(text, |trap| trap.to_string());
    Fault::new(Blame::Trap, &trap)
}

/// The one line of the last words that says most, of at most `most` bytes.
///
/// A Rust panic is `thread … panicked at PLACE:`, the message, and a note about backtraces. A component of Python panics
/// after it has written a traceback, whose last line says more.
pub(super) fn last_line(words: &str, most: usize) -> String {
    let lines: Vec<&str> = words.lines().map(str::trim).collect();
    let Some(panic) = lines.iter().rposition(|line| is_panic(line)) else {
        return one_line(lines.last().copied().unwrap_or_default(), most);
    };
    let (before, panic) = lines.split_at(panic);
    let traced = words.lines().any(|line| {
        line.starts_with("Traceback (most recent call last)") || line.starts_with("  File \"")
    });
    match before.last() {
        Some(exception) if traced => one_line(exception, most),
        _ => {
            let panic: Vec<&str> = panic.iter().take(2).copied().collect();
            one_line(&panic.join(" "), most)
        }
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
    fn a_panic_is_told_with_its_message() {
        let words = "hello\nthread 'main' panicked at src/lib.rs:1:2:\nno way\nnote: run with";
        assert_eq!(
            last_line(words, 100),
            "thread 'main' panicked at src/lib.rs:1:2: no way"
        );
    }

    #[test]
    fn a_traceback_is_told_with_its_exception() {
        let words = "Traceback (most recent call last):\n  File \"plugin.py\", line 9, in run\nValueError: no way";
        assert_eq!(last_line(words, 100), "ValueError: no way");
        let words = format!(
            "{words}\nthread '<unnamed>' panicked at runtime/src/lib.rs:1:2:\nPython function threw"
        );
        assert_eq!(last_line(&words, 100), "ValueError: no way");
    }

    #[test]
    fn of_other_words_the_last_line_is_told() {
        assert_eq!(last_line("one\ntwo", 2), "tw");
        assert_eq!(last_line("", 9), "");
    }

    #[test]
    fn a_detail_is_one_bounded_line() {
        assert_eq!(one_line(" a\nb\u{1b}[0m ", 100), "a b [0m");
        assert_eq!(one_line("äää", 5), "ää");
    }
}
