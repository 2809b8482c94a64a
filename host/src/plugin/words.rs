//! A plugin's answers, in words for authors and operators.

use super::{Effect, Run, Style, Target, Verdict};
use crate::config::units::{show_bytes, show_duration};

/// What became of a message.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow => "allows it".into(),
        Verdict::Revise(text) => format!("revises it to {text:?}"),
        Verdict::Withhold(reason) => format!("withholds it: {reason}"),
        Verdict::Discard => "discards it, and tells nobody".into(),
    }
}

/// What a command or a timer does.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Say(text) => format!("says to all, for the sender: {text:?}"),
        Effect::Act(text) => format!("acts, for the sender: {text:?}"),
        Effect::Notice(text) => format!("notices to all: {text:?}"),
        Effect::Whisper { to, text } => format!("whispers to {to}: {text:?}"),
        Effect::Reply(text) => format!("replies to the sender: {text:?}"),
        Effect::Topic(topic) => format!("sets the topic: {topic:?}"),
        Effect::Mute { person, duration } if duration.is_zero() => {
            format!("lets person {person} speak again")
        }
        Effect::Mute { person, duration } => {
            format!("mutes person {person} for {}", show_duration(*duration))
        }
        Effect::Schedule(timer) => format!(
            "sets the timer {:?} in {}, with {} of data",
            timer.key,
            show_duration(timer.delay),
            show_bytes(timer.data.len() as u64)
        ),
        Effect::Cancel(key) => format!("cancels the timer {key:?}"),
    }
}

/// One stretch of a body.
pub fn run(run: &Run) -> String {
    let named = [
        (Style::STRONG, "strong"),
        (Style::EMPHASIS, "emphasis"),
        (Style::STRIKE, "strike"),
        (Style::CODE, "code"),
        (Style::BLOCK, "block"),
        (Style::QUOTE, "quote"),
    ];
    let mut look: Vec<String> = named
        .iter()
        .filter(|(style, _)| run.style.0 & style.0 != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    match &run.target {
        Target::None => {}
        Target::Mention => look.push("mention".into()),
        Target::Url(address) => look.push(format!("to {address}")),
    }
    if look.is_empty() {
        return format!("{:?}", run.text);
    }
    format!("{:?} ({})", run.text, look.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_tells_its_look_and_where_it_leads() {
        let run = super::run(&Run {
            text: "here".into(),
            style: Style(Style::STRONG.0 | Style::CODE.0),
            target: Target::Url("https://example.org".into()),
        });
        assert_eq!(run, "\"here\" (strong, code, to https://example.org)");
    }
}
