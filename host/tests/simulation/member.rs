//! A member: connects to some host, joins its rooms, says what it has to say, and comes back whenever the session ends.
//!
//! Behaves like the real client: what is undecided is sent again, in order, under the same client id; rooms and private
//! events are resumed after the last number seen. Writes down all it sees, and judges nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes};
use chat_host::proto::v1::{
    self, ClientFrame, Decided, Error, PrivateEvent, RoomEvent, client_frame, private_event,
    server_frame::Frame,
};
use chat_host::state::frame::{PREFIX, unframed};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::host::Host;
use crate::journal::Disk;
use crate::world::{Dice, Plan};

/// How long a member waits for anything before it tries another host.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a member saw.
#[derive(Debug, Clone)]
pub enum Seen {
    /// With the private numbers it asked for.
    Welcome(v1::Welcome, BTreeMap<u32, u64>),
    /// With the number after which it asked to begin.
    Joined(v1::Joined, Option<u64>),
    /// The server says that a room's events up to this number are no longer kept.
    Forgotten(String, u64),
    Room(RoomEvent),
    Private(PrivateEvent),
    /// Client id, ULID.
    Acknowledged(String, String),
    Decided(Decided),
    Refused(Error),
}

/// Something it said.
#[derive(Debug, Clone)]
pub struct Said {
    pub client_id: String,
    pub room: String,
    pub text: String,
}

/// All that a member knows, for the checker.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub name: String,
    pub person: u64,
    pub said: Vec<Said>,
    pub seen: Vec<Seen>,
    /// The last number seen, by room.
    pub rooms: BTreeMap<String, u64>,
    pub private: BTreeMap<u32, u64>,
    /// What is not yet known to be decided.
    pub open: Vec<String>,
    /// Whether everything has been said and decided.
    pub is_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Sent(Instant),
    Acknowledged,
}

struct Item {
    said: Said,
    stage: Stage,
}

/// See the module.
pub struct Member {
    token: String,
    rooms: Vec<String>,
    hosts: Vec<Arc<Host>>,
    disk: Arc<Disk>,
    dice: Dice,
    /// How many may be under way.
    depth: usize,
    /// Frames that may wait in the network; a slow reader takes its time for each.
    buffer: usize,
    read_wait: Duration,
    script: Vec<(Duration, Said)>,
    outbox: Vec<Item>,
    asked: BTreeMap<String, Option<u64>>,
    /// Not before this moment: a refusal said so.
    hold: Instant,
    pub record: Arc<Mutex<Record>>,
}

impl Member {
    pub fn new(index: usize, plan: &Plan, hosts: &[Arc<Host>], disk: Arc<Disk>) -> Self {
        let mut dice = Dice::new(plan.seed).fork(200 + index as u64);
        let name = format!("member-{index}");
        let mut rooms: Vec<String> = (0..plan.rooms).map(|n| format!("room-{n}")).collect();
        if index > 0 && rooms.len() > 1 && dice.chance(300) {
            rooms.remove(0);
        }
        let mean = plan.chaos.as_millis() as u64 / plan.messages as u64;
        let script = (0..plan.messages)
            .map(|n| {
                // Bursts, and pauses between them.
                let wait = if dice.chance(600) {
                    dice.millis(0, 3)
                } else {
                    dice.millis(0, mean * 4)
                };
                let client_id = format!("{index}-{n:04}");
                let room = rooms[dice.index(rooms.len())].clone();
                let text = text(&mut dice, plan, &client_id);
                let said = Said {
                    client_id,
                    room,
                    text,
                };
                (wait, said)
            })
            .collect();
        let slow = dice.chance(200);
        let record = Record {
            name,
            ..Record::default()
        };
        Self {
            token: format!("token-of-{index}"),
            rooms,
            hosts: hosts.to_vec(),
            disk,
            depth: dice.pick(&[1, 1, 4, 16]),
            buffer: if slow { 1 } else { 64 },
            read_wait: if slow {
                dice.millis(1, 400)
            } else {
                Duration::ZERO
            },
            script,
            outbox: Vec::new(),
            asked: BTreeMap::new(),
            hold: Instant::now(),
            dice,
            record: Arc::new(Mutex::new(record)),
        }
    }

    /// Never ends by itself.
    pub async fn run(mut self) {
        self.script.reverse();
        loop {
            let host = self.hosts[self.dice.index(self.hosts.len())].clone();
            if let Some((sends, gets)) = host.connect(self.buffer) {
                self.converse(sends, gets).await;
                self.rewind();
            }
            sleep(self.dice.millis(20, 1_500)).await;
        }
    }

