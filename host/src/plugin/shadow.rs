//! A version that runs in the shadow of the one in force: it is asked the same, and what it would have decided is
//! compared and forgotten.
//!
//! Knows answers and counts; does not know who asks. Examples quote messages, so they are for the operator alone and go
//! into no log.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::fault::one_line;
use super::stats::Counter;
use super::{Effect, Run, Verdict, words};

/// Examples that are kept: the newest.
const EXAMPLES: usize = 10;
/// The longest text of an example; what is longer is cut.
const TEXT_BYTES: usize = 400;

/// What a version in the shadow came to.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Messages, bodies, commands and timers that both were asked about.
    pub compared: Counter,
    /// How many of these it would have answered otherwise.
    pub otherwise: Counter,
    /// How many it failed at; they count as compared, and as answered otherwise where the other did not fail.
    pub failed: Counter,
    // Written where both differ, and read by the operator.
    examples: Mutex<VecDeque<Example>>,
}

/// Something that both answered, and not alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The room's name.
    pub room: String,
    /// What both were asked: `moderation`, `commands` …
    pub role: String,
    /// About this text.
    pub text: String,
    /// What the version in force answered, which counted.
    pub in_force: String,
    /// What the version in the shadow would have answered.
    pub shadow: String,
}

impl Comparison {
    /// Both answered alike.
    pub fn alike(&self) {
        self.compared.add(1);
    }

    /// Both answered, and not alike.
    pub fn differ(&self, example: Example) {
        self.compared.add(1);
        self.otherwise.add(1);
        let cut = |text: &str| one_line(text, TEXT_BYTES);
        let mut examples = self.examples.lock();
        examples.truncate(EXAMPLES - 1);
        examples.push_front(Example {
            text: cut(&example.text),
            in_force: cut(&example.in_force),
            shadow: cut(&example.shadow),
            ..example
        });
    }

    /// The newest examples, the newest first.
    #[must_use]
    pub fn examples(&self) -> Vec<Example> {
        self.examples.lock().iter().cloned().collect()
    }
}

/// What a role answers about one thing.
pub trait Answer: PartialEq {
    /// What it comes to where no plugin answers.
    fn nothing() -> Self;
    /// For the operator.
    fn words(&self) -> String;
}

impl Answer for Verdict {
    fn nothing() -> Self {
        Self::Allow
    }

    fn words(&self) -> String {
        words::verdict(self)
    }
}

impl Answer for Option<Vec<Run>> {
    fn nothing() -> Self {
        None
    }

    fn words(&self) -> String {
        match self {
            Some(runs) => runs.iter().map(words::run).collect::<Vec<_>>().join(", "),
            None => "leaves it as it is".into(),
        }
    }
}

impl Answer for Vec<Effect> {
    fn nothing() -> Self {
        Vec::new()
    }

    fn words(&self) -> String {
        if self.is_empty() {
            return "does nothing".into();
        }
        let effects: Vec<String> = self.iter().map(words::effect).collect();
        effects.join("; ")
    }
}

impl Answer for Result<Vec<Effect>, String> {
    fn nothing() -> Self {
        Ok(Vec::new())
    }

    fn words(&self) -> String {
        match self {
            Ok(effects) => effects.words(),
            Err(usage) => format!("tells the sender: {usage}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_newest_examples_are_kept() {
        let comparison = Comparison::default();
        comparison.alike();
        for number in 0..EXAMPLES + 5 {
            comparison.differ(Example {
                room: "lobby".into(),
                role: "moderation".into(),
                text: format!("{number} {}", "x".repeat(10_000)),
                in_force: Verdict::Allow.words(),
                shadow: Verdict::Withhold("no".into()).words(),
            });
        }
        let examples = comparison.examples();
        assert_eq!(examples.len(), EXAMPLES);
        assert!(examples[0].text.starts_with("14 "));
        assert!(examples.iter().all(|example| example.text.len() < 500));
        assert_eq!(
            (comparison.compared.get(), comparison.otherwise.get()),
            (16, 15)
        );
    }
}
