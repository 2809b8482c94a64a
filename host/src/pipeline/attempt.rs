//! One attempt of one owner: decides ahead on an overlay over the fold, from its claim until something fails.
//!
//! Synchronous: it runs on the partition's own thread, with the guests. Knows no journal: records in, outcomes out.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use ulid::Ulid;

use super::Config;
use super::admission::{self, Admitted, Used};
use super::body::shown;
use super::chain::Chain;
use super::command::{Parsed, parse};
use super::dead_letter;
use super::effects::{self, By};
use super::judged::{Judged, Silent, Stopped};
use super::memories;
use super::requests;
use super::scope::{At, Scope};
use super::segment::{Draft, Item, Planned};
use crate::journal::Entry;
use crate::plugin::{FormatItem, Message, TextBody};
use crate::proto::log::v1::{
    Failure, Ingress, IngressCause, Verdict, ingress::Request, outcome::Cause,
};
use crate::proto::v1::room_event;
use crate::state::fold::{ENCODING, Fold, FoldError};
use crate::state::ids::{PersonId, RoomId, Step};
use crate::state::store::StoreError;

/// Timers that fire before messages get their turn again.
const TIMERS_AT_ONCE: usize = 64;

/// See the module.
pub struct Attempt {
    pub(super) fold: Fold,
    pub(super) scope: Arc<Scope>,
    pub(super) chain: Chain,
    config: Config,
    pub(super) partitions: u16,
}

/// What a record waits for in the segment: its place is kept.
struct Slot {
    cause: IngressCause,
    time_ms: u64,
    /// None: it goes through the plugins.
    draft: Option<Draft>,
    item: Option<Item>,
}

/// What was decided, ready for the journal.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Outcome records, in order.
    pub records: Vec<Bytes>,
    /// The last step.
    pub step: Step,
    /// When the next timer is due.
    pub next_timer_ms: Option<u64>,
}

