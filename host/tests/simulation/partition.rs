//! One partition in peace: ingress records in, outcomes out, through the real owner and the real tail, over a journal in
//! memory. For what plugins make of messages, where nothing else is to go wrong.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_host::journal::memory::MemoryJournal;
use chat_host::journal::{Entry, Journal, Log};
use chat_host::pipeline::{self, Owner, Surroundings};
use chat_host::plugin::{Plugin, PluginSet};
use chat_host::proto::log::v1::change::Change;
use chat_host::proto::log::v1::{
    Claim, CreateRoom, DeadLetter, Ingress, Outcome, Post, Record, ingress::Request, record,
};
use chat_host::proto::v1::{Body, private_event, room_event};
use chat_host::rooms::{Rooms, Tail};
use chat_host::state::fold::ENCODING;
use chat_host::state::ids::{Offset, Partition};
use chat_host::state::memory::MemoryStore;
use chat_host::state::view::View;
use chat_host::world::World;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::host::Blind;
use crate::native::{Clock, Make, Native};

pub const P: Partition = Partition(0);
/// Virtual, and only a failing test waits for so long.
const PATIENCE: Duration = Duration::from_secs(600);
/// When the simulated clock begins.
const EPOCH_MS: u64 = 1_767_225_600_000;

/// See the module.
pub struct House {
    pub journal: Arc<MemoryJournal>,
    pub rooms: Arc<Rooms>,
    began: Instant,
    clock: Clock,
    around: Surroundings,
    batch: usize,
    sent: u64,
    tail: JoinHandle<()>,
}

/// Native plugins in their order, each with its settings.
pub type Made<'a> = [(Make, &'a str)];

impl House {
    /// A partition with the room `lobby`, that nobody owns yet.
    pub async fn new(plugins: &Made<'_>, batch: usize) -> Self {
        let journal = Arc::new(MemoryJournal::new(1));
        let rooms = Arc::new(Rooms::open(Arc::new(MemoryStore::default()), 1).unwrap());
        let began = Instant::now();
        let world = World::simulated(1, began, 0);
        let clock: Clock = {
            let world = world.clone();
            Arc::new(move || world.now_ms())
        };
        let plugins = loaded(plugins, &clock);
        let tail = Tail::new(P, journal.clone(), rooms.clone(), Arc::new(Blind));
        let mut house = Self {
            around: Surroundings {
                journal: journal.clone(),
                store: rooms.store().clone(),
                world,
                plugins,
                directory: rooms.clone(),
                observer: Arc::new(pipeline::Unobserved),
                run: [1; 16],
            },
            tail: tokio::spawn(tail.run(CancellationToken::new())),
            journal,
            rooms,
            began,
            clock,
            batch,
            sent: 0,
        };
        let request = Request::CreateRoom(CreateRoom {
            room: "lobby".into(),
        });
        house.ask(0, EPOCH_MS, "the room", request).await;
        house
    }

    /// Asks for something, as a gateway does.
    async fn ask(&mut self, person: u64, time_ms: u64, client_id: &str, request: Request) {
        self.sent += 1;
        let ingress = Ingress {
            version: ENCODING,
            id: u128::from(self.sent).to_be_bytes().to_vec().into(),
            time_ms,
            person,
            name: format!("person-{person}"),
            client_id: client_id.into(),
            request: Some(request),
            ..Ingress::default()
        };
        self.write(Log::Ingress, ingress.encode_to_vec().into())
            .await;
    }

    /// The owners from now on have these plugins.
    pub fn load(&mut self, plugins: &Made<'_>) {
        self.around.plugins = loaded(plugins, &self.clock);
    }

    /// Asks for something that nobody in a room does.
    pub async fn request(&mut self, request: Request) {
        self.request_after(self.began.elapsed(), request).await;
    }

    /// Asks for it with a stamp of so long after the beginning.
    pub async fn request_after(&mut self, after: Duration, request: Request) {
        let id = format!("request {}", self.sent);
        let time_ms = EPOCH_MS + after.as_millis() as u64;
        self.ask(0, time_ms, &id, request).await;
    }

    /// Says something in a room.
    pub async fn say_in(&mut self, room: &str, text: &str) {
        self.say_in_after(self.began.elapsed(), room, text).await;
    }

    /// Says it with a stamp of so long after the beginning.
    pub async fn say_in_after(&mut self, after: Duration, room: &str, text: &str) {
        let request = Request::Post(Post {
            room: room.into(),
            text: text.into(),
            dead_letter: None,
        });
        let id = format!("id-{}", self.sent);
        let time_ms = EPOCH_MS + after.as_millis() as u64;
        self.ask(7, time_ms, &id, request).await;
    }

    pub async fn say(&mut self, person: u64, text: &str) {
        let id = format!("id-{}", self.sent);
        self.say_after(self.began.elapsed(), person, &id, text)
            .await;
    }

    /// What the operator does with a dead letter.
    pub async fn say_again(&mut self, letter: &DeadLetter) {
        let request = Request::Post(Post {
            room: letter.room_name.clone(),
            text: letter.text.clone(),
            dead_letter: Some(letter.number),
        });
        let id = format!("dead letter {P}-{}", letter.number);
        let time_ms = EPOCH_MS + self.began.elapsed().as_millis() as u64;
        self.ask(letter.person, time_ms, &id, request).await;
    }

