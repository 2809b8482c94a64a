//! 1. A message arrives: sessions and calls, who may do what, and the way into the ingress log.
//!
//! Knows the protocol, the bounds, the journal's ingress side and the rooms as views; never decides what a message
//! means.

pub mod admit;
mod dead_letters;
mod grpc;
mod inbound;
mod lane;
pub mod listener;
mod memories;
pub mod outbound;
mod people;
mod refusal;
pub mod session;
mod unary;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::admit::Paces;
pub use self::dead_letters::Retried;
pub use self::grpc::Service;
use self::lane::Entrance;
pub use self::memories::NotTaken;
use self::outbound::Deliveries;
use self::people::Person;
use self::refusal::{Admission, Refusal};
use crate::config::Limits;
use crate::journal::{Journal, Log};
use crate::plugin::PluginSet;
use crate::proto::log::v1::{RoomState, RunStarted, ingress::Request};
use crate::proto::v1;
use crate::rooms::Rooms;
use crate::state::ids::{Offset, Partition, PersonId};
use crate::state::name::{PersonName, RoomName};
use crate::world::World;

/// What the gateway tells of its work, for metrics.
pub trait Observer: Deliveries {
    /// A message was acknowledged, so long after it came.
    fn acknowledged(&self, after: Duration);
    /// Something was refused.
    fn refused(&self, code: tonic::Code);
    /// So many sessions are open.
    fn sessions(&self, open: usize);
    /// So many connections are open.
    fn connections(&self, open: usize);
}

/// Looks away.
pub struct Unobserved;

impl Deliveries for Unobserved {
    fn delivered(&self, _: u64) {}
}

impl Observer for Unobserved {
    fn acknowledged(&self, _: Duration) {}
    fn refused(&self, _: tonic::Code) {}
    fn sessions(&self, _: usize) {}
    fn connections(&self, _: usize) {}
}

/// Calls other than streams that may be under way at once, sent by whomever: each holds a message for a while.
const CALLS: usize = 4096;

/// What all sessions and calls of this host share.
pub struct Gateway {
    limits: Limits,
    rooms: Arc<Rooms>,
    entrance: Entrance,
    plugins: watch::Receiver<Arc<PluginSet>>,
    observer: Arc<dyn Observer>,
    /// ULID of this run of the host.
    run: [u8; 16],
    sessions: Mutex<Sessions>,
    /// Of people who send without a session.
    paces: Mutex<Paces<PersonId>>,
    /// Of addresses that claim names.
    claims: Mutex<Paces<IpAddr>>,
    /// Calls other than streams that may be under way.
    calls: Arc<Semaphore>,
    tasks: TaskTracker,
    drain: CancellationToken,
}

#[derive(Default)]
struct Sessions {
    open: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Gateway {
    /// A gateway into this journal, in front of these rooms.
    #[must_use]
    pub fn new(
        limits: Limits,
        rooms: Arc<Rooms>,
        journal: Arc<dyn Journal>,
        world: World,
        plugins: watch::Receiver<Arc<PluginSet>>,
        observer: Arc<dyn Observer>,
        run: [u8; 16],
    ) -> Arc<Self> {
        Arc::new(Self {
            entrance: Entrance::new(journal, rooms.clone(), world),
            limits,
            rooms,
            plugins,
            observer,
            run,
            sessions: Mutex::default(),
            paces: Mutex::default(),
            claims: Mutex::default(),
            calls: Arc::new(Semaphore::new(CALLS)),
            tasks: TaskTracker::new(),
            drain: CancellationToken::new(),
        })
    }

    /// Tells the log that this run has begun, so that the names of earlier runs' sessions come free.
    ///
    /// # Errors
    /// Where the log does not take it.
    pub async fn announce_run(&self, host: &str) -> Result<(), String> {
        for partition in (0..self.rooms.partitions()).map(Partition) {
            let request = Request::RunStarted(RunStarted {
                run: self.run.to_vec().into(),
                host: host.to_owned(),
            });
            self.entrance
                .ask(partition, &lane::Asker::default(), request)
                .await
                .map_err(|refusal| refusal.message)?;
        }
        Ok(())
    }

    /// Told of the gateway's work.
    #[must_use]
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tells sessions to go, and waits until they have.
    pub async fn drain(&self) {
        self.drain.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.lock().open
    }

    /// Where open sessions come from, a few of the addresses, for the log.
    #[must_use]
    pub fn open_addresses(&self, most: usize) -> String {
        let sessions = self.sessions.lock();
        let mut named: Vec<String> = sessions
            .by_address
            .iter()
            .take(most)
            .map(|(address, open)| format!("{address} ({open})"))
            .collect();
        if sessions.by_address.len() > most {
            named.push(format!("{} more", sessions.by_address.len() - most));
        }
        named.join(", ")
    }

    /// Whether messages can be taken now, and are delivered.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.drain.is_cancelled() && self.entrance.journal().is_writable() && self.rooms.is_whole()
    }

    /// Counts a session in, for as long as what is returned lives.
    fn admit_session(self: &Arc<Self>, address: IpAddr) -> Admission<SessionPermit> {
        if self.drain.is_cancelled() {
            return Err(Refusal::unavailable(
                "the server is going down; connect again",
            ));
        }
        let address = network_of(address);
        let mut sessions = self.sessions.lock();
        if sessions.open >= self.limits.sessions {
            return Err(Refusal::exhausted(format!(
                "this server has {} sessions, as many as it allows; come back later",
                sessions.open
            ))
            .retry(Duration::from_secs(10)));
        }
        let here = sessions.by_address.entry(address).or_default();
        if *here >= self.limits.sessions_per_address {
            return Err(Refusal::exhausted(format!(
                "there are {here} sessions from your address, as many as this server allows; end one of them"
            )));
        }
        *here += 1;
        sessions.open += 1;
        self.observer.sessions(sessions.open);
        Ok(SessionPermit {
            gateway: self.clone(),
            address,
        })
    }

