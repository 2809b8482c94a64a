//! A session, from the person's side, as a pure state machine.
//!
//! Given what happens (the connection opened, a frame came, it was lost, time passed, the person said something) it
//! answers with what to do. It keeps the promise that nothing is lost and nothing is shown twice: it resumes after
//! the last event it has seen, and sends again, in order and under the same ids, what is not decided. It reads no
//! clock and does no I/O; `live` runs it against a server.

mod receive;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tonic::Code;

use super::backoff::Backoff;
use super::change::{Change, State, Stop};
use super::outbox::{Full, Outbox};
use super::tokens::Visit;
use crate::proto::v1::client_frame::Frame;
use crate::proto::v1::{ClientFrame, Hello, Join, PrivatePosition, Send};

/// How long the server may take until it has let us in.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long an acknowledgement may take before a new connection is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// Decided messages whose private event may still follow.
const SETTLED: usize = 512;

/// Who enters which room.
#[derive(Debug, Clone)]
pub struct Who {
    /// The person's name.
    pub name: String,
    /// What an earlier visit left.
    pub visit: Visit,
    /// The room.
    pub room: String,
    /// How many of the newest events to begin with.
    pub last: u32,
}

/// What the session wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open a stream. What was open is closed.
    Connect,
    /// Put this on the stream.
    Send(ClientFrame),
    /// Close the stream.
    Disconnect,
    /// Keep [`Session::visit`] for the next start.
    Keep,
    /// Show this.
    Show(Change),
    /// It is over.
    Stop(Stop),
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What the server said, if it was the server.
    pub code: Code,
    /// In words.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not connected; the next attempt is at this moment.
    Idle(Instant),
    /// Connecting, or waiting for the welcome, until this moment.
    Opening(Instant),
    /// Waiting to be let into the room until this moment; or to ask again at the second.
    Joining(Instant, Option<Instant>),
    /// In the room.
    Joined,
    Over,
}

/// One person in one room.
#[derive(Debug)]
pub struct Session {
    who: Who,
    phase: Phase,
    backoff: Backoff,
    outbox: Outbox,
    person: u64,
    /// The last event that was shown. None before the first time in the room.
    seen: Option<u64>,
    settled: VecDeque<String>,
    /// An event before this one was missing once already.
    gap: Option<u64>,
}

impl Session {
    /// Connects at the first tick.
    #[must_use]
    pub fn new(who: Who, now: Instant, seed: u64) -> Self {
        Self {
            who,
            phase: Phase::Idle(now),
            backoff: Backoff::new(seed),
            outbox: Outbox::default(),
            person: 0,
            seen: None,
            settled: VecDeque::new(),
            gap: None,
        }
    }

    /// What is not yet decided.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What the next visit needs.
    #[must_use]
    pub fn visit(&self) -> &Visit {
        &self.who.visit
    }

    /// The person said something.
    ///
    /// # Errors
    /// [`Full`], when too much is on its way already.
    pub fn say(
        &mut self,
        now: Instant,
        client_id: String,
        text: String,
    ) -> Result<Vec<Action>, Full> {
        self.outbox.push(client_id.clone(), text.clone())?;
        let mut actions = vec![Action::Show(Change::Pending { client_id, text })];
        self.pump(now, &mut actions);
        Ok(actions)
    }

    /// When [`Session::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle(at) | Phase::Opening(at) | Phase::Joining(at, None) => Some(at),
            Phase::Joining(until, Some(at)) => Some(at.min(until)),
            Phase::Joined => self.outbox.deadline(PATIENCE),
            Phase::Over => None,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match self.phase {
            Phase::Idle(at) if at <= now => self.connect(now, &mut actions),
            Phase::Opening(until) if until <= now => {
                self.give_up(now, "the server did not answer in time", &mut actions);
            }
            Phase::Joining(_, Some(at)) if at <= now => self.join(now, &mut actions),
            Phase::Joining(until, None) if until <= now => {
                self.give_up(now, "the room did not answer in time", &mut actions);
            }
            Phase::Joined if self.outbox.is_stalled(now, PATIENCE) => {
                self.give_up(now, "a message was not acknowledged in time", &mut actions);
            }
            _ => {}
        }
        self.pump(now, &mut actions);
        actions
    }

    /// The stream has ended.
    pub fn lost(&mut self, now: Instant, lost: &Lost) -> Vec<Action> {
        let mut actions = Vec::new();
        let greeted = matches!(self.phase, Phase::Joining(..) | Phase::Joined);
        if greeted || !self.refused(now, lost.code, &lost.why, &mut actions) {
            self.wait(now, Duration::ZERO, &lost.why, &mut actions);
        }
        actions
    }

    /// The server does not let us in. Says whether that settles what comes next.
    fn refused(&mut self, now: Instant, code: Code, why: &str, actions: &mut Vec<Action>) -> bool {
        match code {
            // Another token would not help: one that the server does not know is as good as any for a free name.
            Code::AlreadyExists | Code::Unauthenticated | Code::PermissionDenied => {
                self.stop(Stop::NameTaken(why.into()), actions);
            }
            Code::OutOfRange if !self.who.visit.private.is_empty() => {
                self.who.visit.private.clear();
                self.connect(now, actions);
            }
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
                self.stop(Stop::Refused(why.into()), actions);
            }
            _ => return false,
        }
        true
    }

    fn stop(&mut self, stop: Stop, actions: &mut Vec<Action>) {
        self.phase = Phase::Over;
        actions.push(Action::Disconnect);
        actions.push(Action::Stop(stop));
    }

    fn give_up(&mut self, now: Instant, why: &str, actions: &mut Vec<Action>) {
        actions.push(Action::Disconnect);
        self.wait(now, Duration::ZERO, why, actions);
    }

    /// Not connected: wait, then try again.
    fn wait(&mut self, now: Instant, asked: Duration, why: &str, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Idle(_) | Phase::Over) {
            return;
        }
        let delay = self.backoff.wait(asked);
        self.phase = Phase::Idle(now + delay);
        self.outbox.rewind();
        actions.push(Action::Show(Change::State(State::Waiting {
            delay,
            why: why.into(),
        })));
    }

    fn connect(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.phase = Phase::Opening(now + HANDSHAKE);
        actions.push(Action::Show(Change::State(State::Connecting)));
        actions.push(Action::Connect);
        let visit = &self.who.visit;
        let private_after = visit
            .private
            .iter()
            .map(|(&partition, &number)| PrivatePosition { partition, number })
            .collect();
        actions.push(send(Frame::Hello(Hello {
            name: self.who.name.clone(),
            token: visit.token.clone(),
            private_after,
            client: concat!("chat-host/", env!("CARGO_PKG_VERSION")).into(),
        })));
    }

    fn join(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.phase = Phase::Joining(now + HANDSHAKE, None);
        actions.push(send(Frame::Join(Join {
            room: self.who.room.clone(),
            after: self.seen,
            last: self.who.last,
        })));
    }

    /// Sends what may be sent.
    fn pump(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.phase != Phase::Joined {
            return;
        }
        while let Some(item) = self.outbox.take_next(now) {
            actions.push(send(Frame::Send(Send {
                room: self.who.room.clone(),
                text: item.text,
                client_id: item.client_id,
            })));
        }
    }
}

fn send(frame: Frame) -> Action {
    Action::Send(ClientFrame { frame: Some(frame) })
}
