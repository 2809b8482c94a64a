//! What each of the server's frames means for the session.

use std::time::{Duration, Instant};

use tonic::Code;

use super::super::change::{Change, State, Stop};
use super::{Action, HANDSHAKE, Phase, SETTLED, Session};
use crate::proto::v1::private_event::Event as Private;
use crate::proto::v1::server_frame::Frame;
use crate::proto::v1::{
    Decided, Error, Joined, PrivateEvent, Result as Outcome, RoomEvent, ServerFrame, Welcome,
};

/// The wait before a message that came out of order is sent again.
const AGAIN: Duration = Duration::from_millis(200);

impl Session {
    /// A frame has come. Unknown ones are passed over.
    pub fn received(&mut self, now: Instant, frame: ServerFrame) -> Vec<Action> {
        let mut actions = Vec::new();
        match frame.frame {
            Some(Frame::Welcome(welcome)) => self.welcomed(now, welcome, &mut actions),
            Some(Frame::Joined(joined)) => self.joined(joined, &mut actions),
            Some(Frame::RoomEvent(event)) => self.room_event(now, event, &mut actions),
            Some(Frame::PrivateEvent(event)) => self.private_event(event, &mut actions),
            Some(Frame::Acknowledged(ack)) => {
                if self.outbox.acknowledge(&ack.client_id) {
                    actions.push(Action::Show(Change::Acknowledged {
                        client_id: ack.client_id,
                    }));
                }
            }
            Some(Frame::Decided(decided)) => self.decided(now, decided, &mut actions),
            Some(Frame::Error(error)) => self.error(now, error, &mut actions),
            Some(Frame::Members(members)) if members.room == self.who.room => {
                actions.push(Action::Show(Change::Members(members)));
            }
            Some(Frame::Left(left)) if left.room == self.who.room => {
                actions.push(note("the server has taken you out of the room"));
            }
            Some(Frame::Goodbye(goodbye)) => {
                actions.push(Action::Disconnect);
                let asked = Duration::from_millis(goodbye.reconnect_after_ms);
                self.wait(now, asked, &goodbye.reason, &mut actions);
            }
            Some(Frame::Members(_) | Frame::Left(_)) | None => {}
        }
        self.pump(now, &mut actions);
        actions
    }

    fn welcomed(&mut self, now: Instant, mut welcome: Welcome, actions: &mut Vec<Action>) {
        let token = std::mem::take(&mut welcome.token);
        if !token.is_empty() {
            self.who.visit.token = token;
        }
        self.person = welcome.person;
        for at in &welcome.private_positions {
            // A lower number than ours: the server began anew, and so do its numbers.
            let seen = self
                .who
                .visit
                .private
                .entry(at.partition)
                .or_insert(at.number);
            *seen = at.number.min(*seen);
        }
        actions.push(Action::Keep);
        actions.push(Action::Show(Change::Welcome(welcome)));
        self.join(now, actions);
    }

