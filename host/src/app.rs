//! The app: the rooms of the house, built and run in the order of a message's way, and ended in the same order.

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::Config;
use crate::control::Control;
use crate::gateway::listener::{Bounds, Listener};
use crate::gateway::{Gateway, Service};
use crate::journal::Journal;
use crate::journal::embedded::EmbeddedJournal;
use crate::journal::memory::MemoryJournal;
use crate::pipeline::{self, Owner, Surroundings};
use crate::plugin::{self, Plugins};
use crate::rooms::{Rooms, Tail};
use crate::state::disk::DiskStore;
use crate::state::ids::Partition;
use crate::state::memory::MemoryStore;
use crate::state::store::Store;
use crate::telemetry::diary::Diary;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::health::{Health, Readiness};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::observer::{Observed, sample};
use crate::world::World;

/// Outcomes that a partition may decide ahead of what has been read back.
const WINDOW: usize = 4096;
/// How long an outcome may take to be read back before an attempt is given up.
const READ_BACK: Duration = Duration::from_secs(30);
/// How often the store is synced, so that a start has little to fold again.
const SYNC: Duration = Duration::from_secs(60);
/// The part of the drain's time that clients have to go.
const PARTING: f32 = 0.75;
/// Addresses that the log names when their clients do not go.
const NAMED: usize = 5;
/// Whose health is reported: the server's as a whole, and the service's.
const SERVICES: [&str; 2] = ["", "chat.v1.Chat"];
/// What is left for cutting off after the drain's time is over.
const CUT: Duration = Duration::from_secs(2);

/// A server that is ready to run.
pub struct App {
    config: Config,
    listener: Listener,
    exporter: Option<Exporter>,
    health: Health,
    metrics: Metrics,
    journal: Arc<dyn Journal>,
    disk: Option<Arc<DiskStore>>,
    control: Option<Control>,
    rooms: Arc<Rooms>,
    plugins: Plugins,
    gateway: Arc<Gateway>,
    around: Surroundings,
    tails: Vec<Tail>,
}

