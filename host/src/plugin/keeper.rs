//! Which plugins are in force: follows the folder, and swaps the set when a change has proved itself.
//!
//! One thread owns it. A change counts when the file has rested; a version takes effect when it loaded; until then,
//! and if it does not, what was in force stays in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::cache::content_hash;
use super::folder::{Folder, Seen};
use super::good::Good;
use super::load_error::{LoadError, Reason};
use super::loader::Loader;
use super::version::Version;
use super::{Plugin, PluginSet, Roles};

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
    files: BTreeMap<String, Watched>,
    in_force: BTreeMap<String, InForce>,
    set: watch::Sender<Arc<PluginSet>>,
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
}

struct InForce {
    version: Arc<Version>,
    hash: String,
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
        set: watch::Sender<Arc<PluginSet>>,
        ending: Arc<AtomicBool>,
    ) -> Self {
        Self {
            loader,
            folder,
            good,
            files: BTreeMap::new(),
            in_force: BTreeMap::new(),
            set,
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
        };
        self.files.insert(name.into(), watched);
        checked
    }

    fn fall_back(&mut self, name: &str, broken: LoadError) -> Result<(), LoadError> {
        let Some(kept) = self.good.get(name) else {
            return Err(broken);
        };
        let ending = || self.ending.load(Ordering::Relaxed);
        let Ok(version) = self.loader.load(name, &kept.bytes, &ending) else {
            return Err(broken);
        };
        warn!(
            plugin = name,
            version = version.manifest().version,
            reason = %broken,
            "a plugin's file is broken, and its last good version serves"
        );
        self.put_in_force(name, version, content_hash(&kept.bytes));
        Ok(())
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
        let mut changed = false;
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
                };
                self.files.insert(name.into(), watched);
                Some(RESTED)
            }
        }
    }

    /// Tries a file that has rested; answers whether the set changed.
    fn replace(&mut self, name: &str) -> bool {
        let started = Instant::now();
        let before = self
            .in_force
            .get(name)
            .map(|in_force| in_force.version.clone());
        let tried = self.try_file(name);
        if let Some(watched) = self.files.get_mut(name) {
            watched.tried = !matches!(
                &tried,
                Err(LoadError {
                    reason: Reason::Gone,
                    ..
                })
            );
        }
        match tried {
            Ok(false) => false,
            Ok(true) => {
                let version = self
                    .in_force
                    .get(name)
                    .map(|in_force| in_force.version.clone());
                let version = version.as_ref().map(|version| &*version.manifest().version);
                let took_ms = started.elapsed().as_millis();
                if before.is_some() {
                    info!(plugin = name, version, took_ms, "plugin replaced");
                } else {
                    info!(plugin = name, version, took_ms, "plugin added");
                }
                self.loader.stats.of(name).replaced.add(1);
                true
            }
            // The scan that finds it gone counts the time.
            Err(LoadError {
                reason: Reason::Gone,
                ..
            }) => false,
            Err(refused) => {
                let version = before.as_ref().map(|version| &*version.manifest().version);
                warn!(plugin = name, version, reason = %refused, "a plugin's file is refused, and what is loaded stays");
                self.loader.stats.of(name).refused.add(1);
                false
            }
        }
    }

    /// Loads a file and puts it in force; answers whether it is another version than before.
    fn try_file(&mut self, name: &str) -> Result<bool, LoadError> {
        let of = |reason| LoadError {
            name: name.into(),
            reason,
        };
        let (bytes, read) = self.folder.read(name).map_err(of)?;
        if let Some(watched) = self.files.get_mut(name)
            && watched.seen != Ok(read)
        {
            // It changed after it had rested: it is to rest again.
            return Err(of(Reason::Gone));
        }
        let hash = content_hash(&bytes);
        let in_force = self.in_force.get(name);
        if in_force.is_some_and(|in_force| in_force.hash == hash) {
            return Ok(false);
        }
        // The newest of a quick series wins: nobody waits for what was replaced while it compiled.
        let stop = || self.ending.load(Ordering::Relaxed) || self.folder.look(name) != Ok(read);
        let version = self.loader.load(name, &bytes, &stop)?;
        let roles = version.manifest().roles;
        let before = match in_force {
            Some(in_force) => Some(in_force.version.manifest().roles),
            None => self.good.get(name).map(|kept| kept.roles),
        };
        self.check_roles(name, roles, before).map_err(of)?;
        self.good.keep(name, &bytes, roles);
        self.put_in_force(name, version, hash);
        Ok(true)
    }

    fn check_roles(&self, name: &str, now: Roles, before: Option<Roles>) -> Result<(), Reason> {
        let may = self
            .loader
            .config
            .plugins
            .get(name)
            .is_some_and(|own| own.may_lose_roles);
        let before = before.unwrap_or_default();
        if may || now.covers(before) {
            return Ok(());
        }
        let has = now.names();
        let lost: Vec<_> = before
            .names()
            .into_iter()
            .filter(|role| !has.contains(role))
            .collect();
        Err(Reason::LosesRoles(lost.join(" and ")))
    }

    fn put_in_force(&mut self, name: &str, version: Version, hash: String) {
        let standing = version.shared_standing();
        self.loader.stats.of(name).stand(Some(standing));
        let in_force = InForce {
            version: Arc::new(version),
            hash,
            missing_since: None,
        };
        self.in_force.insert(name.into(), in_force);
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
            self.in_force.remove(name);
            self.good.forget(name);
            self.loader.stats.of(name).removed.add(1);
            self.loader.stats.of(name).stand(None);
            info!(plugin = name, "plugin removed");
        }
        (!removed.is_empty(), due)
    }

    fn publish(&self) {
        let mut plugins: Vec<Arc<dyn Plugin>> = Vec::new();
        plugins.extend(
            self.in_force
                .values()
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