    fn joined(&mut self, joined: Joined, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Joining(..)) {
            return;
        }
        match self.seen {
            Some(seen) if joined.after > seen => {
                actions.push(missing(seen + 1, joined.after));
                self.seen = Some(joined.after);
            }
            Some(_) => {}
            None => self.seen = Some(joined.after),
        }
        self.phase = Phase::Joined;
        self.backoff.reset();
        // The room's name as the server writes it.
        self.who.room.clone_from(&joined.room);
        actions.push(Action::Show(Change::Joined(joined)));
        actions.push(Action::Show(Change::State(State::Online)));
    }

    fn room_event(&mut self, now: Instant, event: RoomEvent, actions: &mut Vec<Action>) {
        let seen = self.seen.unwrap_or_default();
        if self.phase != Phase::Joined || event.room != self.who.room || event.sequence <= seen {
            return;
        }
        if event.sequence > seen + 1 {
            if self.gap != Some(event.sequence) {
                // Numbers are dense, so something was lost on the way: ask for it again, once.
                self.gap = Some(event.sequence);
                self.give_up(now, "an event was missing", actions);
                return;
            }
            actions.push(missing(seen + 1, event.sequence - 1));
        }
        self.seen = Some(event.sequence);
        let own = event.person != 0 && event.person == self.person;
        if own {
            let id = event.client_id.clone();
            if self.outbox.remove(&id).is_some() {
                self.settle(id);
            }
        }
        let done = self.outbox.seen(event.sequence);
        actions.push(Action::Show(Change::Said { event, own }));
        for client_id in done {
            self.done(client_id, actions);
        }
    }

    fn private_event(&mut self, event: PrivateEvent, actions: &mut Vec<Action>) {
        let last = self.who.visit.private.entry(event.partition).or_default();
        if event.number <= *last {
            return;
        }
        *last = event.number;
        actions.push(Action::Keep);
        if let Some(Private::Withheld(withheld)) = &event.event {
            if self.settled.contains(&withheld.client_id) {
                return;
            }
            if let Some(item) = self.outbox.remove(&withheld.client_id) {
                self.settle(item.client_id.clone());
                actions.push(Action::Show(Change::Withheld {
                    client_id: item.client_id,
                    text: item.text,
                    reason: withheld.reason.clone(),
                    plugin: withheld.plugin.clone(),
                }));
                return;
            }
        }
        actions.push(Action::Show(Change::Private(event)));
    }

    fn decided(&mut self, now: Instant, decided: Decided, actions: &mut Vec<Action>) {
        let (result, id) = (decided.result(), decided.client_id);
        match result {
            Outcome::SendAgain => {
                self.outbox.again(&id, Some(now + AGAIN));
            }
            Outcome::Withheld => {
                if let Some(item) = self.outbox.remove(&id) {
                    self.settle(id.clone());
                    actions.push(Action::Show(Change::Withheld {
                        client_id: id,
                        text: item.text,
                        reason: decided.reason,
                        plugin: String::new(),
                    }));
                }
            }
            Outcome::Delivered if decided.sequence > self.seen.unwrap_or_default() => {
                self.outbox.delivered(&id, decided.sequence);
            }
            Outcome::Delivered | Outcome::Handled | Outcome::Unspecified => {
                if self.outbox.remove(&id).is_some() {
                    self.done(id, actions);
                }
            }
        }
    }

    fn error(&mut self, now: Instant, error: Error, actions: &mut Vec<Action>) {
        let retry = (error.retry_after_ms > 0).then(|| Duration::from_millis(error.retry_after_ms));
        if !error.client_id.is_empty() {
            self.send_refused(now, error, retry, actions);
            return;
        }
        let code = Code::from(i32::try_from(error.code).unwrap_or_default());
        match self.phase {
            Phase::Opening(_) => {
                if !self.refused(now, code, &error.message, actions) {
                    actions.push(Action::Disconnect);
                    self.wait(now, retry.unwrap_or_default(), &error.message, actions);
                }
            }
            Phase::Joining(..) => self.join_refused(now, code, error, retry, actions),
            _ => actions.push(note(&error.message)),
        }
    }

    fn send_refused(
        &mut self,
        now: Instant,
        error: Error,
        retry: Option<Duration>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(after) = retry {
            self.outbox.again(&error.client_id, Some(now + after));
        } else if let Some(item) = self.outbox.remove(&error.client_id) {
            self.settle(item.client_id.clone());
            actions.push(Action::Show(Change::Failed {
                client_id: item.client_id,
                text: item.text,
                reason: error.message,
            }));
        }
    }

    fn join_refused(
        &mut self,
        now: Instant,
        code: Code,
        error: Error,
        retry: Option<Duration>,
        actions: &mut Vec<Action>,
    ) {
        match (code, retry, self.seen) {
            (_, Some(after), _) => {
                let at = now + after;
                self.phase = Phase::Joining(at + HANDSHAKE, Some(at));
                actions.push(note(&error.message));
            }
            // What came between was forgotten before we came back.
            (Code::OutOfRange, None, Some(seen)) if error.oldest > seen + 1 => {
                actions.push(missing(seen + 1, error.oldest - 1));
                self.seen = Some(error.oldest - 1);
                self.join(now, actions);
            }
            // A number past the end, or no room at all: the server has new data.
            (Code::OutOfRange | Code::NotFound, None, Some(_)) => {
                actions.push(note(
                    "the room begins anew on the server; here is what it holds",
                ));
                self.seen = None;
                self.join(now, actions);
            }
            (
                Code::InvalidArgument
                | Code::PermissionDenied
                | Code::NotFound
                | Code::FailedPrecondition
                | Code::OutOfRange,
                ..,
            ) => self.stop(Stop::Refused(error.message), actions),
            _ => self.give_up(now, &error.message, actions),
        }
    }

    fn done(&mut self, client_id: String, actions: &mut Vec<Action>) {
        self.settle(client_id.clone());
        actions.push(Action::Show(Change::Done { client_id }));
    }

    fn settle(&mut self, client_id: String) {
        if self.settled.len() >= SETTLED {
            self.settled.pop_front();
        }
        self.settled.push_back(client_id);
    }
}

fn note(text: &str) -> Action {
    Action::Show(Change::Note(text.into()))
}

fn missing(from: u64, to: u64) -> Action {
    note(&format!(
        "{} events before this point are no longer kept by the server (numbers {from} to {to})",
        to.saturating_sub(from) + 1
    ))
}