    /// Says something that is stamped so long after the beginning.
    pub async fn say_after(&mut self, after: Duration, person: u64, id: &str, text: &str) {
        let request = Request::Post(Post {
            room: "lobby".into(),
            text: text.into(),
            dead_letter: None,
        });
        let time_ms = EPOCH_MS + after.as_millis() as u64;
        self.ask(person, time_ms, id, request).await;
    }

    /// Claims without an outcome between them, of owners that had something to decide.
    pub async fn claim_in_vain(&mut self, times: u64) {
        for _ in 0..times {
            let generation = self.folded().generation + 1;
            let claim = Claim {
                generation,
                nonce: generation.to_be_bytes().to_vec().into(),
                backlog: true,
                ..Claim::default()
            };
            let record = Record {
                version: ENCODING,
                record: Some(record::Record::Claim(claim)),
            };
            self.write(Log::Outcomes, record.encode_to_vec().into())
                .await;
            self.until(|house| house.folded().generation == generation)
                .await;
        }
    }

    async fn write(&self, log: Log, record: Bytes) {
        let appending = self.journal.append(P, log, vec![record]).unwrap();
        appending.await.unwrap().unwrap();
    }

    /// Owns the partition until all that was asked is decided and `until` holds too; then nobody does.
    pub async fn decide(&self, until: impl Fn(&Self) -> bool) {
        let config = pipeline::Config {
            message_bytes: 4096,
            batch: self.batch,
            rooms: 100,
            name_hold: Duration::from_secs(60),
            window: 4096,
            read_back: Duration::from_secs(30),
            retain_age: Duration::from_secs(1 << 30),
            retain_bytes: 1 << 40,
            own_thread: false,
        };
        let folded = self.rooms.folded(P).unwrap();
        let drain = CancellationToken::new();
        let owner = Owner::new(P, self.around.clone(), config, folded);
        let owner = tokio::spawn(owner.run(drain.clone()));
        self.until(|house| {
            Offset(house.folded().next_ingress) == house.journal.end(P, Log::Ingress)
                && until(house)
        })
        .await;
        drain.cancel();
        owner.await.unwrap();
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .expect("it never came to that");
    }

    fn folded(&self) -> chat_host::proto::log::v1::PartitionState {
        let folded = self.rooms.folded(P).unwrap();
        folded.borrow().as_ref().clone()
    }

    pub fn view(&self) -> View {
        View::of(self.rooms.store().clone())
    }

    /// What was decided, in order; the making of the room is left out.
    pub async fn outcomes(&self) -> Vec<Outcome> {
        let records = self.records().await.into_iter();
        let outcomes = records.filter_map(|record| match record {
            record::Record::Outcome(outcome) => Some(outcome),
            _ => None,
        });
        outcomes.skip(1).collect()
    }

    /// How many owners found something to decide.
    pub async fn claims_with_backlog(&self) -> usize {
        let records = self.records().await.into_iter();
        let claims = records.filter(|record| match record {
            record::Record::Claim(claim) => claim.backlog,
            _ => false,
        });
        claims.count()
    }

    async fn records(&self) -> Vec<record::Record> {
        let mut records = Vec::new();
        let mut next = Offset(0);
        while next < self.journal.end(P, Log::Outcomes) {
            let entries = self.journal.read(P, Log::Outcomes, next, 1 << 20);
            for Entry { offset, bytes } in entries.await.unwrap() {
                next = offset.next();
                records.extend(Record::decode(bytes).unwrap().record);
            }
        }
        records
    }
}

fn loaded(plugins: &Made<'_>, clock: &Clock) -> watch::Receiver<Arc<PluginSet>> {
    let plugin = |(make, settings): &(Make, &str)| -> Arc<dyn Plugin> {
        Arc::new(Native::new(*make, settings, clock.clone(), 1))
    };
    let plugins = plugins.iter().map(plugin).collect();
    let set = PluginSet {
        version: 1,
        plugins,
    };
    watch::channel(Arc::new(set)).1
}

impl Drop for House {
    fn drop(&mut self) {
        self.tail.abort();
    }
}

/// What members read of an outcome: `text`, or `topic: text`; and what one person reads, as `to 7: text`.
pub fn shown(outcome: &Outcome) -> Vec<String> {
    let text = |body: &Option<Body>| body.clone().unwrap_or_default().text;
    let changes = outcome.changes.iter().filter_map(|c| c.change.as_ref());
    changes
        .filter_map(|change| match change {
            Change::RoomEvent(event) => match event.event.as_ref()?.event.as_ref()? {
                room_event::Event::Topic(topic) => Some(format!("topic: {}", topic.topic)),
                room_event::Event::Message(body)
                | room_event::Event::Action(body)
                | room_event::Event::Notice(body) => Some(text(&Some(body.clone()))),
            },
            Change::Private(private) => match private.event.as_ref()?.event.as_ref()? {
                private_event::Event::Withheld(withheld) => {
                    Some(format!("to {}: {}", private.person, withheld.reason))
                }
                private_event::Event::Reply(reply) => {
                    Some(format!("to {}: {}", private.person, text(&reply.body)))
                }
                _ => None,
            },
            _ => None,
        })
        .collect()
}
