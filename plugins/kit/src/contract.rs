//! The bounds of the interface that a host would call a failure, as `wit/1.1/plugin.wit` has them.

use std::time::Duration;

use chat_plugin::{Effect, Run, Target, Timer, Verdict};

/// The host's default.
const MESSAGE_BYTES: usize = 4_096;
const REASON_BYTES: usize = 512;
const USAGE_BYTES: usize = 1_024;
const TOPIC_BYTES: usize = 256;
const EFFECTS: usize = 32;
const RUNS: usize = 256;
const URL_BYTES: usize = 2_048;
const TIMER_KEY_BYTES: usize = 128;
const TIMER_DATA_BYTES: usize = 4_096;
const TIMER_MOST: Duration = Duration::from_secs(366 * 86_400);
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 64 * 1_024;

pub(crate) fn entry(key: &str, value: &[u8]) -> Result<(), String> {
    if key.is_empty() {
        return Err("the key of an entry is empty".into());
    }
    most("the key of an entry", key.len(), KEY_BYTES)?;
    most("the value of an entry", value.len(), VALUE_BYTES)
}

pub(crate) fn verdict(verdict: &Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Allow | Verdict::Discard => Ok(()),
        Verdict::Revise(revised) => text("a revised text", revised),
        Verdict::Withhold(reason) => most("a reason", reason.len(), REASON_BYTES),
    }
}

pub(crate) fn usage(usage: &str) -> Result<(), String> {
    most("a usage text", usage.len(), USAGE_BYTES)
}

pub(crate) fn effects(effects: &[Effect], by_person: bool) -> Result<(), String> {
    if effects.len() > EFFECTS {
        return Err(format!(
            "there are {} effects; at most {EFFECTS} are allowed",
            effects.len()
        ));
    }
    effects.iter().try_for_each(|effect| match effect {
        Effect::Reply(_) if !by_person => Err("a timer has nobody to reply to; whisper".into()),
        Effect::Say(said)
        | Effect::Act(said)
        | Effect::Notice(said)
        | Effect::Reply(said)
        | Effect::Whisper { text: said, .. } => text("the text of an effect", said),
        Effect::Topic(topic) => most("a topic", topic.len(), TOPIC_BYTES),
        Effect::Schedule(timer) => self::timer(timer),
        Effect::Mute { .. } | Effect::Cancel(_) => Ok(()),
    })
}

pub(crate) fn runs(runs: &[Run]) -> Result<(), String> {
    if runs.len() > RUNS {
        return Err(format!(
            "there are {} runs; at most {RUNS} are allowed",
            runs.len()
        ));
    }
    let shown: String = runs.iter().map(|run| run.text.as_str()).collect();
    let mut bytes = shown.len();
    for run in runs {
        if let Target::Url(url) = &run.target {
            most("an address", url.len(), URL_BYTES)?;
            bytes += url.len();
        }
    }
    most("the runs together", bytes, 4 * MESSAGE_BYTES)?;
    no_controls("a run", &shown)
}

fn timer(timer: &Timer) -> Result<(), String> {
    most("the key of a timer", timer.key.len(), TIMER_KEY_BYTES)?;
    most("the data of a timer", timer.data.len(), TIMER_DATA_BYTES)?;
    if timer.delay > TIMER_MOST {
        return Err("a timer is set more than 366 days ahead".into());
    }
    Ok(())
}

fn text(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    most(what, text.len(), MESSAGE_BYTES)?;
    no_controls(what, text)
}

fn no_controls(what: &str, text: &str) -> Result<(), String> {
    let control = |letter: &char| letter.is_control() && !matches!(letter, '\n' | '\t');
    match text.chars().find(control) {
        Some(control) => Err(format!("{what} holds the control character {control:?}")),
        None => Ok(()),
    }
}

fn most(what: &str, bytes: usize, most: usize) -> Result<(), String> {
    if bytes > most {
        return Err(format!(
            "{what} has {bytes} bytes; at most {most} are allowed"
        ));
    }
    Ok(())
}
