//! Effects: what a command or a timer asks for, made into changes.
//!
//! What they say is formatted and reviewed, not moderated, and never parsed as a command; a topic is reviewed as it is.

use std::time::Duration;

use super::body::shown;
use super::chain::Chain;
use super::judged::Judged;
use super::requests::person_named;
use super::scope::{At, Scope};
use super::segment::{Draft, Item, Planned};
use crate::plugin::{Effect, FormatItem, TextBody};
use crate::proto::log::v1::{self as log, Verdict, change};
use crate::proto::v1::{self, private_event, room_event};
use crate::state::ids::PersonId;
use crate::state::keys;
use crate::state::name::PersonName;
use crate::state::store::StoreError;

/// Timers a plugin may have set in a room.
const TIMERS: usize = 1000;

/// Who asked for the effects.
#[derive(Clone, Copy)]
pub struct By<'a> {
    /// The plugin.
    pub plugin: &'a str,
    /// Whether a person did, by a command; else a timer.
    pub person: bool,
}

/// Turns effects into the draft of the outcome.
///
/// # Errors
/// Where the store fails.
pub fn draft(
    chain: &mut Chain,
    scope: &Scope,
    partitions: u16,
    item: &Item,
    at: At,
    by: By<'_>,
    effects: Vec<Effect>,
) -> Result<Draft, StoreError> {
    let mut draft = Draft::only(Verdict::Handled, "");
    draft.plugin = by.plugin.to_owned();
    let (mut bodies, mut judged) = lay_out(chain, item, at, by, &effects);
    bodies.reverse();
    judged.reverse();
    let mut visible = false;
    for effect in effects {
        let mut body = None;
        if let Some(text) = text_of(&effect) {
            let text = text.to_owned();
            let (Some(laid_out), Some(verdict)) = (bodies.pop(), judged.pop()) else {
                continue;
            };
            draft.failures.extend(verdict.failures);
            if let Some(stopped) = verdict.stopped {
                withhold(&mut draft, item, stopped.reason, stopped.plugin);
                continue;
            }
            body = Some(shown(text, &laid_out.body));
        }
        match (effect, body) {
            (Effect::Say(_), Some(body)) => {
                visible = true;
                draft.show(item, by.person, by.plugin, room_event::Event::Message(body));
            }
            (Effect::Act(_), Some(body)) => {
                visible = true;
                draft.show(item, by.person, by.plugin, room_event::Event::Action(body));
            }
            (Effect::Notice(_), Some(body)) => {
                visible = true;
                draft.show(item, false, by.plugin, room_event::Event::Notice(body));
            }
            (Effect::Whisper { to, .. }, Some(body)) => {
                let found = match PersonName::parse(&to) {
                    Ok(name) => scope.with_view(|view| person_named(view, partitions, &name))?,
                    Err(_) => None,
                };
                whisper(&mut draft, item, by.plugin, &to, found, body);
            }
            (Effect::Reply(_), Some(body)) => draft.tell_sender(
                item,
                private_event::Event::Reply(v1::Reply {
                    client_id: item.cause.client_id.clone(),
                    plugin: by.plugin.to_owned(),
                    body: Some(body),
                }),
            ),
            (Effect::Topic(topic), Some(_)) => {
                visible = true;
                draft
                    .planned
                    .push(Planned::plain(change::Change::TopicSet(log::TopicSet {
                        room: item.room.0,
                        topic: topic.clone(),
                    })));
                draft.show(
                    item,
                    by.person,
                    by.plugin,
                    room_event::Event::Topic(v1::Topic { topic }),
                );
            }
            (Effect::Mute { person, duration }, _) => {
                let until_ms = if duration.is_zero() {
                    0
                } else {
                    item.time_ms.saturating_add(millis(duration))
                };
                draft
                    .planned
                    .push(Planned::plain(change::Change::Muted(log::Muted {
                        room: item.room.0,
                        person,
                        until_ms,
                    })));
            }
            (Effect::Schedule(timer), _) => {
                let prefix = keys::timer(item.room, by.plugin, "");
                let set = scope.with_view(|view| view.prefixed(&prefix, TIMERS))?;
                if set.len() >= TIMERS {
                    tell_full(&mut draft, item, by.plugin);
                    continue;
                }
                // Later than what set it, so that no two of a key are due at once.
                let delay_ms = millis(timer.delay).max(1);
                draft
                    .planned
                    .push(Planned::plain(change::Change::TimerSet(log::TimerSet {
                        plugin: by.plugin.to_owned(),
                        room: item.room.0,
                        key: timer.key,
                        due_ms: item.time_ms.saturating_add(delay_ms),
                        delay_ms,
                        data: timer.data.into(),
                    })));
            }
            (Effect::Cancel(key), _) => {
                draft
                    .planned
                    .push(Planned::plain(change::Change::TimerRemoved(
                        log::TimerRemoved {
                            plugin: by.plugin.to_owned(),
                            room: item.room.0,
                            key,
                        },
                    )));
            }
            // Texts have bodies, and only they.
            (
                Effect::Say(_)
                | Effect::Act(_)
                | Effect::Notice(_)
                | Effect::Whisper { .. }
                | Effect::Reply(_)
                | Effect::Topic(_),
                None,
            ) => {}
        }
    }
    if !visible && !draft.reason.is_empty() {
        draft.verdict = Verdict::Withheld;
    }
    Ok(draft)
}

