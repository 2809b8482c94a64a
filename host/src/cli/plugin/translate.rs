//! Between the host's types and those of the SDK, in which cases are written: the same shapes under other names.

use chat_plugin as sdk;
use sdk::native::Roles as Has;

use crate::plugin::{
    Effect, FormatItem, Manifest, Message, Remembered, Roles, Run, Style, Target, TextBody, Timer,
    Verdict,
};

pub(super) fn manifest(manifest: &Manifest) -> sdk::Manifest {
    sdk::Manifest {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        commands: manifest
            .commands
            .iter()
            .map(|command| sdk::Command {
                name: command.name.clone(),
                usage: command.usage.clone(),
                summary: command.summary.clone(),
            })
            .collect(),
        priority: manifest.priority,
        batch: manifest.batch,
    }
}

pub(super) fn remembered((key, entry): (String, sdk::Remembered)) -> Remembered {
    Remembered {
        key,
        value: entry.value,
        expires_ms: entry.expires_ms,
    }
}

pub(super) fn entry(remembered: Remembered) -> (String, sdk::Remembered) {
    let entry = sdk::Remembered {
        value: remembered.value,
        expires_ms: remembered.expires_ms,
    };
    (remembered.key, entry)
}

pub(super) fn roles(roles: Roles) -> Has {
    let mut has = Has::empty();
    has.set(Has::MODERATION, roles.moderation);
    has.set(Has::COMMANDS, roles.commands);
    has.set(Has::FORMATTING, roles.formatting);
    has.set(Has::REVIEW, roles.review);
    has.set(Has::TIMERS, roles.timers);
    has
}

pub(super) fn message(message: &sdk::Message) -> Message {
    Message {
        room: message.room.0,
        sender: message.sender.0,
        sequence: message.sequence.0,
        time_ms: message.time_ms,
        text: message.text.clone(),
    }
}

pub(super) fn item(item: &sdk::Item) -> FormatItem {
    let run = |run: &sdk::Run| Run {
        text: run.text.clone(),
        style: Style(u32::from(run.style.bits())),
        target: match &run.target {
            sdk::Target::None => Target::None,
            sdk::Target::Url(url) => Target::Url(url.clone()),
            sdk::Target::Mention => Target::Mention,
        },
    };
    FormatItem {
        room: item.room.0,
        sender: item.sender.0,
        body: match &item.body {
            sdk::Body::Plain(text) => TextBody::Plain(text.clone()),
            sdk::Body::Styled(runs) => TextBody::Styled(runs.iter().map(run).collect()),
        },
    }
}

pub(super) fn timer(timer: &sdk::Timer) -> Timer {
    Timer {
        key: timer.key.clone(),
        delay: timer.delay,
        data: timer.data.clone(),
    }
}

pub(super) fn verdict(verdict: Verdict) -> sdk::Verdict {
    match verdict {
        Verdict::Allow => sdk::Verdict::Allow,
        Verdict::Revise(text) => sdk::Verdict::Revise(text),
        Verdict::Withhold(reason) => sdk::Verdict::Withhold(reason),
        Verdict::Discard => sdk::Verdict::Discard,
    }
}

/// Review can't revise: the host has taken an answer that does for a fault.
pub(super) fn judgement(verdict: Verdict) -> sdk::Judgement {
    match verdict {
        Verdict::Allow | Verdict::Revise(_) => sdk::Judgement::Allow,
        Verdict::Withhold(reason) => sdk::Judgement::Withhold(reason),
        Verdict::Discard => sdk::Judgement::Discard,
    }
}

pub(super) fn run(run: Run) -> sdk::Run {
    sdk::Run {
        text: run.text,
        style: sdk::Style::from_bits_truncate(u8::try_from(run.style.0).unwrap_or(u8::MAX)),
        target: match run.target {
            Target::None => sdk::Target::None,
            Target::Url(url) => sdk::Target::Url(url),
            Target::Mention => sdk::Target::Mention,
        },
    }
}

pub(super) fn effect(effect: Effect) -> sdk::Effect {
    match effect {
        Effect::Say(text) => sdk::Effect::Say(text),
        Effect::Act(text) => sdk::Effect::Act(text),
        Effect::Notice(text) => sdk::Effect::Notice(text),
        Effect::Whisper { to, text } => sdk::Effect::Whisper { to, text },
        Effect::Reply(text) => sdk::Effect::Reply(text),
        Effect::Topic(text) => sdk::Effect::Topic(text),
        Effect::Mute { person, duration } => sdk::Effect::Mute {
            person: sdk::PersonId(person),
            lasting: duration,
        },
        Effect::Schedule(timer) => sdk::Effect::Schedule(sdk::Timer {
            key: timer.key,
            delay: timer.delay,
            data: timer.data,
        }),
        Effect::Cancel(key) => sdk::Effect::Cancel(key),
    }
}
