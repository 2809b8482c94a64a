//! The versions that worked: where the files are broken, and where the operator rolled back, one of them serves.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::warn;

use super::super::Plugin;
use super::super::decisions::Pinned;
use super::super::good::Kept;
use super::super::load_error::{LoadError, Reason};
use super::{InForce, Keeper};
use crate::config::PluginConfig;
use crate::config::grant::Grant;

impl Keeper {
    pub(super) fn fall_back(&mut self, name: &str, broken: LoadError) -> Result<(), LoadError> {
        let mut kept = self.good.versions(name);
        if let Some(pinned) = self.decisions.of(name).pinned {
            // What was rolled back does not come back by itself.
            kept.retain(|kept| kept.hash != pinned.instead_of);
            kept.sort_by_key(|kept| kept.hash != pinned.serves);
        }
        let loaded = kept
            .iter()
            .find_map(|kept| self.load_kept(name, kept, None)?.ok());
        let Some(version) = loaded else {
            return Err(broken);
        };
        warn!(
            plugin = name,
            version = version.version.manifest().version,
            reason = %broken,
            "a plugin's files are broken, and its last good version serves"
        );
        if let Some(watched) = self.files.get_mut(name) {
            watched.refused = broken.reason.to_string();
        }
        self.put_in_force(name, version);
        Ok(())
    }

    /// Loads a kept version under these settings, or those that it was kept with; none where its component is gone.
    pub(super) fn load_kept(
        &self,
        name: &str,
        kept: &Kept,
        own: Option<&PluginConfig>,
    ) -> Option<Result<InForce, LoadError>> {
        let component = self.good.component(name, &kept.hash)?;
        let own = match own {
            Some(own) => Ok(own.clone()),
            None => {
                let path = self.folder.path().join(format!("{name}.toml"));
                let text = kept.settings.as_deref();
                self.own(name, text.map(|text| (&*path, text)))
            }
        };
        let ending = || self.ending.load(Ordering::Relaxed);
        let loaded = own
            .map_err(|reason| LoadError {
                name: name.into(),
                reason,
            })
            .and_then(|mut own| {
                // It is to serve, whatever the table of the newer one says.
                own.shadow = false;
                // It worked once, so where it asks it had a grant; at least it may load.
                own.http = self.still_granted(name, own.http).or(Some(Vec::new()));
                let version = self.loader.load(name, &component, &own, &ending)?;
                Ok(InForce {
                    version: Arc::new(version),
                    hash: kept.hash.clone(),
                    own,
                    missing_since: None,
                })
            });
        Some(loaded)
    }

    /// What of these grants the settings of today still have; where those can't be read, all of them.
    fn still_granted(&self, name: &str, granted: Option<Vec<Grant>>) -> Option<Vec<Grant>> {
        let path = self.folder.path().join(format!("{name}.toml"));
        let beside = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => return granted,
        };
        let today = self.own(name, beside.as_deref().map(|text| (&*path, text)));
        let Ok(today) = today.map(|own| own.http.unwrap_or_default()) else {
            return granted;
        };
        granted.map(|grants| {
            let lasting = grants.into_iter().filter(|grant| today.contains(grant));
            lasting.collect()
        })
    }

    pub(super) fn is_kept(&self, name: &str, hash: &str) -> bool {
        self.good
            .versions(name)
            .iter()
            .any(|kept| kept.hash == hash)
    }

    /// Puts in force what a rollback went to, under these settings or, where it does not take them, those that it was
    /// kept with; answers whether anything is another than before.
    pub(super) fn serve_pinned(
        &mut self,
        name: &str,
        pinned: &Pinned,
        own: Option<&PluginConfig>,
    ) -> Result<bool, LoadError> {
        let serves = |in_force: &InForce| {
            in_force.hash == pinned.serves && own.is_none_or(|own| *own == in_force.own)
        };
        if self.in_force.get(name).is_some_and(serves) {
            return Ok(false);
        }
        let gone = || LoadError {
            name: name.into(),
            reason: Reason::Read(
                "the version that it was rolled back to is gone; reload it".into(),
            ),
        };
        let kept = self.good.versions(name).into_iter();
        let kept = kept.into_iter().find(|kept| kept.hash == pinned.serves);
        let kept = kept.ok_or_else(gone)?;
        let loaded = match self.load_kept(name, &kept, own).ok_or_else(gone)? {
            Err(error) if own.is_some() => {
                warn!(plugin = name, reason = %error, "what it was rolled back to does not take the settings as they are; it has its earlier ones");
                self.load_kept(name, &kept, None).ok_or_else(gone)?
            }
            loaded => loaded,
        };
        self.put_in_force(name, loaded?);
        Ok(true)
    }

    /// A rollback ends with the content that it passed over.
    pub(super) fn end_pin(&mut self, name: &str) {
        let mut decision = self.decisions.of(name);
        if decision.pinned.take().is_some()
            && let Err(error) = self.decisions.decide(name, decision)
        {
            warn!(plugin = name, %error, "that a rollback is over can't be kept");
        }
    }
}
