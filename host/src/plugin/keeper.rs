//! Which plugins are in force: follows the folder, and swaps the set when a change has proved itself.
//!
//! One thread owns it. A change counts when the file has rested; a version takes effect when it loaded; until then,
//! and if it does not, what was in force stays in force.

mod beside;
mod kept;
mod orders;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::cache::content_hash;
use super::compiler::Beside;
use super::decisions::{Decision, Decisions};
use super::folder::{Content, Folder, Seen};
use super::good::{Good, Kept};
use super::load_error::{LoadError, Reason};
use super::loader::Loader;
use super::office::Office;
use super::version::Version;
use super::{Plugin, PluginSet, Roles};
use crate::config::PluginConfig;

/// A file that did not change for so long is whole: a linker writes in pieces.
pub(super) const RESTED: Duration = Duration::from_millis(200);

/// A file that is gone for so long was removed: a build deletes before it writes.
const REMOVED: Duration = Duration::from_secs(2);

/// How often the folder is read when nothing is said to change: notifications get lost.
const RESCAN: Duration = Duration::from_secs(2);

/// The plugins in force and what is known of their files.
pub(super) struct Keeper {
    loader: Loader,
    folder: Folder,
    good: Good,
    decisions: Decisions,
    files: BTreeMap<String, Watched>,
    in_force: BTreeMap<String, InForce>,
    /// Versions that are asked beside these, and decide nothing.
    shadows: BTreeMap<String, InForce>,
    set: watch::Sender<Arc<PluginSet>>,
    /// Where orders wait while something loads.
    office: Arc<Office>,
    /// What loads was ordered: no other order ends it.
    ordered: bool,
    /// The folder could not be read, and this was said.
    unreadable: bool,
    /// The host ends: nothing is begun any more.
    ending: Arc<AtomicBool>,
}

/// A file in the folder.
struct Watched {
    seen: Seen,
    since: Instant,
    /// This state was loaded or refused.
    tried: bool,
    /// Why it was refused; empty where it was not.
    refused: String,
}

struct InForce {
    version: Arc<Version>,
    /// Of its component.
    hash: String,
    /// The settings under which it runs.
    own: PluginConfig,
    missing_since: Option<Instant>,
}

impl InForce {
    /// `basics 0.1.0 (commands)`.
    fn words(&self) -> String {
        let manifest = self.version.manifest();
        let roles = manifest.roles.names().join(" and ");
        format!("{} {} ({roles})", manifest.name, manifest.version)
    }
}

impl Keeper {
    pub(super) fn new(
        loader: Loader,
        folder: Folder,
        good: Good,
        decisions: Decisions,
        set: watch::Sender<Arc<PluginSet>>,
        office: Arc<Office>,
        ending: Arc<AtomicBool>,
    ) -> Self {
        Self {
            loader,
            folder,
            good,
            decisions,
            files: BTreeMap::new(),
            in_force: BTreeMap::new(),
            shadows: BTreeMap::new(),
            set,
            office,
            ordered: false,
            unreadable: false,
            ending,
        }
    }

    /// Loads what is in the folder at the start. A broken file is served by the last good version.
    ///
    /// # Errors
    /// A plugin that is broken and has no last good version, or one that is required and not there.
    pub(super) fn start(&mut self) -> Result<(), LoadError> {
        let of = |name: &str, reason| LoadError {
            name: name.into(),
            reason,
        };
        let files = self
            .folder
            .scan()
            .map_err(|error| of("*", Reason::Read(error.to_string())))?;
        for (name, seen) in files {
            let rested = self.rested(&name, seen);
            if self.is_ordered_out(&name) {
                info!(
                    plugin = name,
                    "the plugin stays out: it was disabled by order"
                );
                continue;
            }
            match rested.and_then(|()| self.try_file(&name)) {
                Ok(_) => {}
                Err(broken) => self.fall_back(&name, broken)?,
            }
        }
        let missing = |name: &&String| !self.in_force.contains_key(*name);
        if let Some(name) = self.loader.config.require.iter().find(missing) {
            return Err(of(
                name,
                Reason::Required(self.folder.path().display().to_string()),
            ));
        }
        let folder = self.folder.path().display();
        if self.in_force.is_empty() {
            info!(%folder, "no plugin is loaded");
        } else {
            let loaded: Vec<String> = self.in_force.values().map(InForce::words).collect();
            info!(%folder, plugins = loaded.join(", "), "plugins loaded");
        }
        self.publish();
        self.loader.beside = Beside::Members;
        Ok(())
    }

