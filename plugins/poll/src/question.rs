//! A question and its options, as they are typed between bars.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::USAGE;

/// Together with the bars of a tally they stay well below what a message may have, also where an operator sets less.
const TEXT_BYTES: usize = 300;
const OPTION_BYTES: usize = 100;
const OPTIONS: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) options: Vec<String>,
}

impl FromStr for Question {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let mut parts = typed.split('|').map(one_line);
        let text = parts.next().unwrap_or_default();
        // One more than allowed tells that there are too many; how many does not matter.
        let options: Vec<String> = parts.take(OPTIONS + 1).collect();
        if text.is_empty() {
            return Err(USAGE.into());
        }
        bounded("the question", &text, TEXT_BYTES)?;
        if options.len() < 2 {
            return Err(format!("a poll has at least two options; {USAGE}"));
        }
        if options.len() > OPTIONS {
            return Err(format!("a poll has at most {OPTIONS} options"));
        }
        let mut seen = BTreeSet::new();
        for (number, option) in (1..).zip(&options) {
            if option.is_empty() {
                return Err(format!(
                    "option {number} is empty; write something between the bars"
                ));
            }
            bounded(&format!("option {number}"), option, OPTION_BYTES)?;
            if !seen.insert(option.to_lowercase()) {
                return Err(format!("option {number} is there twice: {option}"));
            }
        }
        Ok(Question { text, options })
    }
}

impl Question {
    /// The question with its numbered options.
    pub(crate) fn asked(&self) -> String {
        let options = (1..).zip(&self.options);
        let options = options.map(|(number, option)| format!("\n{number}. {option}"));
        self.text.clone() + &options.collect::<String>()
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bounded(what: &str, text: &str, most: usize) -> Result<(), String> {
    let bytes = text.len();
    if bytes > most {
        return Err(format!(
            "{what} is {bytes} bytes long; make it at most {most}"
        ));
    }
    Ok(())
}
