//! Between the generated types and the contract's. Towards the guest texts are borrowed, from it they move.

use std::time::Duration;

use super::bindings::chat::plugin::types as wit;
use super::bindings::exports::chat::plugin::{formatting, migration, review};
use super::{
    Effect, FormatItem, Message, Remembered, Run, Style, Target, TextBody, Timer, Verdict,
};

pub(super) fn message(message: &Message) -> wit::Message<'_> {
    wit::Message {
        room: message.room,
        sender: message.sender,
        sequence: message.sequence,
        time_ms: message.time_ms,
        text: &message.text,
    }
}

/// The runs of each styled body, to be borrowed by the items of [`formatting_items`] and [`review_items`].
pub(super) fn styled(batch: &[FormatItem]) -> Vec<Vec<wit::RunParam<'_>>> {
    let runs = |item| match item {
        &FormatItem {
            body: TextBody::Styled(ref runs),
            ..
        } => runs.iter().map(run_param).collect(),
        _ => Vec::new(),
    };
    batch.iter().map(runs).collect()
}

pub(super) fn formatting_items<'a>(
    batch: &'a [FormatItem],
    styled: &'a [Vec<wit::RunParam<'a>>],
) -> Vec<formatting::Item<'a>> {
    let item = |(item, runs): (&'a FormatItem, &'a Vec<_>)| formatting::Item {
        room: item.room,
        sender: item.sender,
        body: body(item, runs),
    };
    batch.iter().zip(styled).map(item).collect()
}

pub(super) fn review_items<'a>(
    batch: &'a [FormatItem],
    styled: &'a [Vec<wit::RunParam<'a>>],
) -> Vec<review::Item<'a>> {
    let item = |(item, runs): (&'a FormatItem, &'a Vec<_>)| review::Item {
        room: item.room,
        sender: item.sender,
        body: body(item, runs),
    };
    batch.iter().zip(styled).map(item).collect()
}

fn body<'a>(item: &'a FormatItem, runs: &'a [wit::RunParam<'a>]) -> wit::Body<'a> {
    match &item.body {
        TextBody::Plain(text) => wit::Body::Plain(text),
        TextBody::Styled(_) => wit::Body::Styled(runs),
    }
}

fn run_param(run: &Run) -> wit::RunParam<'_> {
    wit::RunParam {
        text: &run.text,
        style: style_param(run.style),
        target: match &run.target {
            Target::None => wit::TargetParam::None,
            Target::Url(address) => wit::TargetParam::Url(address),
            Target::Mention => wit::TargetParam::Mention,
        },
    }
}

/// The looks, ours and the interface's.
const STYLES: [(Style, wit::Style); 6] = [
    (Style::STRONG, wit::Style::STRONG),
    (Style::EMPHASIS, wit::Style::EMPHASIS),
    (Style::STRIKE, wit::Style::STRIKE),
    (Style::CODE, wit::Style::CODE),
    (Style::BLOCK, wit::Style::BLOCK),
    (Style::QUOTE, wit::Style::QUOTE),
];

fn style_param(style: Style) -> wit::Style {
    let mut flags = wit::Style::default();
    for (ours, theirs) in STYLES {
        if style.0 & ours.0 != 0 {
            flags |= theirs;
        }
    }
    flags
}

fn style(flags: wit::Style) -> Style {
    let has = |(ours, theirs): (Style, wit::Style)| if flags.contains(theirs) { ours.0 } else { 0 };
    Style(STYLES.into_iter().map(has).sum())
}

pub(super) fn run(run: wit::RunResult) -> Run {
    Run {
        text: run.text,
        style: style(run.style),
        target: match run.target {
            wit::TargetResult::None => Target::None,
            wit::TargetResult::Url(address) => Target::Url(address),
            wit::TargetResult::Mention => Target::Mention,
        },
    }
}

pub(super) fn verdict(verdict: wit::Verdict) -> Verdict {
    match verdict {
        wit::Verdict::Allow => Verdict::Allow,
        wit::Verdict::Revise(text) => Verdict::Revise(text),
        wit::Verdict::Withhold(reason) => Verdict::Withhold(reason),
        wit::Verdict::Discard => Verdict::Discard,
    }
}

pub(super) fn timer_param(timer: &Timer) -> wit::TimerParam<'_> {
    wit::TimerParam {
        key: &timer.key,
        delay_ms: u64::try_from(timer.delay.as_millis()).unwrap_or(u64::MAX),
        data: &timer.data,
    }
}

pub(super) fn entry_param(entry: &Remembered) -> migration::EntryParam<'_> {
    migration::EntryParam {
        key: &entry.key,
        value: &entry.value,
        expires_ms: entry.expires_ms,
    }
}

pub(super) fn entry(entry: migration::EntryResult) -> Remembered {
    Remembered {
        key: entry.key,
        value: entry.value,
        expires_ms: entry.expires_ms,
    }
}

pub(super) fn effect(effect: wit::Effect) -> Effect {
    match effect {
        wit::Effect::Say(text) => Effect::Say(text),
        wit::Effect::Act(text) => Effect::Act(text),
        wit::Effect::Notice(text) => Effect::Notice(text),
        wit::Effect::Whisper((to, text)) => Effect::Whisper { to, text },
        wit::Effect::Reply(text) => Effect::Reply(text),
        wit::Effect::Topic(text) => Effect::Topic(text),
        wit::Effect::Mute((person, ms)) => Effect::Mute {
            person,
            duration: Duration::from_millis(ms),
        },
        wit::Effect::Schedule(timer) => Effect::Schedule(Timer {
            key: timer.key,
            delay: Duration::from_millis(timer.delay_ms),
            data: timer.data,
        }),
        wit::Effect::Cancel(key) => Effect::Cancel(key),
    }
}