    /// Waits at the start until a file that is being written has rested, within reason.
    fn rested(&mut self, name: &str, mut seen: Seen) -> Result<(), LoadError> {
        let until = Instant::now() + RESTED * 10;
        loop {
            let young = match &seen {
                Ok(fingerprint) => fingerprint.age() < RESTED,
                Err(_) => false,
            };
            if !young || Instant::now() >= until {
                break;
            }
            std::thread::park_timeout(RESTED / 4);
            seen = self
                .folder
                .scan()
                .ok()
                .and_then(|mut files| files.remove(name))
                .unwrap_or(Err(Reason::Gone));
        }
        let checked = seen.clone().map(drop).map_err(|reason| LoadError {
            name: name.into(),
            reason,
        });
        let watched = Watched {
            seen,
            since: Instant::now(),
            tried: true,
            refused: String::new(),
        };
        self.files.insert(name.into(), watched);
        checked
    }

    /// Whether the operator has disabled it; what is required goes before that.
    fn is_ordered_out(&self, name: &str) -> bool {
        let required = self.loader.config.require.iter().any(|must| must == name);
        !required && self.decisions.of(name).enabled == Some(false)
    }

    /// A plugin's own settings: those of the file beside it, else its table in the configuration.
    fn own(&self, name: &str, beside: Option<(&Path, &str)>) -> Result<PluginConfig, Reason> {
        match beside {
            Some((path, text)) => {
                crate::config::file::parse_single(path, name, text).map_err(Reason::Settings)
            }
            None => Ok(self
                .loader
                .config
                .plugins
                .get(name)
                .cloned()
                .unwrap_or_default()),
        }
    }

    /// Looks at the folder once, acts on what has rested, and says when to look again at the latest.
    pub(super) fn look(&mut self) -> Duration {
        let files = match self.folder.scan() {
            Ok(files) => files,
            Err(error) => {
                // An unmounted folder is not a removal of all plugins.
                if !self.unreadable {
                    error!(folder = %self.folder.path().display(), %error, "the plugin folder can't be read; what is loaded stays");
                }
                self.unreadable = true;
                return RESCAN;
            }
        };
        self.unreadable = false;
        self.files.retain(|name, _| files.contains_key(name));
        let now = Instant::now();
        let shadows = self.shadows.len();
        self.shadows.retain(|name, _| files.contains_key(name));
        let mut changed = self.shadows.len() < shadows;
        let mut next = RESCAN;
        for (name, seen) in files {
            if let Some(in_force) = self.in_force.get_mut(&name) {
                in_force.missing_since = None;
            }
            let left = self.note(&name, seen, now);
            if left.is_some_and(|left| left.is_zero()) {
                changed |= self.replace(&name);
            } else {
                next = next.min(left.unwrap_or(next));
            }
        }
        let (removed, due) = self.remove_missing(now);
        if changed || removed {
            self.publish();
        }
        next.min(due)
    }

    /// Notes a file's state; answers how long it has yet to rest, or none where it was tried.
    fn note(&mut self, name: &str, seen: Seen, now: Instant) -> Option<Duration> {
        match self.files.get_mut(name) {
            Some(watched) if watched.seen == seen => {
                let rested = now.duration_since(watched.since);
                (!watched.tried).then(|| RESTED.saturating_sub(rested))
            }
            _ => {
                let watched = Watched {
                    seen,
                    since: now,
                    tried: false,
                    refused: String::new(),
                };
                self.files.insert(name.into(), watched);
                Some(RESTED)
            }
        }
    }

    /// Tries a file that has rested; answers whether the set changed.
    fn replace(&mut self, name: &str) -> bool {
        self.attempt(name).unwrap_or(false)
    }