    /// One session, until it ends or nothing is heard for too long.
    async fn converse(
        &mut self,
        sends: mpsc::Sender<Result<ClientFrame, tonic::Status>>,
        mut gets: mpsc::Receiver<Bytes>,
    ) -> Option<()> {
        let asked = self.record.lock().unwrap().private.clone();
        let hello = v1::Hello {
            name: self.record.lock().unwrap().name.clone(),
            token: self.token.clone(),
            private_after: asked
                .iter()
                .map(|(partition, number)| v1::PrivatePosition {
                    partition: *partition,
                    number: *number,
                })
                .collect(),
            client: "simulation".into(),
        };
        send(&sends, client_frame::Frame::Hello(hello)).await?;
        // Sometimes it leaves by itself, in the midst of things.
        let leaves = match self.dice.chance(300) && !self.is_done() {
            true => Instant::now() + self.dice.millis(10, 20_000),
            false => Instant::now() + Duration::from_secs(1 << 30),
        };
        let mut welcomed = false;
        let mut joined = 0;
        let mut next_script = Instant::now();
        let mut heard = Instant::now();
        loop {
            let is_in = welcomed && joined == self.rooms.len();
            if is_in {
                self.send_next(&sends).await?;
            }
            self.settle();
            let now = Instant::now();
            let stalled = self
                .outbox
                .iter()
                .filter_map(|item| match item.stage {
                    Stage::Sent(since) => Some(since + PATIENCE),
                    _ => None,
                })
                .min();
            // What was acknowledged must be decided some day too; a host that stands still is left.
            let mut deadline = leaves.min(stalled.unwrap_or(leaves));
            if !is_in || !self.outbox.is_empty() {
                deadline = deadline.min(heard + PATIENCE);
            }
            if deadline <= now {
                return None;
            }
            let script = match self.script.last() {
                Some(_) if is_in => next_script.max(now),
                _ => deadline,
            };
            let hold = if self.hold > now { self.hold } else { deadline };
            let wake = deadline.min(script).min(hold);
            let got = timeout(wake.saturating_duration_since(now), gets.recv()).await;
            match got {
                Ok(None) => return None,
                Err(_) => {
                    if script <= Instant::now()
                        && is_in
                        && let Some((wait, said)) = self.script.pop()
                    {
                        self.record.lock().unwrap().said.push(said.clone());
                        self.outbox.push(Item {
                            said,
                            stage: Stage::Waiting,
                        });
                        next_script = Instant::now() + wait;
                    }
                }
                Ok(Some(mut bytes)) => {
                    heard = Instant::now();
                    if !self.read_wait.is_zero() {
                        sleep(self.read_wait).await;
                    }
                    while !bytes.is_empty() {
                        let length = PREFIX + (&bytes[1..PREFIX]).get_u32() as usize;
                        let frame = unframed(&bytes.split_to(length)).unwrap();
                        match frame {
                            Frame::Welcome(welcome) => {
                                welcomed = true;
                                self.welcome(welcome, &asked);
                                for room in self.rooms.clone() {
                                    self.join(&sends, &room).await?;
                                }
                            }
                            Frame::Joined(frame) => {
                                joined += 1;
                                self.joined(frame);
                            }
                            Frame::Error(error) => self.refused(&sends, error).await?,
                            Frame::Goodbye(_) => return None,
                            frame => self.hear(frame),
                        }
                    }
                }
            }
        }
    }

    fn welcome(&mut self, welcome: v1::Welcome, asked: &BTreeMap<u32, u64>) {
        let mut record = self.record.lock().unwrap();
        record.person = welcome.person;
        for position in &welcome.private_positions {
            record.private.insert(position.partition, position.number);
        }
        record.seen.push(Seen::Welcome(welcome, asked.clone()));
    }

    async fn join(
        &mut self,
        sends: &mpsc::Sender<Result<ClientFrame, tonic::Status>>,
        room: &str,
    ) -> Option<()> {
        let after = self.record.lock().unwrap().rooms.get(room).copied();
        self.asked.insert(room.into(), after);
        let join = v1::Join {
            room: room.into(),
            after,
            last: 1000,
        };
        send(sends, client_frame::Frame::Join(join)).await
    }

    fn joined(&mut self, joined: v1::Joined) {
        let asked = self.asked.get(&joined.room).copied().flatten();
        let mut record = self.record.lock().unwrap();
        record.rooms.insert(joined.room.clone(), joined.after);
        record.seen.push(Seen::Joined(joined, asked));
    }

    async fn refused(
        &mut self,
        sends: &mpsc::Sender<Result<ClientFrame, tonic::Status>>,
        error: Error,
    ) -> Option<()> {
        self.note(format!("{error:?}").as_bytes());
        let room = error.room.clone();
        let seen = {
            let mut record = self.record.lock().unwrap();
            record.seen.push(Seen::Refused(error.clone()));
            record.rooms.get(&room).copied()
        };
        if !error.client_id.is_empty() {
            self.again(&error.client_id);
            return Some(());
        }
        if error.code == tonic::Code::OutOfRange as u32
            && seen.is_some_and(|seen| error.oldest > seen + 1)
        {
            let up_to = error.oldest - 1;
            {
                let mut record = self.record.lock().unwrap();
                record.rooms.insert(room.clone(), up_to);
                record.seen.push(Seen::Forgotten(room.clone(), up_to));
            }
            return self.join(sends, &room).await;
        }
        // Whatever it is: come back later.
        None
    }

