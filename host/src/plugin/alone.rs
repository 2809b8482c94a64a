//! A plugin alone: one file, loaded as a host loads it, with a room that only it knows. For the author's tools.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cache::Cache;
use super::compiler::{Beside, Compiler};
use super::component::Linked;
use super::config::Config;
use super::engine::Engine;
use super::folder::FILE_BYTES;
use super::guest::Guest;
use super::limits::Limits;
use super::loader::Loader;
use super::outbound::{Outbound, Resolver};
use super::outside::{Held, Outside, capability};
use super::spares::Spares;
use super::stats::Stats;
use super::version::Version;
use super::{Calls, CauseId, Fault, Instance, LoadError, Manifest, Plugin, Reason, secrets};
use crate::config::grant::Grant;
use crate::config::{PluginConfig, PluginDefaults};

/// A file that a host would serve.
pub struct Alone {
    engine: Engine,
    linked: Linked,
    limits: Limits,
    outbound: Option<Arc<Outbound>>,
    version: Version,
    facts: Facts,
    // Ends its thread when it is dropped.
    _spares: Spares,
}

/// What is known of it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The version of the interface it was built for: `1.0`.
    pub interface: String,
    /// The layout it migrates to what it remembers; 0 where it does not.
    pub layout: u32,
    /// What it could do, by what it imports: words such as `state` or `clocks`; each once.
    pub capabilities: Vec<&'static str>,
    /// Whether it can ask services outside, and so needs a grant.
    pub asks: bool,
    /// The hosts that it may reach.
    pub granted: Vec<String>,
    /// Size of the file.
    pub file_bytes: u64,
    /// From bytes to code.
    pub compiling: Duration,
    /// From code to an instance that has started.
    pub starting: Duration,
    /// Linear memory of an instance that has started.
    pub memory_bytes: usize,
    /// Linear memory that it may have.
    pub memory_limit: usize,
    /// For one message: of computing, and on the clock.
    pub deadline: Duration,
}

/// The tools could not load a file.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    File(String, std::io::Error),
    /// A host would refuse it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No engine, no thread, no folder.
    #[error("no plugin can be tried here: {0}")]
    Here(String),
}

impl Alone {
    /// Loads `NAME.wasm` under this table of settings, by all the rules that a host has.
    ///
    /// # Errors
    /// See [`AloneError`].
    pub fn load(path: &Path, own: PluginConfig) -> Result<Self, AloneError> {
        let unread = |error| AloneError::File(path.display().to_string(), error);
        let file_bytes = std::fs::metadata(path).map_err(unread)?.len();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let of = |reason| LoadError {
            name: name.to_string(),
            reason,
        };
        if file_bytes > FILE_BYTES {
            return Err(of(Reason::TooLarge(file_bytes)).into());
        }
        let bytes = std::fs::read(path).map_err(unread)?;

        let here = |error: std::io::Error| AloneError::Here(error.to_string());
        // The code is compiled once, and read back for the second look.
        let folder = tempfile::tempdir().map_err(here)?;
        let spares = Spares::start().map_err(here)?;
        let config = Config {
            folder: None,
            kept: None,
            defaults: PluginDefaults::default(),
            // For the room that an instance has.
            plugins: BTreeMap::from([(name.to_string(), own.clone())]),
            require: Vec::new(),
            message_bytes: crate::config::Limits::default().message_bytes,
            compiler: Compiler::Here,
            resolver: Resolver::default(),
        };
        let limits = Limits::new(&config.defaults, &own, config.message_bytes);
        let engine = Engine::new(config.memory_bytes())
            .map_err(|error| AloneError::Here(error.to_string()))?;
        let loader = Loader {
            engine: engine.clone(),
            cache: Cache::open(Some(folder.path().join("code"))),
            refills: spares.refills(),
            stats: Arc::new(Stats::default()),
            config,
            beside: Beside::Nobody,
        };
        let began = Instant::now();
        let component = loader.component(&bytes, &|| false).map_err(of)?.component;
        let compiling = began.elapsed();
        let capabilities = capabilities(&engine, &component);
        let version = loader.load(&name, &bytes, &own, &|| false)?;

        let outbound = loader.outbound(&name, &component, &own).map_err(of)?;
        let linked = Linked::new(&engine, &component, outbound.is_some()).map_err(of)?;
        let settings =
            secrets::resolved(&own.settings).map_err(|words| of(Reason::Settings(words)))?;
        let began = Instant::now();
        let fault = |fault: Fault| of(fault.into());
        let outside = Outside::new(name.as_ref().into(), limits.memory_bytes, outbound.clone());
        let mut guest = Guest::new(&engine, &linked, limits, outside).map_err(fault)?;
        guest
            .start(&settings.json)
            .map_err(fault)?
            .map_err(|told| of(Reason::Start(told)))?;
        let facts = Facts {
            manifest: version.manifest().clone(),
            interface: linked.interface.clone(),
            layout: version.layout(),
            capabilities,
            asks: outbound.is_some(),
            granted: own.http.iter().flatten().map(Grant::to_string).collect(),
            file_bytes,
            compiling,
            starting: began.elapsed(),
            memory_bytes: guest.memory_held(),
            memory_limit: limits.memory_bytes,
            deadline: limits.running,
        };
        Ok(Self {
            engine,
            linked,
            limits,
            outbound,
            version,
            facts,
            _spares: spares,
        })
    }

