//! Answers of a plugin, shown as a case file would have them, so that what a report says can be copied into one.

use std::fmt;

use chat_plugin::{Effect, Judgement, Run, Style, Target, Verdict};

use crate::span::Span;

/// What came of one step, or should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Verdict(Verdict),
    Effects(Vec<Effect>),
    Usage(String),
    Runs(Option<Vec<Run>>),
    /// There was none: the plugin failed, or broke the interface.
    Failed(String),
}

impl From<Judgement> for Answer {
    fn from(judgement: Judgement) -> Self {
        Answer::Verdict(match judgement {
            Judgement::Allow => Verdict::Allow,
            Judgement::Withhold(reason) => Verdict::Withhold(reason),
            Judgement::Discard => Verdict::Discard,
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Verdict(Verdict::Allow) => f.write_str("\"allow\""),
            Answer::Verdict(Verdict::Discard) => f.write_str("\"discard\""),
            Answer::Verdict(Verdict::Revise(text)) => write!(f, "{{ revise = {} }}", quoted(text)),
            Answer::Verdict(Verdict::Withhold(why)) => {
                write!(f, "{{ withhold = {} }}", quoted(why))
            }
            Answer::Usage(text) => write!(f, "{{ usage = {} }}", quoted(text)),
            Answer::Effects(effects) => {
                let effects: Vec<String> = effects.iter().map(effect).collect();
                write!(f, "{{ effects = [{}] }}", effects.join(", "))
            }
            Answer::Runs(None) => f.write_str("\"unchanged\""),
            Answer::Runs(Some(runs)) => {
                let runs: Vec<String> = runs.iter().map(run).collect();
                write!(f, "{{ runs = [{}] }}", runs.join(", "))
            }
            Answer::Failed(why) => write!(f, "a failure: {why}"),
        }
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Say(text) => format!("{{ say = {} }}", quoted(text)),
        Effect::Act(text) => format!("{{ act = {} }}", quoted(text)),
        Effect::Notice(text) => format!("{{ notice = {} }}", quoted(text)),
        Effect::Whisper { to, text } => {
            let (to, text) = (quoted(to), quoted(text));
            format!("{{ whisper = {{ to = {to}, text = {text} }} }}")
        }
        Effect::Reply(text) => format!("{{ reply = {} }}", quoted(text)),
        Effect::Topic(text) => format!("{{ topic = {} }}", quoted(text)),
        Effect::Mute { person, lasting } => {
            let lasting = Span(*lasting);
            format!(
                "{{ mute = {{ person = \"number {}\", lasting = \"{lasting}\" }} }}",
                person.0
            )
        }
        Effect::Schedule(timer) => {
            let (key, delay) = (quoted(&timer.key), Span(timer.delay));
            let data = quoted(&String::from_utf8_lossy(&timer.data));
            format!("{{ schedule = {{ key = {key}, delay = \"{delay}\", data = {data} }} }}")
        }
        Effect::Cancel(key) => format!("{{ cancel = {} }}", quoted(key)),
    }
}

/// A run as case files have it.
pub(crate) fn run(run: &Run) -> String {
    let mut shown = format!("{{ text = {}", quoted(&run.text));
    if !run.style.is_empty() {
        let looks: Vec<String> = Style::all()
            .iter_names()
            .filter(|(_, style)| run.style.contains(*style))
            .map(|(name, _)| format!("\"{}\"", name.to_lowercase()))
            .collect();
        shown += &format!(", style = [{}]", looks.join(", "));
    }
    match &run.target {
        Target::None => {}
        Target::Url(url) => shown += &format!(", url = {}", quoted(url)),
        Target::Mention => shown += ", mention = true",
    }
    shown + " }"
}

/// A text as TOML has it. JSON's escapes are TOML's too.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