fn lay_out(
    chain: &mut Chain,
    item: &Item,
    at: At,
    by: By<'_>,
    effects: &[Effect],
) -> (Vec<FormatItem>, Vec<Judged>) {
    let (mut items, styled): (Vec<FormatItem>, Vec<bool>) = effects
        .iter()
        .filter_map(|effect| {
            let item = FormatItem {
                room: item.room.0,
                sender: if by.person { item.person.0 } else { 0 },
                body: TextBody::Plain(text_of(effect)?.to_owned()),
            };
            // A topic is shown as it is; it is reviewed like all that members read.
            Some((item, !matches!(effect, Effect::Topic(_))))
        })
        .unzip();
    let mut bodies: Vec<FormatItem> = items
        .iter()
        .zip(&styled)
        .filter(|(_, styled)| **styled)
        .map(|(item, _)| item.clone())
        .collect();
    let formatted = chain.format(&vec![at; bodies.len()], &mut bodies);
    let mut formatted = formatted.into_iter().zip(bodies);
    let mut judged: Vec<Judged> = items
        .iter_mut()
        .zip(styled)
        .map(
            |(item, styled)| match styled.then(|| formatted.next()).flatten() {
                Some((judged, body)) => {
                    *item = body;
                    judged
                }
                None => Judged::default(),
            },
        )
        .collect();
    let reviewed = chain.review(&vec![at; items.len()], &items);
    for (judged, reviewed) in judged.iter_mut().zip(reviewed) {
        judged.failures.extend(reviewed.failures);
        judged.stopped = judged.stopped.take().or(reviewed.stopped);
    }
    (items, judged)
}

fn text_of(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Say(text)
        | Effect::Act(text)
        | Effect::Notice(text)
        | Effect::Reply(text)
        | Effect::Topic(text)
        | Effect::Whisper { text, .. } => Some(text),
        _ => None,
    }
}

fn withhold(draft: &mut Draft, item: &Item, reason: Option<String>, plugin: String) {
    let Some(reason) = reason else {
        return;
    };
    draft.reason.clone_from(&reason);
    draft.tell_sender(
        item,
        private_event::Event::Withheld(v1::Withheld {
            client_id: item.cause.client_id.clone(),
            reason,
            plugin,
        }),
    );
}

fn whisper(
    draft: &mut Draft,
    item: &Item,
    plugin: &str,
    to: &str,
    found: Option<log::NameState>,
    body: v1::Body,
) {
    let Some(recipient) = found else {
        let text = format!("there is nobody named `{to}`");
        return reply(draft, item, plugin, text);
    };
    let from = if item.name.is_empty() {
        plugin.to_owned()
    } else {
        item.name.clone()
    };
    let event = private_event::Event::Whisper(v1::Whisper {
        from,
        to: recipient.name,
        body: Some(body),
    });
    let recipient = PersonId(recipient.person);
    draft.tell(recipient, &item.room_name, event.clone());
    if recipient != item.person {
        draft.tell_sender(item, event);
    }
}

fn tell_full(draft: &mut Draft, item: &Item, plugin: &str) {
    let text =
        format!("the plugin `{plugin}` has {TIMERS} timers in this room; no more are allowed");
    reply(draft, item, plugin, text);
}

fn reply(draft: &mut Draft, item: &Item, plugin: &str, text: String) {
    draft.tell_sender(
        item,
        private_event::Event::Reply(v1::Reply {
            client_id: item.cause.client_id.clone(),
            plugin: plugin.to_owned(),
            body: Some(v1::Body {
                text,
                runs: Vec::new(),
            }),
        }),
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