    /// Tries a file as it is, and tells the log; answers whether the set changed.
    fn attempt(&mut self, name: &str) -> Result<bool, LoadError> {
        let started = Instant::now();
        let serves = |keeper: &Self| {
            let in_force = keeper.in_force.get(name)?;
            Some(in_force.version.clone())
        };
        let before = serves(self);
        let tried = self.try_file(name);
        if let Some(watched) = self.files.get_mut(name) {
            watched.tried = !matches!(&tried, Err(error) if error.reason == Reason::Gone);
            watched.refused = match &tried {
                Err(error) if error.reason != Reason::Gone => error.reason.to_string(),
                _ => String::new(),
            };
        }
        let version = |in_force: &Self| {
            let in_force = in_force.in_force.get(name)?;
            Some(in_force.version.manifest().version.clone())
        };
        let same = match (&before, serves(self)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, &now),
            (before, now) => before.is_none() && now.is_none(),
        };
        match &tried {
            // It is in the shadow that something changed.
            Ok(true) if same => {}
            Ok(false) => {}
            Ok(true) => {
                let took_ms = started.elapsed().as_millis();
                match version(self) {
                    None => info!(plugin = name, "plugin disabled"),
                    Some(version) if before.is_some() => {
                        info!(plugin = name, version, took_ms, "plugin replaced");
                    }
                    Some(version) => info!(plugin = name, version, took_ms, "plugin added"),
                }
                self.loader.stats.of(name).replaced.add(1);
            }
            // The scan that finds it gone counts the time.
            Err(error) if error.reason == Reason::Gone => {}
            Err(refused) => {
                let version = version(self);
                warn!(plugin = name, version, reason = %refused, "a plugin's file is refused, and what is loaded stays");
                self.loader.stats.of(name).refused.add(1);
            }
        }
        tried
    }

    /// Loads a plugin's files and puts them in force; answers whether anything is another than before.
    fn try_file(&mut self, name: &str) -> Result<bool, LoadError> {
        let of = |reason| LoadError {
            name: name.into(),
            reason,
        };
        if self.is_ordered_out(name) {
            // Whatever is in its files.
            return Ok(self.take_out(name));
        }
        let content = self.folder.read(name).map_err(of)?;
        if let Some(watched) = self.files.get_mut(name)
            && watched.seen != Ok(content.state)
        {
            // It changed after it had rested: it is to rest again.
            return Err(of(Reason::Gone));
        }
        let beside = content.settings.as_ref();
        let mut own = self
            .own(name, beside.map(|(path, text)| (&**path, &**text)))
            .map_err(of)?;
        if own.http.is_none() && self.was_granted(name) {
            own.http = Some(Vec::new());
        }
        let decision = self.decisions.of(name);
        let enabled = decision.enabled.filter(|enabled| *enabled).or(own.enabled);
        if !enabled.unwrap_or(true) {
            if self.loader.config.require.iter().any(|must| must == name) {
                return Err(of(Reason::RequiredDisabled));
            }
            return Ok(self.take_out(name));
        }
        let hash = content_hash(&content.component);
        if own.shadow {
            return self.try_shadow(name, &content, own, hash);
        }
        let changed = self.try_in_force(name, content, own, hash, decision)?;
        Ok(self.shadows.remove(name).is_some() || changed)
    }

    /// Puts what the files hold in force, or what it was rolled back to; answers whether anything is another.
    fn try_in_force(
        &mut self,
        name: &str,
        content: Content,
        own: PluginConfig,
        hash: String,
        decision: Decision,
    ) -> Result<bool, LoadError> {
        let of = |reason| LoadError {
            name: name.into(),
            reason,
        };
        let pinned = decision.pinned.as_ref();
        if let Some(pinned) = pinned.filter(|pinned| pinned.instead_of == hash) {
            if self.is_kept(name, &pinned.serves) {
                return self.serve_pinned(name, pinned, Some(&own));
            }
            warn!(
                plugin = name,
                "the version that it was rolled back to is gone; its file counts again"
            );
        }
        let in_force = self.in_force.get(name);
        if in_force.is_some_and(|in_force| in_force.hash == hash && in_force.own == own) {
            return Ok(false);
        }
        let version = self.load(name, &content, &own)?;
        let roles = version.manifest().roles;
        let before = in_force.map(|in_force| in_force.version.manifest().roles.names());
        let kept = || self.good.versions(name).into_iter().next();
        let before: Option<Vec<String>> = before
            .map(|names| names.into_iter().map(str::to_owned).collect())
            .or_else(|| kept().map(|kept| kept.roles));
        check_roles(&own, roles, &before.unwrap_or_default()).map_err(of)?;
        let Content {
            component,
            settings,
            ..
        } = content;
        let kept = Kept {
            hash: hash.clone(),
            version: version.manifest().version.clone(),
            roles: roles.names().into_iter().map(str::to_owned).collect(),
            settings: settings.map(|(_, text)| text),
        };
        // What served before is the one that the next rollback goes to.
        let before = self
            .in_force
            .get(name)
            .map(|in_force| in_force.hash.clone());
        self.good.keep(name, kept, &component, before.as_deref());
        self.end_pin(name);
        let in_force = InForce {
            version: Arc::new(version),
            hash,
            own,
            missing_since: None,
        };
        self.put_in_force(name, in_force);
        Ok(true)
    }

    /// Whether what serves has a grant. One that is taken out of the settings ends at once: without this the version would
    /// be refused, and the one before would go on asking.
    fn was_granted(&self, name: &str) -> bool {
        let granted = |in_force: &InForce| in_force.own.http.is_some();
        self.in_force.get(name).is_some_and(granted) || self.shadows.get(name).is_some_and(granted)
    }

    /// Loads what the files hold. The newest of a quick series wins, for nobody waits for what was replaced while it
    /// compiled; and where an order comes it is given up, to be tried again after.
    fn load(
        &self,
        name: &str,
        content: &Content,
        own: &PluginConfig,
    ) -> Result<Version, LoadError> {
        let stop = || {
            self.ending.load(Ordering::Relaxed)
                || (!self.ordered && self.office.is_awaited())
                || self.folder.look(name) != Ok(content.state)
        };
        self.office.begins_to_load(self.statuses());
        let loaded = self.loader.load(name, &content.component, own, &stop);
        self.office.has_loaded();
        loaded
    }

    fn put_in_force(&mut self, name: &str, in_force: InForce) {
        let standing = in_force.version.shared_standing();
        if self.decisions.of(name).held {
            standing.hold();
        }
        self.loader.stats.of(name).stand(Some(standing));
        self.in_force.insert(name.into(), in_force);
    }

    /// Answers whether it was in force.
    fn take_out(&mut self, name: &str) -> bool {
        self.loader.stats.of(name).stand(None);
        let shadow = self.shadows.remove(name).is_some();
        self.in_force.remove(name).is_some() || shadow
    }

    /// Takes out what has been gone for long enough; answers whether anything was, and when to look again.
    fn remove_missing(&mut self, now: Instant) -> (bool, Duration) {
        let mut removed = Vec::new();
        let mut due = RESCAN;
        for (name, in_force) in &mut self.in_force {
            if self.files.contains_key(name) {
                continue;
            }
            if self.loader.config.require.contains(name) {
                if in_force.missing_since.replace(now).is_none() {
                    error!(
                        plugin = name,
                        "the file of a required plugin is gone; what is loaded stays: put it back, or take it out of `require`"
                    );
                }
                continue;
            }
            let gone = now.duration_since(*in_force.missing_since.get_or_insert(now));
            if gone >= REMOVED {
                removed.push(name.clone());
            } else {
                due = due.min(REMOVED.saturating_sub(gone));
            }
        }
        for name in &removed {
            self.take_out(name);
            self.good.forget(name);
            self.end_pin(name);
            self.loader.stats.of(name).removed.add(1);
            info!(plugin = name, "plugin removed");
        }
        (!removed.is_empty(), due)
    }

    fn publish(&self) {
        let mut plugins: Vec<Arc<dyn Plugin>> = Vec::new();
        plugins.extend(
            self.in_force
                .values()
                .chain(self.shadows.values())
                .map(|in_force| in_force.version.clone() as Arc<dyn Plugin>),
        );
        // Stable, and the map is by name.
        plugins.sort_by_key(|plugin| plugin.manifest().priority);
        self.set.send_modify(|set| {
            *set = Arc::new(PluginSet {
                version: set.version + 1,
                plugins,
            });
        });
    }
}

/// A version that lacks a role of the one before needs the operator's word.
fn check_roles(own: &PluginConfig, now: Roles, before: &[String]) -> Result<(), Reason> {
    let has = now.names();
    let lost: Vec<&str> = before
        .iter()
        .map(String::as_str)
        .filter(|role| !has.contains(role))
        .collect();
    if own.may_lose_roles || lost.is_empty() {
        return Ok(());
    }
    Err(Reason::LosesRoles(lost.join(" and ")))
}