    /// What is known of it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// An instance that has not started, with the caller's dice and clock.
    ///
    /// # Errors
    /// A fault of its initialization.
    pub fn unstarted(&self, world: &Held) -> Result<Unstarted, Fault> {
        let name = self.facts.manifest.name.as_str().into();
        let (memory, outbound) = (self.limits.memory_bytes, self.outbound.clone());
        let outside = Outside::held(name, memory, outbound, world);
        Guest::new(&self.engine, &self.linked, self.limits, outside).map(Unstarted)
    }

    /// A started instance in this room.
    ///
    /// # Errors
    /// A fault of the start.
    pub fn instance(&self, room: &Arc<Room>) -> Result<Box<dyn Instance>, Fault> {
        self.version.instance(room.clone())
    }
}

/// An instance that has not started.
pub struct Unstarted(Guest);

impl Unstarted {
    /// Starts it with settings as a JSON object. The inner error is the plugin's own text.
    ///
    /// # Errors
    /// A fault of the start.
    pub fn start(
        mut self,
        settings: &str,
        calls: Arc<dyn Calls>,
    ) -> Result<Result<Box<dyn Instance>, String>, Fault> {
        Ok(self.0.start(settings)?.map(|()| {
            self.0.serve(calls);
            Box::new(self.0) as Box<dyn Instance>
        }))
    }
}

fn capabilities(engine: &Engine, component: &wasmtime::component::Component) -> Vec<&'static str> {
    let ty = component.component_type();
    let mut found: Vec<&'static str> = ty
        .imports(engine.wasmtime())
        .filter_map(|(name, _)| capability(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A room in memory, for one plugin: whoever is numbered 1 is the sender.
pub struct Room {
    name: String,
    sender: String,
    commands: Vec<(String, String, String)>,
    state: Mutex<BTreeMap<String, Vec<u8>>>,
    cause: Option<CauseId>,
}

impl Room {
    /// An empty one.
    #[must_use]
    pub fn new(name: &str, sender: &str, manifest: &Manifest) -> Self {
        let commands = manifest.commands.iter();
        Self {
            name: name.into(),
            sender: sender.into(),
            commands: commands
                .map(|c| (c.name.clone(), c.usage.clone(), c.summary.clone()))
                .collect(),
            state: Mutex::default(),
            cause: None,
        }
    }

    /// With a message in it for which services are asked, where the plugin may.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.cause = Some(CauseId(rand::random()));
        self
    }

    /// What the plugin has put there.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().clone()
    }
}

impl Calls for Room {
    fn state_get(&self, _: &str, _: u32, key: &str) -> Option<Vec<u8>> {
        self.state.lock().get(key).cloned()
    }

    fn state_put(
        &self,
        _: &str,
        _: u32,
        key: &str,
        value: Option<Vec<u8>>,
        _: Option<Duration>,
    ) -> Result<(), String> {
        let mut state = self.state.lock();
        match value {
            Some(value) => state.insert(key.into(), value),
            None => state.remove(key),
        };
        Ok(())
    }

    fn state_add(
        &self,
        _: &str,
        _: u32,
        key: &str,
        by: i64,
        _: Option<Duration>,
    ) -> Result<i64, String> {
        let mut state = self.state.lock();
        let before = match state.get(key) {
            None => 0,
            Some(bytes) => <[u8; 8]>::try_from(bytes.as_slice())
                .map(i64::from_le_bytes)
                .map_err(|_| "the entry is not a counter".to_owned())?,
        };
        let sum = before.checked_add(by).ok_or("the sum does not fit")?;
        state.insert(key.into(), sum.to_le_bytes().to_vec());
        Ok(sum)
    }

    fn cause(&self, _: u32) -> Option<CauseId> {
        self.cause
    }

    fn person_name(&self, person: u64) -> String {
        if person == 1 {
            return self.sender.clone();
        }
        String::new()
    }

    fn room_name(&self, room: u64) -> String {
        if room == 1 {
            return self.name.clone();
        }
        String::new()
    }

    fn members(&self, _: u64, limit: u32) -> Vec<u64> {
        if limit == 0 { Vec::new() } else { vec![1] }
    }

    fn commands(&self) -> Vec<(String, String, String)> {
        self.commands.clone()
    }
}