impl Attempt {
    /// Begins where the fold stands, right after this owner's claim counted.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn begin(
        fold: Fold,
        scope: Arc<Scope>,
        chain: Chain,
        config: Config,
        partitions: u16,
    ) -> Self {
        Self {
            fold,
            scope,
            chain,
            config,
            partitions,
        }
    }

    /// Decides records, in order. `folded` is the last step that the store has by now.
    ///
    /// # Errors
    /// Where the store fails: the attempt is over.
    pub fn records(&mut self, entries: &[Entry], folded: Step) -> Result<Decisions, FoldError> {
        self.scope.with_view(|view| view.settle(folded));
        // Before a segment begins, so that the set which cuts it is the set which decides it.
        self.chain.refresh();
        let mut decisions = Decisions::default();
        let mut slots: Vec<Slot> = Vec::new();
        let mut used = Used::default();
        // The log's time runs on from message to message, wherever the segments are cut.
        let mut time_ms = self.fold.state().time_ms;
        for entry in entries {
            let (cause, record) = read(entry);
            let before_ms = time_ms;
            time_ms = time_ms.max(cause.time_ms);
            let memory_of = record.as_ref().and_then(memories::plugin_of);
            if memory_of.is_some() {
                // It is judged by what the messages before it leave behind.
                self.flush(&mut slots, &mut decisions)?;
                used = Used::default();
            }
            loop {
                match self.admit(&mut used, &cause, record.as_ref(), before_ms)? {
                    Admitted::AfterThis => {
                        self.flush(&mut slots, &mut decisions)?;
                        used = Used::default();
                    }
                    Admitted::Decided(draft) => {
                        let alone = record.as_ref().is_some_and(|r| !is_post(r));
                        slots.push(Slot {
                            cause,
                            time_ms,
                            draft: Some(draft),
                            item: None,
                        });
                        if alone {
                            self.flush(&mut slots, &mut decisions)?;
                            used = Used::default();
                        }
                        if let Some(plugin) = memory_of {
                            self.chain.forget(plugin);
                        }
                        break;
                    }
                    Admitted::Message(item) => {
                        // A batch ends before a command.
                        let is_command = self.is_command(item.room, &item.text);
                        if is_command && !slots.is_empty() {
                            self.flush(&mut slots, &mut decisions)?;
                            used = Used::default();
                            continue;
                        }
                        let ends = is_command || self.chain.judges_twice(item.room);
                        slots.push(Slot {
                            cause,
                            time_ms,
                            draft: None,
                            item: Some(*item),
                        });
                        if ends || slots.len() >= self.config.batch {
                            self.flush(&mut slots, &mut decisions)?;
                            used = Used::default();
                        }
                        break;
                    }
                }
            }
        }
        self.flush(&mut slots, &mut decisions)?;
        self.finish(decisions)
    }

    /// Fires what is due.
    ///
    /// # Errors
    /// Where the store fails: the attempt is over.
    pub fn timers(&mut self, now_ms: u64, folded: Step) -> Result<Decisions, FoldError> {
        self.scope.with_view(|view| view.settle(folded));
        self.chain.refresh();
        let mut decisions = Decisions::default();
        for _ in 0..TIMERS_AT_ONCE {
            let Some(due) = self.next_timer()? else {
                break;
            };
            if due.due_ms > now_ms {
                break;
            }
            self.fire(due, now_ms, &mut decisions)?;
        }
        self.finish(decisions)
    }

    fn finish(&mut self, mut decisions: Decisions) -> Result<Decisions, FoldError> {
        decisions.step = self.fold.step();
        decisions.next_timer_ms = self.next_timer()?.map(|timer| timer.due_ms);
        Ok(decisions)
    }

    fn admit(
        &mut self,
        used: &mut Used,
        cause: &IngressCause,
        record: Option<&Ingress>,
        before_ms: u64,
    ) -> Result<Admitted, StoreError> {
        let time_ms = before_ms.max(cause.time_ms);
        let Some(record) = record else {
            return Ok(Admitted::Decided(Draft::only(
                Verdict::Refused,
                "the record can't be read",
            )));
        };
        let (fold, config, partitions) = (&self.fold, &self.config, self.partitions);
        self.scope.with_view(|view| {
            if let Some(decided) = admission::order(fold, view, used, record, before_ms)? {
                return Ok(decided);
            }
            let draft = match record.request.clone() {
                Some(Request::Post(post)) => {
                    let Some(room) = admission::room_of(fold, view, &post)? else {
                        let reason = format!("there is no room `{}`; join it first", post.room);
                        return Ok(Admitted::Decided(Draft::only(Verdict::Refused, reason)));
                    };
                    let item = Item {
                        cause: cause.clone(),
                        person: PersonId(record.person),
                        name: record.name.clone(),
                        room: RoomId(room.room),
                        room_name: room.name,
                        text: post.text,
                        time_ms,
                        dead_letter: post.dead_letter,
                    };
                    return admission::message(fold, view, item, config.message_bytes);
                }
                Some(Request::CreateRoom(request)) => {
                    requests::create_room(fold, view, config, partitions, &request)?
                }
                Some(Request::Attach(request)) => {
                    requests::attach(fold, view, config, time_ms, request)?
                }
                Some(Request::Detach(request)) => requests::detach(request),
                Some(Request::RunStarted(request)) => requests::run_started(request),
                Some(Request::ClearDeadLetters(seen)) => dead_letter::cleared(seen),
                Some(Request::ImportPluginState(import)) => memories::import(fold, view, import)?,
                Some(Request::DeletePluginState(request)) => memories::delete(fold, view, request)?,
                None => Draft::only(Verdict::Refused, "this host does not know the request"),
            };
            Ok(Admitted::Decided(draft))
        })
    }

    fn is_command(&mut self, room: RoomId, text: &str) -> bool {
        matches!(parse(text), Parsed::Command { .. }) && self.chain.has_commands(room)
    }

    /// Decides the segment and moves the overlay on.
    fn flush(&mut self, slots: &mut Vec<Slot>, decisions: &mut Decisions) -> Result<(), FoldError> {
        if slots.is_empty() {
            return Ok(());
        }
        let items: Vec<(usize, Item)> = slots
            .iter_mut()
            .enumerate()
            .filter_map(|(index, slot)| slot.item.take().map(|item| (index, item)))
            .collect();
        let places: Vec<usize> = items.iter().map(|(index, _)| *index).collect();
        let items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
        let drafts = self.decide(&items)?;
        let decided = places.into_iter().zip(items).zip(drafts);
        for (number, ((place, item), mut draft)) in decided.enumerate() {
            let remembered = self.scope.take_changes(number);
            draft
                .planned
                .extend(remembered.into_iter().map(Planned::plain));
            if let Some(slot) = slots.get_mut(place) {
                slot.draft = Some(draft);
                slot.item = Some(item);
            }
        }
        self.scope.end_segment();
        for slot in slots.drain(..) {
            let cause = Cause::Ingress(slot.cause);
            let draft = slot.draft.unwrap_or_default();
            self.conclude(cause, slot.time_ms, draft, slot.item.as_ref(), decisions)?;
        }
        self.chain.refresh();
        Ok(())
    }

    /// Runs the plugins over messages that admission let through; as many drafts as items.
    fn decide(&mut self, items: &[Item]) -> Result<Vec<Draft>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let ats: Vec<At> = items
            .iter()
            .enumerate()
            .map(|(index, item)| At {
                item: index,
                room: item.room,
                time_ms: item.time_ms,
                cause: item.known_by(),
            })
            .collect();
        let messages = items.iter().map(message).collect();
        let judged = self.chain.moderate(&ats, messages);

        // What passed and is no command is laid out and reviewed together.
        let mut drafts: Vec<Option<Draft>> = Vec::with_capacity(items.len());
        let mut texts = Vec::new();
        for ((item, judged), at) in items.iter().zip(judged).zip(&ats) {
            drafts.push(self.after_moderation(item, judged, *at, &mut texts)?);
        }
        let mut bodies: Vec<FormatItem> = texts
            .iter()
            .map(|(_, item, text, _): &(At, &Item, String, _)| FormatItem {
                room: item.room.0,
                sender: item.person.0,
                body: TextBody::Plain(text.clone()),
            })
            .collect();
        let body_ats: Vec<At> = texts.iter().map(|(at, ..)| *at).collect();
        let formatted = self.chain.format(&body_ats, &mut bodies);
        let reviewed = self.chain.review(&body_ats, &bodies);
        for (((at, item, text, failures), body), (formatted, reviewed)) in texts
            .into_iter()
            .zip(bodies)
            .zip(formatted.into_iter().zip(reviewed))
        {
            let draft = delivered(item, text, &body, failures, formatted, reviewed);
            if let Some(slot) = drafts.get_mut(at.item) {
                *slot = Some(draft);
            }
        }
        Ok(drafts.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Where a message is stopped or a command, its draft; else its text is added to what is laid out.
    fn after_moderation<'a>(
        &mut self,
        item: &'a Item,
        judged: Judged,
        at: At,
        texts: &mut Vec<(At, &'a Item, String, Vec<Failure>)>,
    ) -> Result<Option<Draft>, StoreError> {
        if let Some(stopped) = judged.stopped {
            return Ok(Some(stopped_draft(item, stopped, judged.failures)));
        }
        // What was text stays text, whatever a revision makes of it.
        let was_command = self.is_command(item.room, &item.text);
        let revised = judged.text;
        let text = revised.as_deref().unwrap_or(&item.text);
        if was_command && let Parsed::Command { name, arguments } = parse(text) {
            let (name, arguments, text) = (name.to_owned(), arguments.to_owned(), text.to_owned());
            let mut draft = self.command(item, at, &name, &arguments, text)?;
            draft.failures.splice(0..0, judged.failures);
            return Ok(Some(draft));
        }
        let text = match (&revised, parse(&item.text)) {
            (None, Parsed::Text(text)) if self.chain.has_commands(item.room) => text.to_owned(),
            _ => text.to_owned(),
        };
        texts.push((at, item, text, judged.failures));
        Ok(None)
    }

    fn command(
        &mut self,
        item: &Item,
        at: At,
        typed: &str,
        arguments: &str,
        text: String,
    ) -> Result<Draft, StoreError> {
        let Some((link, name)) = self.chain.find_command(item.room, typed) else {
            let reason = match self.chain.nearest_command(item.room, typed) {
                Some(nearest) => {
                    format!("there is no command `/{typed}`; did you mean `/{nearest}`?")
                }
                None => format!("there is no command `/{typed}`; `//{typed}` sends it as text"),
            };
            return Ok(Draft::withheld(item, reason, ""));
        };
        let by = Message {
            text,
            ..message(item)
        };
        let plugin = self.chain.name(link);
        match self.chain.command(link, &name, arguments, at, &by) {
            None => Ok(Draft::withheld(
                item,
                "the plugin of this command is gone; try again",
                plugin,
            )),
            Some(Ok(Ok(effects))) => {
                let by = By {
                    plugin: &plugin,
                    person: true,
                };
                effects::draft(
                    &mut self.chain,
                    &self.scope,
                    self.partitions,
                    item,
                    at,
                    by,
                    effects,
                )
            }
            Some(Ok(Err(usage))) => Ok(Draft::withheld(item, usage, plugin)),
            Some(Err(silent)) => {
                let reason = silent.words(&plugin);
                // There is nothing to let pass: a command that failed did nothing, and its sender is told.
                let mut draft = Draft::withheld(item, reason, plugin);
                if let Silent::Failed(failure) = silent {
                    draft.failures.push(*failure);
                }
                Ok(draft)
            }
        }
    }
}

