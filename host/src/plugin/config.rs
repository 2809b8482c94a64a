//! What the operator sets, as far as it concerns plugins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::compiler::Compiler;
use super::outbound::Resolver;
use crate::config::{PluginConfig, PluginDefaults};

/// How plugins are found and run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where `NAME.wasm` files are dropped in; none: no plugins.
    pub folder: Option<PathBuf>,
    /// Where compiled code and the last good versions are kept; none: nowhere.
    pub kept: Option<PathBuf>,
    /// How plugins are run, unless their own table says otherwise.
    pub defaults: PluginDefaults,
    /// Tables of single plugins, by name.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Plugins that must be there.
    pub require: Vec<String>,
    /// The largest message text.
    pub message_bytes: usize,
    /// Who compiles.
    pub compiler: Compiler,
    /// How names of services become addresses.
    pub resolver: Resolver,
}

impl Config {
    /// The part of the host's settings that concerns plugins. In memory mode nothing is kept.
    ///
    /// # Errors
    /// Where the system does not say which program this is.
    pub fn of(config: &crate::config::Config) -> std::io::Result<Self> {
        Ok(Self {
            folder: config.plugins.clone(),
            kept: (!config.memory).then(|| config.data.join("plugins")),
            defaults: config.plugin.clone(),
            plugins: config.plugin_settings.clone(),
            require: config.require.clone(),
            message_bytes: config.limits.message_bytes,
            compiler: Compiler::child()?,
            resolver: Resolver::default(),
        })
    }

    /// The most memory that any instance may have.
    pub(super) fn memory_bytes(&self) -> usize {
        let own = self
            .plugins
            .values()
            .filter_map(|plugin| plugin.memory_bytes);
        own.chain([self.defaults.memory_bytes])
            .max()
            .unwrap_or_default()
    }
}
