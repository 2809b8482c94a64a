//! One host of the simulation: composed as `app.rs` composes it, over the shared journal; started, paused, crashed,
//! drained. Its store outlives a crash, but perhaps not the end of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chat_host::config::Limits;
use chat_host::gateway::outbound::outbound;
use chat_host::gateway::{Gateway, Unobserved, session};
use chat_host::pipeline::{self, Owner, Surroundings};
use chat_host::plugin::{Plugin, PluginSet};
use chat_host::proto::log::v1::Verdict;
use chat_host::proto::v1;
use chat_host::rooms::{Rooms, Tail, TailObserver};
use chat_host::state::ids::{Offset, Partition};
use chat_host::state::memory::MemoryStore;
use chat_host::state::store::Store;
use chat_host::world::World;
use http_body_util::BodyExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::journal::Disk;
use crate::native::Native;
use crate::world::{Dice, Plan};

const WORDS: &str = r#"{"entries": [
    {"text": "darn"},
    {"text": "forbidden", "action": "withhold", "reason": "that word is not welcome"},
    {"text": "vanish", "action": "discard"}
]}"#;

/// Looks away.
pub struct Blind;

impl TailObserver for Blind {
    fn folded(&self, _: Verdict) {}
    fn batch(&self, _: Duration) {}
}

/// See the module.
pub struct Host {
    pub index: usize,
    plan: Plan,
    disk: Arc<Disk>,
    began: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    dice: Dice,
    store: MemoryStore,
    /// What the store was at earlier moments: a crash may bring it back.
    older: Vec<MemoryStore>,
    run: Option<Run>,
    /// Why it does not start.
    refused: Option<String>,
}

#[derive(Clone)]
struct Run {
    gate: Arc<Gate>,
    delivering: CancellationToken,
    watching: CancellationToken,
    serving: Option<Serving>,
}

#[derive(Clone)]
struct Serving {
    gateway: Arc<Gateway>,
    rooms: Arc<Rooms>,
    around: Surroundings,
    owners: Arc<Mutex<Vec<Option<CancellationToken>>>>,
}

/// A client's end of a session: what it sends, and what it gets.
pub type Wire = (
    mpsc::Sender<Result<v1::ClientFrame, tonic::Status>>,
    mpsc::Receiver<Bytes>,
);

impl Host {
    pub fn new(index: usize, plan: &Plan, disk: Arc<Disk>, began: Instant) -> Arc<Self> {
        Arc::new(Self {
            index,
            plan: plan.clone(),
            disk,
            began,
            inner: Mutex::new(Inner {
                dice: Dice::new(plan.seed).fork(100 + index as u64),
                store: MemoryStore::default(),
                older: Vec::new(),
                run: None,
                refused: None,
            }),
        })
    }

    pub fn is_serving(&self) -> bool {
        self.serving().is_some()
    }

    /// Why the last start was refused.
    pub fn refused(&self) -> Option<String> {
        self.inner.lock().unwrap().refused.clone()
    }

    pub fn store(&self) -> MemoryStore {
        self.inner.lock().unwrap().store.clone()
    }

    fn serving(&self) -> Option<Serving> {
        self.inner.lock().unwrap().run.as_ref()?.serving.clone()
    }

    /// Starts where it is down.
    pub fn start(self: &Arc<Self>) {
        let gate = Gate::new();
        let (store, seed, skew_ms) = {
            let mut inner = self.inner.lock().unwrap();
            if inner.run.is_some() {
                return;
            }
            inner.refused = None;
            inner.run = Some(Run {
                gate: gate.clone(),
                delivering: CancellationToken::new(),
                watching: CancellationToken::new(),
                serving: None,
            });
            let seed = inner.dice.next();
            let skew_ms = inner.dice.between(0, 600) as i64 - 300;
            (inner.store.clone(), seed, skew_ms)
        };
        let host = self.clone();
        let tasks = gate.clone();
        gate.spawn(async move {
            if let Err(reason) = host.begin(&tasks, store, seed, skew_ms).await {
                let run = {
                    let mut inner = host.inner.lock().unwrap();
                    inner.refused = Some(reason);
                    inner.run.take()
                };
                if let Some(run) = run {
                    run.gate.kill();
                }
            }
        });
    }

