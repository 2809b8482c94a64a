//! The operator's orders, carried out between two looks at the folder.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::info;

use super::super::decisions::{Decision, Pinned};
use super::super::orders::{Order, Status};
use super::super::{Plugin, Reason, SeenQuarantine};
use super::Keeper;
use crate::config::PluginConfig;

impl Keeper {
    /// Carries out an order, and answers how every plugin then does.
    ///
    /// # Errors
    /// Why it was not carried out: nothing has changed then.
    pub(in super::super) fn carry_out(&mut self, order: &Order) -> Result<Vec<Status>, String> {
        if *order != Order::List {
            self.office.taken_up();
        }
        self.ordered = true;
        let done = self.obey(order);
        self.ordered = false;
        done?;
        Ok(self.statuses())
    }

    fn obey(&mut self, order: &Order) -> Result<(), String> {
        match order {
            Order::List => {}
            Order::Enable(name) => self.enable(name, true)?,
            Order::Disable(name) => self.enable(name, false)?,
            Order::Reload(name) => self.reload(name)?,
            Order::Rollback(name) => self.roll_back(name)?,
            Order::Quarantine(name) => self.quarantine(name)?,
            Order::Release(name) => self.release(name)?,
        }
        Ok(())
    }

    fn enable(&mut self, name: &str, enabled: bool) -> Result<(), String> {
        self.known(name)?;
        if !enabled && self.loader.config.require.iter().any(|must| must == name) {
            return Err(format!(
                "the plugin `{name}` is required; take it out of `require` first"
            ));
        }
        let before = self.decisions.of(name);
        let decision = Decision {
            enabled: Some(enabled),
            ..before.clone()
        };
        self.decide(name, decision)?;
        self.try_now(name).inspect_err(|_| {
            // What could not be done was not decided.
            self.decisions.decide(name, before).ok();
        })
    }

    fn reload(&mut self, name: &str) -> Result<(), String> {
        self.known(name)?;
        if self.is_ordered_out(name) {
            return Err(disabled(name));
        }
        let before = self.decisions.of(name);
        let decision = Decision {
            pinned: None,
            ..before.clone()
        };
        self.decide(name, decision)?;
        // Also where nothing has changed.
        let hash = self
            .in_force
            .get_mut(name)
            .map(|in_force| std::mem::take(&mut in_force.hash));
        if let Some(shadow) = self.shadows.get_mut(name) {
            shadow.hash.clear();
        }
        let tried = self.try_now(name);
        if tried.is_err() {
            self.decisions.decide(name, before).ok();
        }
        // Where it is the shadow that was loaded again, or nothing was.
        if let (Some(in_force), Some(hash)) = (self.in_force.get_mut(name), hash)
            && in_force.hash.is_empty()
        {
            in_force.hash = hash;
        }
        tried
    }

    fn roll_back(&mut self, name: &str) -> Result<(), String> {
        self.known(name)?;
        if self.is_ordered_out(name) {
            return Err(disabled(name));
        }
        let ordered = self.decisions.of(name).enabled == Some(true);
        if !ordered && self.is_set_out(name) {
            return Err(format!(
                "the plugin `{name}` is disabled by its settings; take `enabled = false` out of them first"
            ));
        }
        let serving = self
            .in_force
            .get(name)
            .map(|in_force| in_force.hash.clone());
        let kept = self.good.versions(name);
        let at = kept
            .iter()
            .position(|kept| Some(&kept.hash) == serving.as_ref());
        // Where none serves, the newest that worked is the one before.
        let older = kept.get(at.map_or(0, |at| at + 1)).ok_or_else(|| {
            format!(
                "no older version of the plugin `{name}` is kept; {} worked so far",
                kept.len()
            )
        })?;
        let file = self.folder.read(name);
        let file = file.map_err(|reason| format!("the plugin `{name}`: {reason}"))?;
        let pinned = Pinned {
            instead_of: super::content_hash(&file.component),
            serves: older.hash.clone(),
        };
        let before = self.decisions.of(name);
        let decision = Decision {
            pinned: Some(pinned.clone()),
            ..before.clone()
        };
        self.decide(name, decision)?;
        let own = self.in_force.get(name).map(|in_force| in_force.own.clone());
        if let Err(error) = self.serve_pinned(name, &pinned, own.as_ref()) {
            self.decisions.decide(name, before).ok();
            return Err(error.to_string());
        }
        self.loader.stats.of(name).replaced.add(1);
        info!(plugin = name, version = older.version, "plugin rolled back");
        self.publish();
        Ok(())
    }

    fn quarantine(&mut self, name: &str) -> Result<(), String> {
        self.known(name)?;
        let Some(standing) = self.loader.stats.of(name).standing() else {
            return Err(format!(
                "the plugin `{name}` does not serve, so there is nothing to put into quarantine"
            ));
        };
        self.decide_held(name, true)?;
        standing.hold();
        Ok(())
    }

    fn decide_held(&mut self, name: &str, held: bool) -> Result<(), String> {
        let decision = Decision {
            held,
            ..self.decisions.of(name)
        };
        self.decide(name, decision)
    }

