//! A sender: says its messages at their times, and sees to it that each is acknowledged.
//!
//! Refusals are obeyed, what a cut left open is sent again under the same id and in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message;

use super::broken::Broken;
use super::connection::Connection;
use super::content::MessageKey;
use super::counts::Counts;
use super::latency::Recorder;
use super::listener::Listener;
use super::options::Rate;
use super::pace::{Alarm, Schedule};
use super::session::{Identity, RESOURCE_EXHAUSTED};
use super::shared::{Phase, Sending, Shared};
use crate::proto::v1::{
    ClientFrame, Result as Outcome, Send, ServerFrame, client_frame, server_frame::Frame,
};

/// Unacknowledged messages of one sender at a fixed rate, below what a server allows a session (256). Beyond it they
/// wait here, and their latency counts from when they were to be sent all the same.
const UNACKNOWLEDGED: usize = 200;
/// Frames around a text: id, room, prefixes.
const OVERHEAD_BYTES: usize = 256;
/// gRPC's UNAVAILABLE.
const UNAVAILABLE: u32 = 14;

/// One sender's session.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    index: usize,
    identity: Identity,
    listener: Listener,
    answers: Answers,
    schedule: Option<Schedule>,
    alarm: Alarm,
    sent: u64,
}

/// What the server's answers leave to be done.
#[derive(Debug)]
struct Answers {
    shared: Arc<Shared>,
    recorder: Arc<Recorder>,
    sender: usize,
    /// To be sent again, in order.
    again: BTreeSet<u64>,
    /// Nothing may be sent before.
    pause_until_us: u64,
    goodbye: Option<String>,
}

impl Sender {
    /// Not connected yet.
    ///
    /// # Errors
    /// When the system has no timer left.
    pub fn new(
        shared: &Arc<Shared>,
        index: usize,
        recorder: &Arc<Recorder>,
    ) -> std::io::Result<Self> {
        let sending = shared.senders.get(index);
        let name = sending.map(|sending| sending.name.clone());
        let seats = sending.map_or(0..0, |sending| {
            sending.first_seat..sending.first_seat + sending.rooms.len()
        });
        Ok(Self {
            identity: Identity::new(name.unwrap_or_default()),
            listener: Listener::new(shared, seats, recorder),
            answers: Answers {
                shared: Arc::clone(shared),
                recorder: Arc::clone(recorder),
                sender: index,
                again: BTreeSet::new(),
                pause_until_us: 0,
                goodbye: None,
            },
            schedule: None,
            alarm: Alarm::new()?,
            sent: 0,
            shared: Arc::clone(shared),
            index,
        })
    }

    /// Connects for the first time.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn enter(&mut self) -> Result<Connection, Broken> {
        let joins = self.listener.enter();
        let (connection, joined) = self.identity.open(&self.shared, &joins).await?;
        self.listener.begin(&joined);
        self.shared.counts.connected.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }

    /// Sends until the run drops it, or the stream ends and is not to be resumed.
    pub async fn speak(mut self, mut connection: Connection) {
        loop {
            let cut = self.converse(connection).await;
            let counts = &self.shared.counts;
            counts.connected.fetch_sub(1, Ordering::Relaxed);
            if !self.shared.options.resume {
                counts.violation(&counts.disconnected, || {
                    format!("sender {}: {cut}", self.index)
                });
                return;
            }
            connection = self
                .identity
                .reopen(&self.shared, &self.listener.resume())
                .await;
            if let Some(sending) = self.shared.senders.get(self.index) {
                self.answers.again = sending.ledger.lock().unacknowledged().collect();
            }
        }
    }

    async fn converse(&mut self, mut connection: Connection) -> Broken {
        let shared = Arc::clone(&self.shared);
        let Some(sending) = shared.senders.get(self.index) else {
            return Broken::StreamEnded;
        };
        let mut phase = shared.phase.clone();
        loop {
            let loading = *phase.borrow_and_update() == Phase::Load;
            let wait = self.say_what_is_due(&mut connection, sending, loading);
            let (answers, listener) = (&mut self.answers, &mut self.listener);
            tokio::select! {
                biased;
                ended = connection.exchange(|frame| {
                    if !listener.hear(frame) {
                        answers.take(frame, sending);
                    }
                }) => {
                    listener.end_batch();
                    if let Err(cut) = ended {
                        return answers.goodbye.take().map_or(cut, Broken::Goodbye);
                    }
                }
                Ok(()) = phase.changed() => {}
                () = sending.bell.notified(), if wait == Wait::Witness => {}
                () = self.alarm.sleep(wait.duration()), if matches!(wait, Wait::Time(_)) => {}
            }
        }
    }

    /// Queues everything whose time has come, and tells what to wait for besides the server.
    fn say_what_is_due(
        &mut self,
        connection: &mut Connection,
        sending: &Sending,
        loading: bool,
    ) -> Wait {
        let bytes = self.shared.options.size_bytes + OVERHEAD_BYTES;
        let now_us = self.shared.now_us();
        if self.answers.pause_until_us > now_us {
            return Wait::until(self.answers.pause_until_us, now_us);
        }
        loop {
            if !connection.has_room_for(bytes) {
                return Wait::Server;
            }
            if let Some(number) = self.answers.again.pop_first() {
                connection.send(&self.message(sending, number));
                continue;
            }
            if !loading {
                return Wait::Server;
            }
            let intended_us = match self.shared.options.rate {
                Rate::Idle => return Wait::Server,
                Rate::Max { window } => {
                    if self
                        .sent
                        .saturating_sub(sending.witnessed.load(Ordering::Acquire))
                        >= window as u64
                    {
                        return Wait::Witness;
                    }
                    self.shared.now_us()
                }
                Rate::PerSecond(rate) => {
                    if sending.ledger.lock().waiting() >= UNACKNOWLEDGED {
                        return Wait::Server;
                    }
                    let (sender, senders) = (self.index, self.shared.options.senders);
                    let schedule = self
                        .schedule
                        .get_or_insert_with(|| Schedule::new(now_us, rate, sender, senders));
                    match schedule.take_due(now_us) {
                        Some(intended_us) => intended_us,
                        None => return Wait::until(schedule.next_us(), now_us),
                    }
                }
            };
            let number = sending.ledger.lock().send(intended_us);
            connection.send(&self.message(sending, number));
            self.sent += 1;
            Counts::add(&self.shared.counts.sent, 1);
        }
    }

    fn message(&self, sending: &Sending, number: u64) -> ClientFrame {
        let key = MessageKey {
            sender: self.index,
            number,
        };
        let room = self.shared.rooms.get(sending.room_of(number));
        ClientFrame {
            frame: Some(client_frame::Frame::Send(Send {
                room: room.map(|room| room.name.clone()).unwrap_or_default(),
                text: self.shared.content.text(key),
                client_id: key.client_id(),
            })),
        }
    }
}

