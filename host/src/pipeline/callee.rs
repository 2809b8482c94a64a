//! One version of a plugin, as one partition calls it: its warm instance, its part of the time, its failures.
//!
//! Knows one call; does not know batches or what an answer means.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::judged::Silent;
use super::scope::{At, Scope};
use crate::plugin::{Fault, Instance, Meter, Plugin, Policy};
use crate::proto::log::v1::Failure;

/// See the module.
pub struct Callee {
    pub plugin: Arc<dyn Plugin>,
    instance: Option<Box<dyn Instance>>,
    meter: Meter,
}

impl Callee {
    /// Without an instance until it is needed.
    pub fn new(plugin: Arc<dyn Plugin>) -> Self {
        Self {
            plugin,
            instance: None,
            meter: Meter::default(),
        }
    }

    /// One call on the warm instance, or on a fresh one where there is none. A fault costs the instance. What a version
    /// in the shadow writes is forgotten.
    pub fn call<A>(
        &mut self,
        scope: &Arc<Scope>,
        at: Vec<At>,
        call: impl FnOnce(&mut dyn Instance) -> Result<A, Fault>,
    ) -> Result<A, Fault> {
        let began = Instant::now();
        let warm = match self.instance.take() {
            Some(instance) => Ok(instance),
            None => self.plugin.instance(scope.clone()),
        };
        let answer = warm.and_then(|mut instance| {
            scope.begin(at);
            let answer = call(instance.as_mut());
            if answer.is_ok() && self.plugin.shadow().is_none() {
                scope.keep();
            } else {
                scope.drop_call();
            }
            if answer.is_ok() {
                self.instance = Some(instance);
            }
            answer
        });
        if let Some(standing) = self.plugin.standing() {
            standing.called(&mut self.meter, began);
        }
        answer
    }

    /// How long it is not to be called yet.
    pub fn quarantined(&self) -> Option<Duration> {
        self.plugin.standing()?.quarantined()
    }

    /// What its failure means.
    pub fn policy(&self, judging: bool) -> Policy {
        self.plugin.policy(judging)
    }

    /// Counts a fault against it, and says it.
    pub fn failure(&self, role: &'static str, fault: &Fault) -> Silent {
        let manifest = self.plugin.manifest();
        let (plugin, version) = (&manifest.name, &manifest.version);
        let shadow = self.plugin.shadow().is_some();
        warn!(%plugin, %version, role, shadow, blame = %fault.blame, detail = %fault.detail, "plugin failed");
        debug!(%plugin, last_words = %fault.last_words, "plugin failed");
        if let Some(standing) = self.plugin.standing() {
            standing.failed(fault.blame);
        }
        let judging = matches!(role, "moderation" | "review");
        Silent::Failed(Box::new(Failure {
            plugin: plugin.clone(),
            version: version.clone(),
            role: role.into(),
            kind: fault.blame.word().into(),
            detail: fault.whole(),
            policy: match self.policy(judging) {
                Policy::Allow => "allow",
                Policy::Withhold => "withhold",
            }
            .into(),
        }))
    }
}
