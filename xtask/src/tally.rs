//! The sum of many test runs: what the test binaries said on their `test result:` lines.

use std::fmt;

/// How many tests passed, failed, and did not run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Adds what one line of output says, if it is a result.
    pub fn read(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else {
            return;
        };
        // `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s`
        let mut words = result
            .split([' ', ';'])
            .filter(|word| !word.is_empty())
            .peekable();
        while let Some(word) = words.next() {
            let (Ok(count), Some(what)) = (word.parse::<u64>(), words.peek()) else {
                continue;
            };
            match *what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }

    /// Moves tests that could not run out of those that passed, for the harness knows no other word for them.
    pub fn could_not_run(&mut self, tests: usize) {
        let tests = u64::try_from(tests).unwrap_or(u64::MAX).min(self.passed);
        self.passed -= tests;
        self.skipped += tests;
    }

    /// Accounts for a failure that no test reported: code that did not compile, a test binary that crashed.
    pub fn failed_otherwise(&mut self) {
        self.failed = self.failed.max(1);
    }

    /// Whether nothing failed.
    pub fn is_success(&self) -> bool {
        self.failed == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_are_summed() {
        let sum = tally(
            "running 4 tests\ntest 7 passed; 9 failed ... ok\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s\n\
             test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.21s\n",
        );
        assert_eq!(sum.to_string(), "13 passed, 2 failed, 1 skipped");
        assert!(!sum.is_success());
    }

    #[test]
    fn what_could_not_run_did_not_pass() {
        let mut sum =
            tally("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        sum.could_not_run(2);
        assert_eq!(sum.to_string(), "1 passed, 0 failed, 3 skipped");
        assert!(sum.is_success());
    }

    #[test]
    fn a_crash_without_a_result_is_a_failure() {
        let mut sum = tally("");
        sum.failed_otherwise();
        assert_eq!(sum.to_string(), "0 passed, 1 failed, 0 skipped");
        sum.failed_otherwise();
        assert_eq!(sum.failed, 1);
    }
}