fn read(entry: &Entry) -> (IngressCause, Option<Ingress>) {
    let record = Ingress::decode(entry.bytes.clone())
        .ok()
        .filter(|record| record.version == ENCODING);
    let mut cause = IngressCause {
        offset: entry.offset.0,
        record_bytes: u32::try_from(entry.bytes.len()).unwrap_or(u32::MAX),
        ..IngressCause::default()
    };
    if let Some(record) = &record {
        cause.id = record.id.clone();
        cause.lane = record.lane.clone();
        cause.lane_number = record.lane_number;
        cause.person = record.person;
        cause.client_id.clone_from(&record.client_id);
        cause.time_ms = record.time_ms;
    }
    (cause, record)
}

fn is_post(record: &Ingress) -> bool {
    matches!(record.request, Some(Request::Post(_)))
}

fn message(item: &Item) -> Message {
    Message {
        room: item.room.0,
        sender: item.person.0,
        sequence: item.cause.offset,
        time_ms: item.time_ms,
        text: item.text.clone(),
    }
}

fn stopped_draft(item: &Item, stopped: Stopped, failures: Vec<Failure>) -> Draft {
    let mut draft = match stopped.reason {
        Some(reason) => Draft::withheld(item, reason, stopped.plugin),
        None => Draft {
            verdict: Verdict::Discarded,
            plugin: stopped.plugin,
            ..Draft::default()
        },
    };
    draft.failures = failures;
    draft
}

fn delivered(
    item: &Item,
    text: String,
    body: &FormatItem,
    mut failures: Vec<Failure>,
    formatted: Judged,
    reviewed: Judged,
) -> Draft {
    failures.extend(formatted.failures);
    failures.extend(reviewed.failures);
    if let Some(stopped) = formatted.stopped.or(reviewed.stopped) {
        return stopped_draft(item, stopped, failures);
    }
    let mut draft = Draft::only(Verdict::Delivered, "");
    draft.show(
        item,
        true,
        "",
        room_event::Event::Message(shown(text, &body.body)),
    );
    draft.failures = failures;
    draft
}

/// A ULID in its 26 letters; empty where there is none.
pub(super) fn ulid(bytes: &[u8]) -> String {
    bytes.try_into().map_or_else(
        |_| String::new(),
        |bytes| Ulid::from_bytes(bytes).to_string(),
    )
}
