//! What is told of cases: which failed, where, what was expected and what came.

use std::fmt;

use chat_plugin::{Body, PersonId, RoomId};
use serde_json::Value;

use crate::answer::{quoted, run};
use crate::case::{Action, Case, Step};
use crate::cut::Cut;
use crate::file::Entry;
use crate::play::{Played, play};
use crate::subject::Subject;

/// What came of a file's cases.
#[derive(Debug, Default)]
pub struct Report {
    /// How many cases passed.
    pub passed: usize,
    /// Those that did not.
    pub failed: Vec<Failed>,
}

/// A case that failed.
#[derive(Debug)]
pub struct Failed {
    /// Its name.
    pub case: String,
    /// Where it is in its file.
    pub line: usize,
    /// What differs, one paragraph each.
    pub why: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed.len();
        write!(f, "{} passed, {failed} failed", self.passed)?;
        for failed in &self.failed {
            write!(f, "\n\ncase `{}` (line {})", failed.case, failed.line)?;
            for why in &failed.why {
                write!(f, "\n  {}", why.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a case; nothing where it passes.
pub(crate) fn judge(case: &Case, subject: &dyn Subject) -> Vec<String> {
    let mut first: Option<Played> = None;
    for cut in Cut::ALL {
        let played = match (play(case, subject, cut), &case.refused) {
            (Err(why), Some(expected)) if why == *expected => return Vec::new(),
            (Err(why), Some(expected)) => {
                return vec![differs(
                    "its settings are refused with another text",
                    &quoted(expected),
                    &quoted(&why),
                )];
            }
            (Err(why), None) => return vec![format!("the plugin does not start: {why}")],
            (Ok(_), Some(expected)) => {
                return vec![differs(
                    "its settings are taken",
                    &format!("refused = {}", quoted(expected)),
                    "a start",
                )];
            }
            (Ok(played), None) => played,
        };
        match &first {
            None => {
                let wrong = compare(case, &played);
                if !wrong.is_empty() {
                    return wrong;
                }
                first = Some(played);
            }
            Some(first) if *first != played => return vec![apart(case, cut, first, &played)],
            Some(_) => {}
        }
    }
    Vec::new()
}

/// What did not come as the file says.
fn compare(case: &Case, played: &Played) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((number, step), got) in (1..).zip(&case.steps).zip(&played.answers) {
        if step.expected != *got {
            let (expected, got) = (step.expected.to_string(), got.to_string());
            wrong.push(differs(&named(case, number, step), &expected, &got));
        }
    }
    for ((room, key), expected) in &case.left {
        let got = played.remembered.get(&(*room, key.clone()));
        if !is(expected, got.map(Vec::as_slice)) {
            let place = format!("left, `{key}` in `{}`", room_name(case, *room));
            let got = got.map_or_else(|| "\"absent\"".into(), |bytes| remembered(bytes));
            wrong.push(differs(&place, &entry(expected), &got));
        }
    }
    wrong
}

/// Where two cuts differ first.
fn apart(case: &Case, cut: Cut, first: &Played, other: &Played) -> String {
    let answers = first.answers.iter().zip(&other.answers);
    let differing = (1..)
        .zip(&case.steps)
        .zip(answers)
        .find(|(_, (one, another))| one != another);
    match differing {
        Some(((number, step), (one, another))) => format!(
            "{}: the answer depends on how messages are cut into calls\n{}: {one}\n{cut}: {another}",
            named(case, number, step),
            Cut::AllAtOnce
        ),
        None => format!(
            "the state left depends on how messages are cut into calls\n{}: {}\n{cut}: {}",
            Cut::AllAtOnce,
            all_remembered(case, first),
            all_remembered(case, other)
        ),
    }
}

fn differs(what: &str, expected: &str, got: &str) -> String {
    format!("{what}\nexpected: {expected}\ngot:      {got}")
}

fn named(case: &Case, number: usize, step: &Step) -> String {
    let who = match step.sender {
        PersonId(person) => usize::try_from(person.saturating_sub(1)).unwrap_or_default(),
    };
    let who = case.people.get(who).map_or("?", String::as_str);
    let what = match &step.action {
        Action::Send(text) => format!("{who} sends {}", quoted(text)),
        Action::Command { text, .. } => format!("{who} gives {}", quoted(text)),
        Action::Timer(key) => format!("the timer `{key}`"),
        Action::Format(body) => format!("format {}", shown(body)),
        Action::Review(body) => format!("review {}", shown(body)),
    };
    format!("step {number} (line {}): {what}", step.line)
}

fn shown(body: &Body) -> String {
    match body {
        Body::Plain(text) => quoted(text),
        Body::Styled(runs) => {
            let runs: Vec<String> = runs.iter().map(run).collect();
            format!("[{}]", runs.join(", "))
        }
    }
}

fn room_name(case: &Case, room: RoomId) -> &str {
    let at = usize::try_from(room.0.saturating_sub(1)).unwrap_or_default();
    case.rooms.get(at).map_or("?", String::as_str)
}

fn is(expected: &Entry, got: Option<&[u8]>) -> bool {
    match (expected, got) {
        (Entry::Absent, got) => got.is_none(),
        (Entry::Counter(count), Some(got)) => count.to_le_bytes() == got,
        (Entry::Json(value), Some(got)) => {
            serde_json::from_slice::<Value>(got).is_ok_and(|got| got == *value)
        }
        (Entry::Counter(_) | Entry::Json(_), None) => false,
    }
}

fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Absent => "\"absent\"".into(),
        Entry::Counter(count) => format!("{{ counter = {count} }}"),
        Entry::Json(value) => format!("{{ json = {value} }}"),
    }
}

/// JSON where it is; else a counter where it has a counter's size.
fn remembered(bytes: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return entry(&Entry::Json(value));
    }
    match <[u8; 8]>::try_from(bytes) {
        Ok(bytes) => entry(&Entry::Counter(i64::from_le_bytes(bytes))),
        Err(_) => format!("{} bytes that are neither JSON nor a counter", bytes.len()),
    }
}

fn all_remembered(case: &Case, played: &Played) -> String {
    let entries = played.remembered.iter().map(|((room, key), bytes)| {
        let room = room_name(case, *room);
        format!("{room}: `{key}` = {}", remembered(bytes))
    });
    entries.collect::<Vec<_>>().join("; ")
}
