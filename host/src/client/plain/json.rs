//! One object for one event, as programs read it.
//!
//! Every object has `type`; programs must pass over types and fields that they do not know. Texts are as the server
//! sent them: whoever prints them to a terminal cleans them first. Times: `time` in RFC 3339 (UTC), `time_ms` in
//! milliseconds since 1970.
//!
//! | `type` | fields |
//! |---|---|
//! | `message`, `action`, `notice` | `room` `sequence` `time` `time_ms` `id` `sender` `person` `client_id` `plugin` `own`, `text` (as decided), `runs` (as shown: `text` `style` and `url` or `mention`) |
//! | `topic` | the same head; `topic` |
//! | `whisper` | `room` `partition` `number` `time` `time_ms` `id` `from` `to` `text` `runs` |
//! | `reply` | the same head; `client_id` `plugin` `text` `runs` |
//! | `withheld` | `client_id` `reason` `plugin`, and `text` where this client sent it |
//! | `failed` | `client_id` (empty where it was not even sent) `text` `reason` |
//! | `pending` | `client_id` `text`: taken from the input |
//! | `acknowledged`, `done` | `client_id`: durable; decided without an event of its own |
//! | `members` | `room` `count` `names` |
//! | `joined` | `room` `after` `head` `oldest` `topic` |
//! | `state` | `state`: `connecting`, `online`, or `waiting` with `delay_ms` and `why` |
//! | `note` | `text`: what the client itself has to say |
//!
//! `sender` and `plugin` are empty where there is none. Bits of `style`: 1 strong, 2 emphasis, 4 strike, 8 code,
//! 16 block, 32 quote.

use serde_json::{Map, Value, json};

use super::super::change::{Change, State};
use super::super::clock::rfc3339;
use crate::proto::v1::private_event::Event as Private;
use crate::proto::v1::room_event::Event;
use crate::proto::v1::run::Target;
use crate::proto::v1::{Body, PrivateEvent, RoomEvent};

/// The object for a change; none for what has none.
#[must_use]
pub fn change(change: &Change) -> Option<Value> {
    Some(match change {
        Change::Said { event, own } => said(event, Some(*own))?,
        Change::Private(event) => private(event)?,
        Change::State(State::Connecting) => json!({"type": "state", "state": "connecting"}),
        Change::State(State::Online) => json!({"type": "state", "state": "online"}),
        Change::State(State::Waiting { delay, why }) => json!({
            "type": "state", "state": "waiting", "why": why,
            "delay_ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        }),
        Change::Welcome(_) => return None,
        Change::Joined(joined) => json!({
            "type": "joined", "room": joined.room, "after": joined.after, "head": joined.head,
            "oldest": joined.oldest, "topic": joined.topic,
        }),
        Change::Members(members) => json!({
            "type": "members", "room": members.room, "count": members.count, "names": members.names,
        }),
        Change::Pending { client_id, text } => {
            json!({"type": "pending", "client_id": client_id, "text": text})
        }
        Change::Acknowledged { client_id } => {
            json!({"type": "acknowledged", "client_id": client_id})
        }
        Change::Done { client_id } => json!({"type": "done", "client_id": client_id}),
        Change::Withheld {
            client_id,
            text,
            reason,
            plugin,
        } => json!({
            "type": "withheld", "client_id": client_id, "text": text, "reason": reason, "plugin": plugin,
        }),
        Change::Failed {
            client_id,
            text,
            reason,
        } => {
            json!({"type": "failed", "client_id": client_id, "text": text, "reason": reason})
        }
        Change::Note(text) => json!({"type": "note", "text": text}),
    })
}

/// The object for an event of a room; `own` where it is known. None for a kind that is not known.
#[must_use]
pub fn said(event: &RoomEvent, own: Option<bool>) -> Option<Value> {
    let mut object = object(json!({
        "room": event.room, "sequence": event.sequence, "time": rfc3339(event.time_ms),
        "time_ms": event.time_ms, "id": event.id, "sender": event.sender, "person": event.person,
        "client_id": event.client_id, "plugin": event.plugin,
    }));
    if let Some(own) = own {
        object.insert("own".into(), own.into());
    }
    let kind = match event.event.as_ref()? {
        Event::Message(body) => put(&mut object, body, "message"),
        Event::Action(body) => put(&mut object, body, "action"),
        Event::Notice(body) => put(&mut object, body, "notice"),
        Event::Topic(topic) => {
            object.insert("topic".into(), topic.topic.clone().into());
            "topic"
        }
    };
    object.insert("type".into(), kind.into());
    Some(Value::Object(object))
}

fn private(event: &PrivateEvent) -> Option<Value> {
    let mut object = object(json!({
        "room": event.room, "partition": event.partition, "number": event.number,
        "time": rfc3339(event.time_ms), "time_ms": event.time_ms, "id": event.id,
    }));
    let none = Body::default();
    let kind = match event.event.as_ref()? {
        Private::Whisper(whisper) => {
            object.insert("from".into(), whisper.from.clone().into());
            object.insert("to".into(), whisper.to.clone().into());
            put(
                &mut object,
                whisper.body.as_ref().unwrap_or(&none),
                "whisper",
            )
        }
        Private::Withheld(withheld) => {
            object.insert("client_id".into(), withheld.client_id.clone().into());
            object.insert("reason".into(), withheld.reason.clone().into());
            object.insert("plugin".into(), withheld.plugin.clone().into());
            "withheld"
        }
        Private::Reply(reply) => {
            object.insert("client_id".into(), reply.client_id.clone().into());
            object.insert("plugin".into(), reply.plugin.clone().into());
            put(&mut object, reply.body.as_ref().unwrap_or(&none), "reply")
        }
    };
    object.insert("type".into(), kind.into());
    Some(Value::Object(object))
}

/// Adds a body, and answers with the kind it belongs to.
fn put(object: &mut Map<String, Value>, body: &Body, kind: &'static str) -> &'static str {
    object.insert("text".into(), body.text.clone().into());
    let runs = body.runs.iter().map(|run| {
        let mut value = json!({"text": run.text, "style": run.style});
        match (&run.target, value.as_object_mut()) {
            (Some(Target::Url(url)), Some(value)) => value.insert("url".into(), url.clone().into()),
            (Some(Target::Mention(true)), Some(value)) => {
                value.insert("mention".into(), true.into())
            }
            _ => None,
        };
        value
    });
    object.insert("runs".into(), runs.collect());
    kind
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
