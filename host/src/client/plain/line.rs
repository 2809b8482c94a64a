//! One line for one event, as people read it.
//!
//! ```text
//! ✓ [20:15:30] You: what I said                    📩 [20:15:30] alice: what she said
//! ✓ [20:15:30] * You wave                          📩 [20:15:30] * alice waves
//! 📢 [20:15:30] poll: what a plugin says           📌 [20:15:30] topic: tea (set by alice)
//! 🔒 [20:15:30] alice → you: a whisper             ↩ [20:15:30] dice: an answer to a command
//! ✗ [20:15:30] withheld: the reason — what I said  ✗ [20:15:30] not sent: the reason — what I said
//! ```

use super::super::change::Change;
use super::super::clean::clean_line;
use super::super::clock::{Clock, now_ms};
use super::words::shown;
use crate::proto::v1::private_event::Event as Private;
use crate::proto::v1::room_event::Event;
use crate::proto::v1::{Body, PrivateEvent, RoomEvent};

/// The line for a change; none for what has no line.
#[must_use]
pub fn change(change: &Change, clock: &Clock) -> Option<String> {
    match change {
        Change::Said { event, own } => said(event, *own, clock),
        Change::Private(event) => private(event, clock),
        Change::Withheld { text, reason, .. } => Some(failed("withheld", reason, text, clock)),
        Change::Failed { text, reason, .. } => Some(failed("not sent", reason, text, clock)),
        _ => None,
    }
}

/// The line for an event of the room; none for a kind that is not known.
#[must_use]
pub fn said(event: &RoomEvent, own: bool, clock: &Clock) -> Option<String> {
    let time = clock.seconds(event.time_ms);
    let sender = clean_line(&event.sender);
    let mark = if own { "✓" } else { "📩" };
    let who = if own { "You" } else { sender.as_str() };
    Some(match event.event.as_ref()? {
        Event::Message(body) if who.is_empty() => {
            format!(
                "📢 [{time}] {}: {}",
                clean_line(&event.plugin),
                text(Some(body))
            )
        }
        Event::Message(body) => format!("{mark} [{time}] {who}: {}", text(Some(body))),
        Event::Action(body) => format!("{mark} [{time}] * {who} {}", text(Some(body))),
        Event::Notice(body) => {
            format!(
                "📢 [{time}] {}: {}",
                clean_line(&event.plugin),
                text(Some(body))
            )
        }
        Event::Topic(topic) => {
            let by = if who.is_empty() {
                clean_line(&event.plugin)
            } else {
                who.to_owned()
            };
            format!(
                "📌 [{time}] topic: {} (set by {by})",
                clean_line(&topic.topic)
            )
        }
    })
}

fn private(event: &PrivateEvent, clock: &Clock) -> Option<String> {
    let time = clock.seconds(event.time_ms);
    Some(match event.event.as_ref()? {
        Private::Whisper(whisper) => format!(
            "🔒 [{time}] {} → {}: {}",
            clean_line(&whisper.from),
            clean_line(&whisper.to),
            text(whisper.body.as_ref())
        ),
        Private::Withheld(withheld) => {
            format!("✗ [{time}] withheld: {}", clean_line(&withheld.reason))
        }
        Private::Reply(reply) => {
            let plugin = if reply.plugin.is_empty() {
                "server"
            } else {
                &reply.plugin
            };
            format!(
                "↩ [{time}] {}: {}",
                clean_line(plugin),
                text(reply.body.as_ref())
            )
        }
    })
}

fn failed(what: &str, reason: &str, said: &str, clock: &Clock) -> String {
    let time = clock.seconds(now_ms());
    format!(
        "✗ [{time}] {what}: {} — {}",
        clean_line(reason),
        clean_line(said)
    )
}

fn text(body: Option<&Body>) -> String {
    body.map(|b| clean_line(&shown(b))).unwrap_or_default()
}