    /// As `App::build` and `App::run`.
    async fn begin(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        store: MemoryStore,
        seed: u64,
        skew_ms: i64,
    ) -> Result<(), String> {
        let store: Arc<dyn Store> = Arc::new(store);
        let journal = self.disk.handle(self.index);
        let partitions = self.plan.partitions;
        let rooms = Arc::new(Rooms::open(store.clone(), partitions).unwrap());
        let mut tails = Vec::new();
        for partition in (0..partitions).map(Partition) {
            let tail = Tail::new(partition, journal.clone(), rooms.clone(), Arc::new(Blind));
            tail.check().await?;
            tail.catch_up().await?;
            tails.push(tail);
        }
        let world = World::simulated(seed, self.began, skew_ms);
        let run = world.ulid().to_bytes();
        let (_, plugins) = watch::channel(Arc::new(plugins(&world, seed)));
        let limits = Limits {
            sends_per_second: 100,
            send_burst: 50,
            ..Limits::default()
        };
        let gateway = Gateway::new(
            limits,
            rooms.clone(),
            journal.clone(),
            World::simulated(seed ^ 1, self.began, skew_ms),
            plugins.clone(),
            Arc::new(Unobserved),
            run,
        );
        let around = Surroundings {
            journal,
            store,
            world,
            plugins,
            directory: rooms.clone(),
            observer: Arc::new(pipeline::Unobserved),
            run,
        };
        let (delivering, watching) = {
            let mut inner = self.inner.lock().unwrap();
            let Some(running) = inner.run.as_mut() else {
                return Ok(());
            };
            running.serving = Some(Serving {
                gateway: gateway.clone(),
                rooms: rooms.clone(),
                around,
                owners: Arc::new(Mutex::new(vec![None; usize::from(partitions)])),
            });
            (running.delivering.clone(), running.watching.clone())
        };
        for tail in tails {
            gate.spawn(tail.run(delivering.clone()));
        }
        gate.spawn(async move { rooms.announce(watching).await });
        if self.plan.compete {
            for partition in (0..partitions).map(Partition) {
                self.own(partition, true);
            }
        }
        while let Err(reason) = gateway.announce_run(&format!("host-{}", self.index)).await {
            tracing::debug!(reason, "not announced yet");
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Begins to claim a partition, or ceases to.
    pub fn own(self: &Arc<Self>, partition: Partition, owns: bool) {
        let (Some(serving), Some(gate)) = (self.serving(), self.gate()) else {
            return;
        };
        let mut owners = serving.owners.lock().unwrap();
        let slot = &mut owners[usize::from(partition.0)];
        if !owns {
            if let Some(drain) = slot.take() {
                drain.cancel();
            }
            return;
        }
        if slot.is_some() {
            return;
        }
        let drain = CancellationToken::new();
        *slot = Some(drain.clone());
        let config = pipeline::Config {
            message_bytes: 4096,
            batch: self.plan.batch,
            rooms: 100,
            name_hold: Duration::from_secs(60),
            window: self.plan.window,
            read_back: self.plan.read_back,
            retain_age: self.plan.retain_age,
            retain_bytes: self.plan.retain_bytes,
            own_thread: false,
        };
        let folded = serving.rooms.folded(partition).unwrap();
        let owner = Owner::new(partition, serving.around.clone(), config, folded);
        gate.spawn(owner.run(drain));
    }

    /// Whether it claims this partition.
    pub fn owns(&self, partition: Partition) -> bool {
        let Some(serving) = self.serving() else {
            return false;
        };
        let owners = serving.owners.lock().unwrap();
        owners[usize::from(partition.0)].is_some()
    }

    fn gate(&self) -> Option<Arc<Gate>> {
        let inner = self.inner.lock().unwrap();
        Some(inner.run.as_ref()?.gate.clone())
    }

    /// Opens a session.
    pub fn connect(&self, buffer: usize) -> Option<Wire> {
        let (serving, gate) = (self.serving()?, self.gate()?);
        let (sends, inbound) = mpsc::channel(16);
        let (own, mut body) = outbound(Arc::new(Unobserved));
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        gate.spawn(async move {
            session::serve(serving.gateway, address, ReceiverStream::new(inbound), own).await;
        });
        let (network, gets) = mpsc::channel(buffer);
        gate.spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(bytes) = frame.into_data() else {
                    return;
                };
                if network.send(bytes).await.is_err() {
                    return;
                }
            }
        });
        Some((sends, gets))
    }

    pub fn pause(&self) {
        if let Some(gate) = self.gate() {
            gate.pause();
        }
    }

    pub fn resume(&self) {
        if let Some(gate) = self.gate() {
            gate.resume();
        }
    }

    /// Remembers the store as it is now.
    pub fn remember(&self) {
        let mut inner = self.inner.lock().unwrap();
        let copy = inner.store.copy();
        inner.older.push(copy);
        if inner.older.len() > 3 {
            inner.older.remove(0);
        }
    }

    /// It dies, and its store may lose its end, or all.
    pub fn crash(&self) {
        let mut inner = self.inner.lock().unwrap();
        let Some(run) = inner.run.take() else {
            return;
        };
        run.gate.kill();
        let back = inner.dice.index(6);
        let older = inner.older.len();
        inner.store = match back {
            0 => MemoryStore::default(),
            1 | 2 if older > 0 => {
                let index = inner.dice.index(older);
                inner.older[index].copy()
            }
            _ => inner.store.copy(),
        };
    }

    /// It dies, and its store has everything.
    pub fn crash_after_sync(&self) {
        let mut inner = self.inner.lock().unwrap();
        if let Some(run) = inner.run.take() {
            run.gate.kill();
            inner.store = inner.store.copy();
        }
    }

    /// It goes down in order: sessions, owners, tails.
    pub async fn drain(self: Arc<Self>) {
        let (Some(serving), Some(gate)) = (self.serving(), self.gate()) else {
            return;
        };
        serving.gateway.drain().await;
        sleep(Duration::from_millis(100)).await;
        for partition in (0..self.plan.partitions).map(Partition) {
            self.own(partition, false);
        }
        sleep(Duration::from_millis(500)).await;
        let mut inner = self.inner.lock().unwrap();
        // Unless it crashed meanwhile, and is up again.
        if inner
            .run
            .as_ref()
            .is_some_and(|run| Arc::ptr_eq(&run.gate, &gate))
        {
            let run = inner.run.take().unwrap();
            run.delivering.cancel();
            run.watching.cancel();
            run.gate.kill();
            inner.store = inner.store.copy();
        }
    }

    /// How far this host has folded.
    pub fn folded(&self, partition: Partition) -> Option<Offset> {
        let folded = self.serving()?.rooms.folded(partition)?;
        let next = folded.borrow().next_outcome;
        Some(Offset(next))
    }

    /// How far it knows the ingress log to be decided.
    pub fn decided(&self, partition: Partition) -> Option<Offset> {
        let folded = self.serving()?.rooms.folded(partition)?;
        let next = folded.borrow().next_ingress;
        Some(Offset(next))
    }
}

fn plugins(world: &World, seed: u64) -> PluginSet {
    let clock = {
        let world = world.clone();
        Arc::new(move || world.now_ms())
    };
    // In the order in which the host would call them.
    let plugin = |make, settings, n| -> Arc<dyn Plugin> {
        Arc::new(Native::new(make, settings, clock.clone(), seed ^ n))
    };
    PluginSet {
        version: 1,
        plugins: vec![
            plugin(basics::native, "{}", 2),
            plugin(markdown::native, "{}", 3),
            plugin(wordlist::native, WORDS, 4),
            plugin(crate::counter::native, "{}", 5),
        ],
    }
}