impl App {
    /// Opens what the server stands on: what is wrong is said here, before anybody is served.
    ///
    /// # Errors
    /// A port in use, a folder that can't be used, data that is not ours, a plugin that must be there and is not.
    pub async fn build(config: Config, diary: Diary) -> anyhow::Result<Self> {
        let listener = Listener::bind(config.listen).map_err(|reason| anyhow!(reason))?;
        let health = Health::default();
        let metrics = Metrics::new();
        let exporter = match config.metrics {
            Some(address) => {
                let bound = Exporter::bind(address, metrics.clone(), health.clone()).await;
                Some(bound?)
            }
            None => None,
        };
        let Data {
            journal,
            store,
            disk,
            control,
        } = open_data(&config, diary)?;
        let partitions = journal.partitions();
        let rooms = Arc::new(Rooms::open(store.clone(), partitions)?);
        let observed = Arc::new(Observed::new(metrics.clone(), partitions));

        let mut tails = Vec::new();
        for partition in (0..partitions).map(Partition) {
            let tail = Tail::new(partition, journal.clone(), rooms.clone(), observed.clone());
            tail.check().await.map_err(|reason| anyhow!(reason))?;
            tail.catch_up().await.map_err(|reason| anyhow!(reason))?;
            tails.push(tail);
        }

        let settings = plugin::Config::of(&config)
            .context("this program's own file can't be found, and plugins are compiled by it")?;
        let plugins = tokio::task::spawn_blocking(move || Plugins::open(settings)).await??;
        let world = World::system();
        let run = world.ulid().to_bytes();
        let gateway = Gateway::new(
            config.limits.clone(),
            rooms.clone(),
            journal.clone(),
            world.clone(),
            plugins.set(),
            observed.clone(),
            run,
        );
        let around = Surroundings {
            journal: journal.clone(),
            store,
            world,
            plugins: plugins.set(),
            directory: rooms.clone(),
            observer: observed,
            run,
        };
        Ok(Self {
            config,
            listener,
            exporter,
            health,
            metrics,
            journal,
            disk,
            control,
            rooms,
            plugins,
            gateway,
            around,
            tails,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `drain`; returns when everything has ended.
    ///
    /// # Errors
    /// Where the log can't be claimed at the start.
    pub async fn run(self, drain: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self {
            config,
            listener,
            exporter,
            health,
            metrics,
            journal,
            disk,
            control,
            rooms,
            plugins,
            gateway,
            around,
            tails,
        } = self;
        // Ended one after the other, in the order of a message's way.
        let [accepting, deciding, delivering, watching] =
            [(); 4].map(|()| CancellationToken::new());
        let cut = CancellationToken::new();
        let (owners, readers, others) =
            (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());

        for tail in tails {
            readers.spawn(tail.run(delivering.clone()));
        }
        for partition in (0..rooms.partitions()).map(Partition) {
            let folded = rooms
                .folded(partition)
                .ok_or_else(|| anyhow!("there is no partition {partition}"))?;
            let owner = Owner::new(partition, around.clone(), decisions(&config), folded);
            owners.spawn(owner.run(deciding.clone()));
        }
        others.spawn({
            let (rooms, watching) = (rooms.clone(), watching.clone());
            async move { rooms.announce(watching).await }
        });
        others.spawn(sample(
            metrics,
            journal.clone(),
            rooms.clone(),
            plugins.stats(),
            watching.clone(),
        ));
        if let Some(disk) = disk.clone() {
            others.spawn(keep_synced(disk, watching.clone()));
        }
        if let Some(control) = control {
            let (orders, gateway) = (plugins.orders(), gateway.clone());
            others.spawn(control.run(orders, gateway, watching.clone()));
        }
        if let Some(exporter) = exporter {
            others.spawn(exporter.run(watching.clone()));
        }
        gateway
            .announce_run(&host_name())
            .await
            .map_err(|reason| anyhow!("the log takes nothing: {reason}"))?;

        let reporter = tonic_health::server::HealthReporter::new();
        let answering = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
        let mut watched = reporter.clone();
        let health_service = tonic_health::pb::health_server::HealthServer::new(answering);
        others.spawn(report(
            reporter,
            gateway.clone(),
            health.clone(),
            watching.clone(),
        ));
        let service = Service::new(gateway.clone(), health_service)?;
        let connections = TaskTracker::new();
        let mut serving = tokio::spawn(listener.run(
            service,
            connections.clone(),
            Bounds {
                connections: config.limits.connections,
                handshake: Duration::from_secs(config.limits.handshake_seconds),
            },
            gateway.observer().clone(),
            accepting.clone(),
            cut.clone(),
        ));
        health.set(Readiness::Ready);
        info!(
            data = %if config.memory { "in memory".into() } else { config.data.display().to_string() },
            partitions = rooms.partitions(),
            "serving"
        );

        drain.await;

        health.set(Readiness::Draining);
        accepting.cancel();
        let deadline = Instant::now() + config.drain;
        let parting = async {
            gateway.drain().await;
            // Ends the streams of those who watch it, after they have heard why.
            for service in SERVICES {
                let status = tonic_health::ServingStatus::NotServing;
                watched.set_service_status(service, status).await;
                watched.clear_service_status(service).await;
            }
            (&mut serving).await.ok();
        };
        // A client that does not go keeps its part of the time, and none of what deciding and delivering need.
        let part = Instant::now() + config.drain.mul_f32(PARTING);
        if timeout_at(part, parting).await.is_err() {
            warn!(
                sessions = gateway.open_sessions(),
                connections = connections.len(),
                from = gateway.open_addresses(NAMED),
                "clients did not go in time; they are cut off"
            );
            cut.cancel();
            timeout_at(deadline, serving).await.ok();
        }
        let ending = async {
            deciding.cancel();
            owners.close();
            owners.wait().await;
            delivering.cancel();
            readers.close();
            readers.wait().await;
        };
        if timeout_at(deadline, ending).await.is_err() {
            warn!(
                partitions = owners.len(),
                tails = readers.len(),
                after = ?config.drain,
                "the drain took too long; what is still open is cut off"
            );
            for token in [&deciding, &delivering] {
                token.cancel();
            }
            let cutting = async {
                owners.wait().await;
                readers.wait().await;
            };
            // Whoever is left then is ended with the process.
            timeout(CUT, cutting).await.ok();
        }
        watching.cancel();
        others.close();
        timeout(CUT, others.wait()).await.ok();
        journal.close().await;
        if let Some(disk) = disk {
            tokio::task::spawn_blocking(move || disk.close()).await.ok();
        }
        // A version may be compiling: the process ends without it.
        let closing = tokio::task::spawn_blocking(move || plugins.close());
        timeout(CUT, closing).await.ok();
        Ok(())
    }
}

/// What a server keeps.
struct Data {
    journal: Arc<dyn Journal>,
    store: Arc<dyn Store>,
    disk: Option<Arc<DiskStore>>,
    control: Option<Control>,
}

fn open_data(config: &Config, diary: Diary) -> anyhow::Result<Data> {
    let partitions = u16::try_from(config.partitions).unwrap_or(1);
    if config.memory {
        return Ok(Data {
            journal: Arc::new(MemoryJournal::new(partitions)),
            store: Arc::new(MemoryStore::default()),
            disk: None,
            control: None,
        });
    }
    private_folder(&config.data)?;
    let journal = Arc::new(EmbeddedJournal::open(
        &config.data.join("journal"),
        partitions,
    )?);
    let path = config.data.join("store");
    let disk = DiskStore::open(&path).or_else(|error| {
        // The logs make it again.
        warn!(%error, "the store can't be opened; making it again");
        std::fs::remove_dir_all(&path)
            .with_context(|| format!("{} can't be removed", path.display()))?;
        DiskStore::open(&path).map_err(anyhow::Error::from)
    })?;
    let disk = Arc::new(disk);
    let control = Control::bind(&config.data, journal.clone(), diary).with_context(|| {
        format!(
            "the control socket in {} can't be made",
            config.data.display()
        )
    })?;
    Ok(Data {
        journal,
        store: disk.clone(),
        disk: Some(disk),
        control: Some(control),
    })
}

/// The data holds what people said, and what proves their names: for the owner's eyes only.
fn private_folder(path: &Path) -> anyhow::Result<()> {
    let unusable = || {
        format!(
            "the data folder {} can't be used; choose another with --data",
            path.display()
        )
    };
    if !path.exists() {
        std::fs::create_dir_all(path).with_context(unusable)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .with_context(unusable)?;
    }
    Ok(())
}

fn decisions(config: &Config) -> pipeline::Config {
    pipeline::Config {
        message_bytes: config.limits.message_bytes,
        batch: usize::try_from(config.plugin.batch).unwrap_or(64),
        rooms: config.limits.rooms,
        name_hold: Duration::from_secs(config.limits.name_hold_seconds),
        window: WINDOW,
        read_back: READ_BACK,
        retain_age: config.retain.age,
        retain_bytes: config.retain.bytes,
        own_thread: true,
    }
}

async fn keep_synced(disk: Arc<DiskStore>, drain: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => return,
            () = tokio::time::sleep(SYNC) => {}
        }
        let disk = disk.clone();
        tokio::task::spawn_blocking(move || disk.sync()).await.ok();
    }
}

/// Tells gRPC's health service what the app and the journal say.
async fn report(
    reporter: tonic_health::server::HealthReporter,
    gateway: Arc<Gateway>,
    health: Health,
    drain: CancellationToken,
) {
    use tonic_health::ServingStatus;
    let mut changes = health.watch();
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    let mut told = None;
    loop {
        let able = gateway.is_ready();
        health.change(|now| match now {
            Readiness::Ready | Readiness::Unable if able => Readiness::Ready,
            Readiness::Ready | Readiness::Unable => Readiness::Unable,
            Readiness::Starting | Readiness::Draining => now,
        });
        let status = match health.get() {
            Readiness::Ready => ServingStatus::Serving,
            _ => ServingStatus::NotServing,
        };
        // Watchers hear each word that is said here, also the same again.
        if told.replace(status) != Some(status) {
            for service in SERVICES {
                reporter.set_service_status(service, status).await;
            }
        }
        tokio::select! {
            biased;
            () = drain.cancelled() => return,
            _ = changes.changed() => {}
            _ = ticks.tick() => {}
        }
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
