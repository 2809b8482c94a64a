//! Between the generated types and those that authors see. Nothing is copied: strings and lists move.

use std::time::Duration;

use super::imports::chat::plugin::types as wit;
use super::{formatting, plugin, review};
use crate::state::millis;
use crate::{
    Body, Command, Effect, Item, Judgement, Manifest, Message, PersonId, RoomId, Run, Sequence,
    Style, Target, Timer, Verdict,
};

impl From<wit::Message> for Message {
    fn from(message: wit::Message) -> Self {
        Message {
            room: RoomId(message.room),
            sender: PersonId(message.sender),
            sequence: Sequence(message.sequence),
            time_ms: message.time_ms,
            text: message.text,
        }
    }
}

impl From<formatting::exports::chat::plugin::formatting::Item> for Item {
    fn from(item: formatting::exports::chat::plugin::formatting::Item) -> Self {
        Item {
            room: RoomId(item.room),
            sender: PersonId(item.sender),
            body: item.body.into(),
        }
    }
}

impl From<review::exports::chat::plugin::review::Item> for Item {
    fn from(item: review::exports::chat::plugin::review::Item) -> Self {
        Item {
            room: RoomId(item.room),
            sender: PersonId(item.sender),
            body: item.body.into(),
        }
    }
}

impl From<wit::Body> for Body {
    fn from(body: wit::Body) -> Self {
        match body {
            wit::Body::Plain(text) => Body::Plain(text),
            wit::Body::Styled(runs) => Body::Styled(runs.into_iter().map(Into::into).collect()),
        }
    }
}

impl From<wit::Run> for Run {
    fn from(run: wit::Run) -> Self {
        Run {
            text: run.text,
            style: Style::from_bits_truncate(run.style.bits()),
            target: match run.target {
                wit::Target::None => Target::None,
                wit::Target::Url(url) => Target::Url(url),
                wit::Target::Mention => Target::Mention,
            },
        }
    }
}

impl From<Run> for wit::Run {
    fn from(run: Run) -> Self {
        wit::Run {
            text: run.text,
            style: wit::Style::from_bits_truncate(run.style.bits()),
            target: match run.target {
                Target::None => wit::Target::None,
                Target::Url(url) => wit::Target::Url(url),
                Target::Mention => wit::Target::Mention,
            },
        }
    }
}

impl From<Verdict> for wit::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => wit::Verdict::Allow,
            Verdict::Revise(text) => wit::Verdict::Revise(text),
            Verdict::Withhold(reason) => wit::Verdict::Withhold(reason),
            Verdict::Discard => wit::Verdict::Discard,
        }
    }
}

impl From<Judgement> for wit::Verdict {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Allow => wit::Verdict::Allow,
            Judgement::Withhold(reason) => wit::Verdict::Withhold(reason),
            Judgement::Discard => wit::Verdict::Discard,
        }
    }
}

impl From<Effect> for wit::Effect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Say(text) => wit::Effect::Say(text),
            Effect::Act(text) => wit::Effect::Act(text),
            Effect::Notice(text) => wit::Effect::Notice(text),
            Effect::Whisper { to, text } => wit::Effect::Whisper((to, text)),
            Effect::Reply(text) => wit::Effect::Reply(text),
            Effect::Topic(text) => wit::Effect::Topic(text),
            Effect::Mute { person, lasting } => wit::Effect::Mute((person.0, millis(lasting))),
            Effect::Schedule(timer) => wit::Effect::Schedule(wit::Timer {
                key: timer.key,
                delay_ms: millis(timer.delay),
                data: timer.data,
            }),
            Effect::Cancel(key) => wit::Effect::Cancel(key),
        }
    }
}

impl From<wit::Timer> for Timer {
    fn from(timer: wit::Timer) -> Self {
        Timer {
            key: timer.key,
            delay: Duration::from_millis(timer.delay_ms),
            data: timer.data,
        }
    }
}

impl From<Manifest> for plugin::exports::chat::plugin::plugin::Manifest {
    fn from(manifest: Manifest) -> Self {
        plugin::exports::chat::plugin::plugin::Manifest {
            name: manifest.name,
            version: manifest.version,
            commands: manifest.commands.into_iter().map(Into::into).collect(),
            priority: manifest.priority,
            batch: manifest.batch,
        }
    }
}

impl From<Command> for plugin::exports::chat::plugin::plugin::Command {
    fn from(command: Command) -> Self {
        plugin::exports::chat::plugin::plugin::Command {
            name: command.name,
            usage: command.usage,
            summary: command.summary,
        }
    }
}
