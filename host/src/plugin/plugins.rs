//! All plugins of this host: opened once, kept current by a thread, closed at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use tracing::{info, warn};

use super::PluginSet;
use super::cache::Cache;
use super::compiler::Beside;
use super::config::Config;
use super::decisions::Decisions;
use super::engine::{Engine, EngineError};
use super::folder::Folder;
use super::good::Good;
use super::keeper::Keeper;
use super::load_error::LoadError;
use super::loader::Loader;
use super::office::Office;
use super::orders::{Order, Status};
use super::spares::Spares;
use super::stats::Stats;

/// After a notification the folder is left alone for so long: a file that is written notifies at each piece.
const CALM: Duration = Duration::from_millis(50);

/// What may wait for the thread: looks, of which one is enough, and orders.
const WAKES: usize = 16;

/// A file that was open for writing was closed.
const WRITTEN: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

/// The plugins can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system gives no thread.
    #[error("no thread for plugins: {0}")]
    Thread(#[from] std::io::Error),
    /// There is no such folder.
    #[error("the plugin folder {path} can't be opened: {error}; make it, or set another with `--plugins`", path = .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A plugin does not load, and there is no last good version of it; or a required one is not there.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Plugins are required, and no folder is set.
    #[error("the plugin `{0}` is required, and no plugin folder is set; set one with `--plugins`")]
    NoFolder(String),
}

/// The plugins of this host.
pub struct Plugins {
    set: watch::Receiver<Arc<PluginSet>>,
    stats: Arc<Stats>,
    // Ends the threads when it is dropped.
    following: Option<Following>,
}

/// Gives the operator's orders to the plugins of this host. Cheap to clone.
#[derive(Clone)]
pub struct Orders(Option<(SyncSender<Wake>, Arc<Office>)>);

impl Orders {
    /// Carries out what the operator asks. A file that is being compiled is given up for it, and compiled again after; to
    /// look at the plugins waits for nothing.
    ///
    /// # Errors
    /// Why it was not done, for the operator.
    pub fn give(&self, order: Order) -> Result<Vec<Status>, String> {
        let (wake, office) = self
            .0
            .as_ref()
            .ok_or("no plugin folder is set; set one with `--plugins`")?;
        if order == Order::List
            && let Some(seen) = office.seen_while_loading()
        {
            return Ok(seen);
        }
        if order != Order::List {
            office.comes();
        }
        let (answer, answered) = sync_channel(1);
        let ended = |_| "the server is going down".to_owned();
        wake.send(Wake::Order(order, answer))
            .map_err(|_| ended(()))?;
        answered.recv().map_err(|_| ended(()))?
    }
}

/// The thread that follows the folder, and the one that makes spares.
struct Following {
    wake: SyncSender<Wake>,
    office: Arc<Office>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    // Dropped, and so ended, after the thread.
    _spares: Spares,
}

enum Wake {
    Look,
    Order(Order, SyncSender<Result<Vec<Status>, String>>),
    End,
}

impl Plugins {
    /// Loads every plugin in the folder, and follows the folder from then on. Blocks while it compiles.
    ///
    /// # Errors
    /// See [`OpenError`]; the text is for the operator.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let (sender, set) = watch::channel(Arc::default());
        let stats = Arc::new(Stats::default());
        let Some(path) = config.folder.clone() else {
            if let Some(name) = config.require.first() {
                return Err(OpenError::NoFolder(name.clone()));
            }
            info!("no plugin is loaded: no plugin folder is set");
            return Ok(Self {
                set,
                stats,
                following: None,
            });
        };
        let folder =
            Folder::open(path.clone()).map_err(|error| OpenError::Folder { path, error })?;
        let spares = Spares::start()?;
        let kept = |name| config.kept.as_ref().map(|kept| kept.join(name));
        let good = Good::open(kept("good"));
        let decisions = Decisions::open(kept("decisions.json"));
        let loader = Loader {
            engine: Engine::new(config.memory_bytes())?,
            cache: Cache::open(kept("code")),
            refills: spares.refills(),
            stats: stats.clone(),
            config,
            beside: Beside::Nobody,
        };
        // Before the first scan, so that no change falls between them.
        let (wake, woken) = sync_channel(WAKES);
        let watcher = notice(&folder, wake.clone());
        let ending = Arc::new(AtomicBool::new(false));
        let office = Arc::new(Office::default());
        let (told, ends) = (office.clone(), ending.clone());
        let mut keeper = Keeper::new(loader, folder, good, decisions, sender, told, ends);
        keeper.start()?;
        let thread = std::thread::Builder::new()
            .name("plugin-watch".into())
            .spawn(move || {
                follow(&mut keeper, &woken);
                drop(watcher);
            })?;
        Ok(Self {
            set,
            stats,
            following: Some(Following {
                wake,
                office,
                ending,
                thread: Some(thread),
                _spares: spares,
            }),
        })
    }

    /// The plugins in force, now and at each change.
    #[must_use]
    pub fn set(&self) -> watch::Receiver<Arc<PluginSet>> {
        self.set.clone()
    }

    /// What plugins did so far.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// A way to give orders.
    #[must_use]
    pub fn orders(&self) -> Orders {
        Orders(
            self.following
                .as_ref()
                .map(|following| (following.wake.clone(), following.office.clone())),
        )
    }

    /// Stops following the folder and joins the threads; a version that is being compiled is given up. Instances that
    /// are in use stay usable. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = self.wake.send(Wake::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks the system to say when the folder changes. Where it can't, the rescan alone finds changes.
fn notice(folder: &Folder, wake: SyncSender<Wake>) -> Option<RecommendedWatcher> {
    let look = move |event: notify::Result<notify::Event>| {
        // Looking opens files, which is an event too.
        if event.is_ok_and(|event| event.kind.is_access() && event.kind != WRITTEN) {
            return;
        }
        match wake.try_send(Wake::Look) {
            // Full: a look is due already.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    };
    let watcher = notify::recommended_watcher(look).and_then(|mut watcher| {
        watcher.watch(folder.path(), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| warn!(%error, "changes of the plugin folder are found by reading it every few seconds"))
        .ok()
}

fn follow(keeper: &mut Keeper, woken: &Receiver<Wake>) {
    let mut due = Instant::now();
    loop {
        match woken.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Wake::Look) => due = due.min(Instant::now() + CALM),
            Err(RecvTimeoutError::Timeout) => due = Instant::now() + keeper.look(),
            Ok(Wake::Order(order, answer)) => {
                // Who asked may have left.
                let _ = answer.send(keeper.carry_out(&order));
            }
            Ok(Wake::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
