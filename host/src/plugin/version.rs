//! One version of a plugin that may serve: its instances, and a spare one that waits to be taken.

use std::sync::Arc;

use parking_lot::Mutex;

use super::component::Linked;
use super::engine::Engine;
use super::guest::Guest;
use super::limits::Limits;
use super::measured::Measured;
use super::outbound::Outbound;
use super::outside::Outside;
use super::secrets::Resolved;
use super::spares::Refills;
use super::standing::{Rule, Standing};
use super::stats::PluginStats;
use super::{Blame, Calls, Comparison, Fault, Instance, Manifest, Plugin, Policy, Reach};

/// How many instances wait.
const SPARES: usize = 1;

/// What instances are made of.
pub(super) struct Recipe {
    pub(super) engine: Engine,
    pub(super) linked: Linked,
    pub(super) limits: Limits,
    pub(super) name: Arc<str>,
    /// Where it may ask services outside.
    pub(super) outbound: Option<Arc<Outbound>>,
    pub(super) settings: Resolved,
}

impl Recipe {
    /// Gives an instance its settings. The inner error is the plugin's own text; no secret is in it.
    ///
    /// # Errors
    /// A fault.
    pub(super) fn start(&self, guest: &mut Guest) -> Result<Result<(), String>, Fault> {
        let settings = &self.settings;
        let answer = guest.start(&settings.json);
        let answer = answer.map_err(|fault| settings.masked_fault(fault))?;
        Ok(answer.map_err(|told| settings.masked(&told)))
    }

    /// How many messages a call is about, where the plugin wants so many. One that asks services is asked about one at
    /// a time: what it asks is then about that one, so it has the same key however messages are cut; and a service that
    /// is slow at one does not use up the time of others.
    pub(super) fn batch(&self, wanted: u32) -> u32 {
        if self.outbound.is_some() { 1 } else { wanted }
    }

    /// An instance that has not started.
    ///
    /// # Errors
    /// As [`Guest::new`].
    pub(super) fn bare(&self) -> Result<Guest, Fault> {
        let memory = self.limits.memory_bytes;
        let outside = Outside::new(self.name.clone(), memory, self.outbound.clone());
        Guest::new(&self.engine, &self.linked, self.limits, outside)
    }

    /// A started instance.
    ///
    /// # Errors
    /// A fault of the start, or the plugin's own refusal to start, which is a breach: it started before.
    pub(super) fn make(&self) -> Result<Guest, Fault> {
        let mut guest = self.bare()?;
        match self.start(&mut guest)? {
            Ok(()) => Ok(guest),
            Err(told) => Err(Fault::new(
                Blame::Answer,
                &format!("it does not start: {told}"),
            )),
        }
    }
}

/// A version in force.
pub(super) struct Version {
    manifest: Manifest,
    layout: u32,
    given: Given,
    standing: Arc<Standing>,
    stock: Arc<Stock>,
    refills: Refills,
}

/// What the operator says of a version.
pub(super) struct Given {
    pub(super) on_failure: Option<Policy>,
    pub(super) reach: Reach,
    /// Where it is to run in the shadow.
    pub(super) shadow: Option<Arc<Comparison>>,
}

/// The instances that wait; shared with the thread that makes them.
pub(super) struct Stock {
    recipe: Recipe,
    stats: Arc<PluginStats>,
    // Taken by partitions' threads and filled by the spares' thread; held for a push or a pop.
    spares: Mutex<Vec<Guest>>,
}

impl Stock {
    /// Makes what is missing. A fault is left to whoever needs an instance and meets it again.
    pub(super) fn fill(&self) {
        while self.spares.lock().len() < SPARES {
            let Ok(guest) = self.recipe.make() else {
                return;
            };
            self.spares.lock().push(guest);
        }
    }
}

impl Version {
    pub(super) fn new(
        manifest: Manifest,
        layout: u32,
        given: Given,
        rule: Rule,
        recipe: Recipe,
        stats: Arc<PluginStats>,
        refills: Refills,
    ) -> Self {
        let stock = Arc::new(Stock {
            recipe,
            stats,
            spares: Mutex::default(),
        });
        refills.ask(&stock);
        let standing = Standing::new(&manifest.name, &manifest.version, rule);
        Self {
            manifest,
            layout,
            given,
            standing: Arc::new(standing),
            stock,
            refills,
        }
    }

    /// What it came to in the shadow, and what its calls cost there; none where it is in force.
    pub(super) fn in_shadow(&self) -> Option<(&Comparison, &PluginStats)> {
        let comparison = self.given.shadow.as_deref()?;
        Some((comparison, &self.stock.stats))
    }

    /// Its standing, to be seen and ended under the plugin's name.
    pub(super) fn shared_standing(&self) -> Arc<Standing> {
        self.standing.clone()
    }
}

impl Plugin for Version {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn policy(&self, judging: bool) -> Policy {
        let default = if judging {
            Policy::Withhold
        } else {
            Policy::Allow
        };
        self.given.on_failure.unwrap_or(default)
    }

    fn standing(&self) -> Option<&Standing> {
        Some(&self.standing)
    }

    fn layout(&self) -> u32 {
        self.layout
    }

    fn reach(&self) -> Option<&Reach> {
        Some(&self.given.reach)
    }

    fn shadow(&self) -> Option<&Comparison> {
        self.given.shadow.as_deref()
    }

    fn instance(&self, calls: Arc<dyn Calls>) -> Result<Box<dyn Instance>, Fault> {
        let stats = &self.stock.stats;
        let spare = self.stock.spares.lock().pop();
        let made = match spare {
            Some(guest) => {
                stats.spares.add(1);
                Ok(guest)
            }
            None => self.stock.recipe.make(),
        };
        self.refills.ask(&self.stock);
        match made {
            Ok(mut guest) => {
                stats.instances.add(1);
                guest.serve(calls);
                Ok(Box::new(Measured {
                    guest,
                    stats: stats.clone(),
                }))
            }
            Err(fault) => {
                stats.failures.of(fault.blame).add(1);
                Err(fault)
            }
        }
    }
}