    fn hear(&mut self, frame: Frame) {
        self.note(format!("{frame:?}").as_bytes());
        let mut record = self.record.lock().unwrap();
        match frame {
            Frame::RoomEvent(event) => {
                record.rooms.insert(event.room.clone(), event.sequence);
                let own = event.sender == record.name;
                let client_id = event.client_id.clone();
                record.seen.push(Seen::Room(event));
                drop(record);
                if own {
                    self.done(&client_id);
                }
            }
            Frame::PrivateEvent(event) => {
                record.private.insert(event.partition, event.number);
                let withheld = match &event.event {
                    Some(private_event::Event::Withheld(withheld)) => {
                        Some(withheld.client_id.clone())
                    }
                    _ => None,
                };
                record.seen.push(Seen::Private(event));
                drop(record);
                if let Some(client_id) = withheld {
                    self.done(&client_id);
                }
            }
            Frame::Acknowledged(ack) => {
                record
                    .seen
                    .push(Seen::Acknowledged(ack.client_id.clone(), ack.id));
                drop(record);
                for item in &mut self.outbox {
                    if item.said.client_id == ack.client_id {
                        item.stage = Stage::Acknowledged;
                    }
                }
            }
            Frame::Decided(decided) => {
                let (result, id) = (decided.result(), decided.client_id.clone());
                record.seen.push(Seen::Decided(decided));
                drop(record);
                if result == v1::Result::SendAgain {
                    self.again(&id);
                } else {
                    self.done(&id);
                }
            }
            _ => {}
        }
    }

    /// Sends what waits, in order, as much as may be under way.
    async fn send_next(
        &mut self,
        sends: &mpsc::Sender<Result<ClientFrame, tonic::Status>>,
    ) -> Option<()> {
        if self.hold > Instant::now() {
            return Some(());
        }
        loop {
            let under_way = self
                .outbox
                .iter()
                .filter(|item| matches!(item.stage, Stage::Sent(_)))
                .count();
            let next = self
                .outbox
                .iter_mut()
                .find(|item| item.stage == Stage::Waiting);
            let Some(item) = next.filter(|_| under_way < self.depth) else {
                return Some(());
            };
            item.stage = Stage::Sent(Instant::now());
            let frame = v1::Send {
                room: item.said.room.clone(),
                text: item.said.text.clone(),
                client_id: item.said.client_id.clone(),
            };
            send(sends, client_frame::Frame::Send(frame)).await?;
        }
    }

    fn again(&mut self, client_id: &str) {
        for item in &mut self.outbox {
            if item.said.client_id == client_id {
                item.stage = Stage::Waiting;
            }
        }
        self.hold = Instant::now() + Duration::from_millis(300);
    }

    fn done(&mut self, client_id: &str) {
        self.outbox.retain(|item| item.said.client_id != client_id);
    }

    fn rewind(&mut self) {
        for item in &mut self.outbox {
            item.stage = Stage::Waiting;
        }
    }

    fn is_done(&self) -> bool {
        self.script.is_empty() && self.outbox.is_empty()
    }

    fn settle(&mut self) {
        let done = self.is_done();
        let mut record = self.record.lock().unwrap();
        record.is_done = done;
        record.open = self
            .outbox
            .iter()
            .map(|item| format!("{} {:?}", item.said.client_id, item.stage))
            .collect();
    }

    fn note(&self, what: &[u8]) {
        self.disk.note(what);
    }
}

async fn send(
    sends: &mpsc::Sender<Result<ClientFrame, tonic::Status>>,
    frame: client_frame::Frame,
) -> Option<()> {
    let frame = ClientFrame { frame: Some(frame) };
    match timeout(PATIENCE, sends.send(Ok(frame))).await {
        Ok(Ok(())) => Some(()),
        _ => None,
    }
}

fn text(dice: &mut Dice, plan: &Plan, id: &str) -> String {
    let other = dice.index(plan.members);
    match dice.between(0, 19) {
        0 => format!("what a darn thing {id}"),
        1 => format!("forbidden {id}"),
        2 => format!("vanish {id}"),
        3 => format!("/me waves {id}"),
        4 => format!("/whisper member-{other} psst {id}"),
        5 | 6 => format!("/later {id}"),
        7 => "/roll 3d6".into(),
        8 => format!("/topic about {id}"),
        9 => "/nonsense".into(),
        _ => format!("*hello* from {id}"),
    }
}
