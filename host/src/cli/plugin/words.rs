//! Sizes, times and a plugin's answers, in words.

use std::time::Duration;

use crate::plugin::{Effect, Run, Style, Target, Verdict};

/// `2.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// `1.5 ms`.
pub(super) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let units = [("s", 1e9), ("ms", 1e6), ("µs", 1e3)];
    match units.iter().find(|(_, unit)| nanos >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", nanos / unit),
        None => format!("{nanos} ns"),
    }
}

/// What became of a message.
pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow => "allows it".into(),
        Verdict::Revise(text) => format!("revises it to {text:?}"),
        Verdict::Withhold(reason) => format!("withholds it: {reason}"),
        Verdict::Discard => "discards it, and tells nobody".into(),
    }
}

/// What a command or a timer does.
pub(super) fn effect(effect: &Effect) -> String {
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
            format!("mutes person {person} for {}", self::time(*duration))
        }
        Effect::Schedule(timer) => format!(
            "sets the timer {:?} in {}, with {} of data",
            timer.key,
            time(timer.delay),
            size(timer.data.len() as u64)
        ),
        Effect::Cancel(key) => format!("cancels the timer {key:?}"),
    }
}

/// One stretch of a body.
pub(super) fn run(run: &Run) -> String {
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
    fn sizes_and_times_have_units() {
        assert_eq!(size(12), "12 B");
        assert_eq!(size(2_500_000), "2.4 MiB");
        assert_eq!(time(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!(time(Duration::from_nanos(70)), "70 ns");
    }

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