/// What a sender waits for, besides the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Server,
    Witness,
    Time(Duration),
}

impl Wait {
    fn until(time_us: u64, now_us: u64) -> Self {
        Self::Time(Duration::from_micros(time_us.saturating_sub(now_us)))
    }

    fn duration(self) -> Duration {
        match self {
            Self::Time(wait) => wait,
            Self::Server | Self::Witness => Duration::ZERO,
        }
    }
}

impl Answers {
    fn take(&mut self, frame: &[u8], sending: &Sending) {
        let shared = Arc::clone(&self.shared);
        let counts = &shared.counts;
        let Ok(ServerFrame { frame: Some(frame) }) = ServerFrame::decode(frame) else {
            return;
        };
        match frame {
            Frame::Acknowledged(acknowledged) => {
                let Some(key) = self.ours(&acknowledged.client_id) else {
                    return;
                };
                let first = {
                    let mut ledger = sending.ledger.lock();
                    let first = ledger.acknowledge(key.number);
                    let disordered = ledger.take_disordered();
                    Counts::add(&counts.reordered, disordered);
                    first
                };
                if let Some(intended_us) = first {
                    Counts::add(&counts.acknowledged, 1);
                    if shared.is_measured(intended_us) {
                        self.recorder
                            .acknowledged(shared.now_us().saturating_sub(intended_us));
                    }
                }
            }
            Frame::Decided(decided) => {
                let Some(key) = self.ours(&decided.client_id) else {
                    return;
                };
                match decided.result() {
                    Outcome::Delivered | Outcome::Unspecified => {}
                    Outcome::SendAgain => {
                        sending.ledger.lock().send_again(key.number);
                        self.again.insert(key.number);
                    }
                    Outcome::Withheld | Outcome::Handled => {
                        self.withheld(key, &decided.reason, sending)
                    }
                }
            }
            Frame::Error(error) => match self.ours(&error.client_id) {
                Some(key)
                    if error.retry_after_ms > 0
                        || [RESOURCE_EXHAUSTED, UNAVAILABLE].contains(&error.code) =>
                {
                    Counts::add(&counts.refused, 1);
                    let until_us = shared.now_us() + error.retry_after_ms.max(1) * 1000;
                    self.pause_until_us = self.pause_until_us.max(until_us);
                    sending.ledger.lock().send_again(key.number);
                    self.again.insert(key.number);
                }
                Some(key) => self.withheld(key, &error.message, sending),
                None => counts.example(|| {
                    format!(
                        "the server says to sender {}: {}",
                        self.sender, error.message
                    )
                }),
            },
            Frame::Goodbye(goodbye) => self.goodbye = Some(goodbye.reason),
            _ => {}
        }
    }

    fn withheld(&self, key: MessageKey, reason: &str, sending: &Sending) {
        let counts = &self.shared.counts;
        if sending.ledger.lock().withhold(key.number) {
            // It will not be seen, so it leaves the window here.
            sending.witnessed.fetch_add(1, Ordering::Release);
            counts.violation(&counts.withheld, || {
                format!("message {} was withheld: {reason}", key.client_id())
            });
        }
    }

    fn ours(&self, client_id: &str) -> Option<MessageKey> {
        MessageKey::parse(client_id).filter(|key| key.sender == self.sender)
    }
}