    fn release(&mut self, name: &str) -> Result<(), String> {
        self.known(name)?;
        let standing = self.loader.stats.of(name).standing();
        self.decide_held(name, false)?;
        if let Some(shadow) = self.shadows.get(name) {
            let ended = shadow
                .version
                .shared_standing()
                .end("the operator ended it");
            if ended && standing.as_ref().is_none_or(|s| s.quarantined().is_none()) {
                return Ok(());
            }
        }
        if standing.is_some_and(|standing| standing.end("the operator ended it")) {
            return Ok(());
        }
        Err(format!("the plugin `{name}` is not in quarantine"))
    }

    /// Whether its settings of today leave it out.
    fn is_set_out(&self, name: &str) -> bool {
        let content = self.folder.read(name).ok();
        let beside = content.and_then(|content| content.settings);
        let own = self.own(name, beside.as_ref().map(|(path, text)| (&**path, &**text)));
        own.is_ok_and(|own| own.enabled == Some(false))
    }

    /// Tries a plugin's files at once, as they are.
    fn try_now(&mut self, name: &str) -> Result<(), String> {
        if let Some(watched) = self.files.get_mut(name) {
            watched.seen = self.folder.look(name);
        }
        let changed = self.attempt(name).map_err(|error| match error.reason {
            Reason::Gone => format!("{error}; try again"),
            _ => error.to_string(),
        })?;
        if changed {
            self.publish();
        }
        Ok(())
    }

    fn decide(&mut self, name: &str, decision: Decision) -> Result<(), String> {
        self.decisions
            .decide(name, decision)
            .map_err(|error| format!("the decision can't be kept, and is not taken: {error}"))
    }

    fn known(&self, name: &str) -> Result<(), String> {
        if self.files.contains_key(name) || self.in_force.contains_key(name) {
            return Ok(());
        }
        let names: Vec<&str> = self.files.keys().map(String::as_str).collect();
        Err(format!(
            "there is no plugin `{name}` in {}; there are: {}",
            self.folder.path().display(),
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        ))
    }

    pub(super) fn statuses(&self) -> Vec<Status> {
        let mut names: Vec<&String> = self.files.keys().chain(self.in_force.keys()).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| self.status(name)).collect()
    }

    fn status(&self, name: &str) -> Status {
        let stats = self.loader.stats.of(name);
        let in_force = self.in_force.get(name);
        let refused = self.files.get(name).map_or("", |watched| &watched.refused);
        let pinned = self.decisions.of(name).pinned;
        let quarantine = stats
            .standing()
            .and_then(|standing| standing.seen().quarantine);
        let state = match in_force {
            Some(_) if quarantine.is_some() => "quarantined",
            Some(in_force) if pinned.is_some_and(|p| p.serves == in_force.hash) => "rolled back",
            Some(_) => "serving",
            None if self.shadows.contains_key(name) => "in the shadow",
            None if self.files.get(name).is_some_and(|file| !file.tried) => "loading",
            None if refused.is_empty() || self.is_ordered_out(name) => "disabled",
            None => "refused",
        };
        let manifest = in_force.map(|in_force| in_force.version.manifest());
        let micros = |share| u64::try_from(stats.latency.quantile(share).as_micros()).unwrap_or(0);
        Status {
            name: name.to_owned(),
            version: manifest.map_or_else(String::new, |m| m.version.clone()),
            state: state.to_owned(),
            quarantine: quarantine_words(quarantine),
            rooms: in_force.map_or_else(Vec::new, |in_force| in_force.own.rooms.clone()),
            shadow: self.shadow_status(name),
            roles: manifest.map_or_else(Vec::new, |m| {
                m.roles.names().into_iter().map(str::to_owned).collect()
            }),
            priority: manifest.map_or(0, |m| m.priority),
            refused: refused.to_owned(),
            kept: self
                .good
                .versions(name)
                .into_iter()
                .map(|kept| kept.version)
                .collect(),
            messages: stats
                .roles()
                .iter()
                .map(|(_, role)| role.messages.get())
                .sum(),
            failures: stats.failed(),
            grants: in_force.map_or_else(Vec::new, |in_force| grants(&in_force.own)),
            requests: [
                stats.requests.asked.get(),
                stats.requests.answered.get(),
                stats.requests.refused.get(),
            ],
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            memory_bytes: stats.memory_bytes.load(Relaxed),
        }
    }
}

fn grants(own: &PluginConfig) -> Vec<String> {
    let hosts = own.http.iter().flatten();
    hosts.map(|host| format!("http: {host}")).collect()
}

/// Why, and for how long yet.
pub(super) fn quarantine_words(quarantine: Option<SeenQuarantine>) -> String {
    match quarantine {
        None => String::new(),
        Some(SeenQuarantine {
            cause,
            left: Duration::MAX,
            ..
        }) => format!("{cause}; until it is released"),
        Some(SeenQuarantine { cause, left, .. }) => {
            format!("{cause}; for {} s yet", left.as_secs().max(1))
        }
    }
}

fn disabled(name: &str) -> String {
    format!("the plugin `{name}` is disabled; enable it first")
}
