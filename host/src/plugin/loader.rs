//! From bytes to a version that may serve: compiled, linked, described, started and tried.
//!
//! Does not know where the bytes come from, nor what is in force.

use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use super::cache::{Cache, Compiled};
use super::compiler::Beside;
use super::component::{self, Linked};
use super::config::Config;
use super::engine::Engine;
use super::limits::Limits;
use super::load_error::{LoadError, Reason};
use super::outbound::Outbound;
use super::spares::Refills;
use super::standing::Rule;
use super::stats::Stats;
use super::version::{Given, Recipe, Version};
use super::{Comparison, PluginStats, Reach, manifest, probe, secrets};
use crate::config::PluginConfig;

/// Loads plugins, one at a time.
pub(super) struct Loader {
    pub(super) engine: Engine,
    pub(super) cache: Cache,
    pub(super) config: Config,
    pub(super) refills: Refills,
    pub(super) stats: Arc<Stats>,
    /// Beside whom it loads.
    pub(super) beside: Beside,
}

impl Loader {
    /// Stops where `stop` says that nobody wants the version any more.
    ///
    /// # Errors
    /// Why these bytes may not serve as the plugin `name`.
    pub(super) fn load(
        &self,
        name: &str,
        bytes: &[u8],
        own: &PluginConfig,
        stop: &dyn Fn() -> bool,
    ) -> Result<Version, LoadError> {
        self.try_load(name, bytes, own, stop)
            .map_err(|reason| LoadError {
                name: name.into(),
                reason,
            })
    }

    /// # Errors
    /// Why these bytes are no code.
    pub(super) fn component(
        &self,
        bytes: &[u8],
        stop: &dyn Fn() -> bool,
    ) -> Result<Compiled, Reason> {
        self.cache.component(
            &self.engine,
            &self.config.compiler,
            self.config.memory_bytes(),
            self.beside,
            bytes,
            stop,
        )
    }

    /// Where it may ask services outside; none where it imports nothing to ask with.
    ///
    /// # Errors
    /// [`Reason::Ungranted`].
    pub(super) fn outbound(
        &self,
        name: &str,
        component: &wasmtime::component::Component,
        own: &PluginConfig,
    ) -> Result<Option<Arc<Outbound>>, Reason> {
        let Some(import) = component::http_import(&self.engine, component) else {
            return Ok(None);
        };
        let Some(grants) = own.http.clone() else {
            return Err(Reason::Ungranted {
                plugin: name.into(),
                import,
            });
        };
        let resolver = self.config.resolver.clone();
        let outbound = Outbound::new(name.into(), grants, resolver, self.stats.of(name));
        Ok(Some(Arc::new(outbound)))
    }

    fn try_load(
        &self,
        name: &str,
        bytes: &[u8],
        own: &PluginConfig,
        stop: &dyn Fn() -> bool,
    ) -> Result<Version, Reason> {
        if !manifest::is_name(name) {
            return Err(Reason::Name);
        }
        let started = Instant::now();
        let compiled = self.component(bytes, stop)?;
        self.stats.compiled.add(u64::from(compiled.fresh));
        let outbound = self.outbound(name, &compiled.component, own)?;
        let linked = Linked::new(&self.engine, &compiled.component, outbound.is_some())?;
        debug!(
            plugin = name,
            cached = !compiled.fresh,
            took_ms = started.elapsed().as_millis(),
            "plugin compiled"
        );

        if let Some(asked) = own.memory_bytes
            && asked > self.config.memory_bytes()
        {
            return Err(Reason::Settings(format!(
                "`memory-bytes` is {asked}, and this host was started with room for {} an instance; write it under [plugins.{name}] in the configuration file, and start anew",
                self.config.memory_bytes()
            )));
        }
        let recipe = Recipe {
            limits: Limits::new(&self.config.defaults, own, self.config.message_bytes),
            engine: self.engine.clone(),
            linked,
            outbound,
            name: name.into(),
            settings: secrets::resolved(&own.settings).map_err(Reason::Settings)?,
        };
        let mut guest = recipe.bare()?;
        let said = guest.describe()?;
        let layout = guest.layout()?;
        let mut manifest = manifest::check(name, recipe.linked.roles, said)?;
        recipe
            .start(&mut guest)?
            .map_err(|told| Reason::Start(super::fault::one_line(&told, 512)))?;
        probe::probe(guest, &manifest)?;
        manifest.batch = recipe.batch(manifest.batch);
        manifest.priority = own.priority.unwrap_or(manifest.priority);
        let given = Given {
            on_failure: own.on_failure,
            reach: Reach::parse(&own.rooms).map_err(Reason::Settings)?,
            shadow: own.shadow.then(|| Arc::new(Comparison::default())),
        };
        // What it costs in the shadow is told apart.
        let stats = match own.shadow {
            true => Arc::new(PluginStats::default()),
            false => self.stats.of(name),
        };
        Ok(Version::new(
            manifest,
            layout,
            given,
            Rule::of(&self.config.defaults, own),
            recipe,
            stats,
            self.refills.clone(),
        ))
    }
}