    /// Asks for a name, for a session of this run. Names that are new to an address are counted: each is kept.
    ///
    /// # Errors
    /// As [`people::attach`], and `RESOURCE_EXHAUSTED`.
    async fn attach(&self, address: IpAddr, name: &str, token: &str) -> Admission<Person> {
        let parsed = PersonName::parse(name)?;
        let known = self
            .rooms
            .name(&parsed)?
            .is_some_and(|state| state.token_hash == people::token_hash(token));
        if !known {
            let a_minute = self.limits.new_names_per_minute;
            let taken =
                self.claims
                    .lock()
                    .take(network_of(address), f64::from(a_minute) / 60.0, a_minute);
            taken.map_err(|wait| {
                Refusal::exhausted(format!(
                    "your address has claimed {a_minute} new names in a minute, as many as this server allows; use one that you have, with its token, or come back in {} s",
                    wait.as_secs() + 1
                ))
                .retry(wait)
            })?;
        }
        people::attach(self, &parsed, token).await
    }

    /// A room that is there.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `NOT_FOUND`.
    fn existing_room(&self, name: &str) -> Admission<RoomState> {
        let name = RoomName::parse(name)?;
        self.rooms.room(&name)?.ok_or_else(|| {
            Refusal::new(
                tonic::Code::NotFound,
                format!("there is no room `{}`; joining it makes it", name.as_str()),
            )
        })
    }

    /// Makes a room where it is missing; tells whether it was.
    async fn make_room(&self, name: &str, asker: &lane::Asker) -> Admission<(RoomState, bool)> {
        let name = RoomName::parse(name)?;
        if let Some(room) = self.rooms.room(&name)? {
            return Ok((room, false));
        }
        if self.rooms.count() >= self.limits.rooms {
            return Err(Refusal::exhausted(format!(
                "there are {} rooms, as many as this server allows; join one of them",
                self.limits.rooms
            )));
        }
        let request = Request::CreateRoom(crate::proto::log::v1::CreateRoom {
            room: name.as_str().to_owned(),
        });
        let partition = self.rooms.partition_of_room(&name);
        self.entrance
            .ask_for(partition, asker, request, tonic::Code::ResourceExhausted)
            .await?;
        let room = self.existing_room(name.as_str())?;
        Ok((room, true))
    }

    /// Where a reader begins: after which number. Waits where this host has not folded that far yet.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`, with the oldest number that is kept.
    async fn begin_after(
        &self,
        name: &RoomName,
        after: Option<u64>,
        last: u32,
    ) -> Admission<(RoomState, u64)> {
        let mut room = self.existing_room(name.as_str())?;
        let Some(after) = after else {
            let oldest = room.oldest.saturating_sub(1);
            let last = u64::from(last.min(1000));
            let begin = room.head.saturating_sub(last).max(oldest);
            return Ok((room, begin));
        };
        if after > room.head {
            self.fold_to_the_end(self.rooms.partition_of_room(name))
                .await?;
            room = self.existing_room(name.as_str())?;
        }
        if after > room.head || after.saturating_add(1) < room.oldest {
            let (what, oldest, head) = if after > room.head {
                ("is not there yet", room.oldest, room.head)
            } else {
                ("is no longer kept", room.oldest, room.head)
            };
            let mut refusal = Refusal::new(
                tonic::Code::OutOfRange,
                format!("what comes after {after} {what}: the room holds {oldest} to {head}"),
            );
            refusal.oldest = oldest;
            return Err(refusal);
        }
        Ok((room, after))
    }

    /// Waits until this host has folded what is durable at this moment.
    ///
    /// # Errors
    /// `UNAVAILABLE` where that takes long. Never to be passed over: to a client, a number past the room's end means
    /// that the server began anew.
    async fn fold_to_the_end(&self, partition: Partition) -> Admission<()> {
        let end = self.entrance.journal().end(partition, Log::Outcomes);
        if let Some(mut folded) = self.rooms.folded(partition) {
            let wait = folded.wait_for(|state| Offset(state.next_outcome) >= end);
            let waited = tokio::time::timeout(Duration::from_secs(5), wait).await;
            if !matches!(waited, Ok(Ok(_))) {
                return Err(Refusal::unavailable(
                    "this server is behind with the log; try again, or another one",
                ));
            }
        }
        Ok(())
    }

    /// The commands of the plugins in force.
    fn commands(&self) -> Vec<v1::Command> {
        let set = self.plugins.borrow().clone();
        let mut commands: Vec<v1::Command> = Vec::new();
        for plugin in &set.plugins {
            let manifest = plugin.manifest();
            for command in &manifest.commands {
                if commands.iter().all(|c| c.name != command.name) {
                    commands.push(v1::Command {
                        name: command.name.clone(),
                        usage: command.usage.clone(),
                        summary: command.summary.clone(),
                        plugin: manifest.name.clone(),
                    });
                }
            }
        }
        commands.sort_by(|a, b| a.name.cmp(&b.name));
        commands
    }
}

/// A session's place among those that are allowed.
pub struct SessionPermit {
    gateway: Arc<Gateway>,
    address: IpAddr,
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let mut sessions = self.gateway.sessions.lock();
        sessions.open = sessions.open.saturating_sub(1);
        if let Some(here) = sessions.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                sessions.by_address.remove(&self.address);
            }
        }
        self.gateway.observer.sessions(sessions.open);
    }
}

/// What counts as one address: an IPv6 site usually has a /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & (u128::MAX << 64);
            IpAddr::V6(network.into())
        }
    }
}
