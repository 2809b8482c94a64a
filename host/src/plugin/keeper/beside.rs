//! A version that runs in the shadow of the one in force: where its settings say so, a file is tried beside what serves.

use std::sync::Arc;

use tracing::{info, warn};

use super::super::compiler::Beside;
use super::super::folder::Content;
use super::super::load_error::LoadError;
use super::super::orders::ShadowStatus;
use super::super::{Plugin, PluginStats};
use super::{InForce, Keeper, check_roles};
use crate::config::PluginConfig;

impl Keeper {
    /// Puts what the files hold into the shadow; answers whether anything is another than before.
    pub(super) fn try_shadow(
        &mut self,
        name: &str,
        content: &Content,
        own: PluginConfig,
        hash: String,
    ) -> Result<bool, LoadError> {
        let same = |shadow: &InForce| shadow.hash == hash && shadow.own == own;
        if self.shadows.get(name).is_some_and(same) {
            return Ok(false);
        }
        let version = self.load(name, content, &own)?;
        let roles = |in_force: &InForce| in_force.version.manifest().roles.names();
        let before = self.in_force.get(name).map(roles).unwrap_or_default();
        let before: Vec<String> = before.into_iter().map(str::to_owned).collect();
        check_roles(&own, version.manifest().roles, &before).map_err(|reason| LoadError {
            name: name.into(),
            reason,
        })?;
        // What served before a restart, or before the operator disabled it, goes on.
        let starts = self.loader.beside == Beside::Nobody;
        let ordered = self.decisions.of(name).enabled == Some(true);
        if (starts || ordered) && !self.in_force.contains_key(name) {
            self.serve_kept(name);
        }
        info!(
            plugin = name,
            version = version.manifest().version,
            of =
                self.in_force
                    .get(name)
                    .map(|in_force| in_force.version.manifest().version.clone()),
            "a version of a plugin runs in the shadow"
        );
        let shadow = InForce {
            version: Arc::new(version),
            hash,
            own,
            missing_since: None,
        };
        self.shadows.insert(name.into(), shadow);
        Ok(true)
    }

    /// After a start: what served before goes on, as the versions kept say.
    fn serve_kept(&mut self, name: &str) {
        let pinned = self.decisions.of(name).pinned;
        let mut kept = self.good.versions(name);
        kept.sort_by_key(|kept| pinned.as_ref().is_none_or(|p| p.serves != kept.hash));
        for kept in &kept {
            match self.load_kept(name, kept, None) {
                Some(Ok(version)) => return self.put_in_force(name, version),
                Some(Err(error)) => {
                    warn!(plugin = name, reason = %error, "a version that served before does not load any more");
                }
                None => {}
            }
        }
    }

    /// How the version in the shadow does; none where there is none.
    pub(super) fn shadow_status(&self, name: &str) -> Option<ShadowStatus> {
        let version = &self.shadows.get(name)?.version;
        let (comparison, stats) = version.in_shadow()?;
        let standing = version.shared_standing().seen();
        let micros = |stats: &PluginStats, share| {
            u64::try_from(stats.latency.quantile(share).as_micros()).unwrap_or(u64::MAX)
        };
        Some(ShadowStatus {
            version: version.manifest().version.clone(),
            compared: comparison.compared.get(),
            otherwise: comparison.otherwise.get(),
            failures: comparison.failed.get(),
            quarantine: super::orders::quarantine_words(standing.quarantine),
            p50_us: micros(stats, 0.5),
            p99_us: micros(stats, 0.99),
            examples: comparison.examples(),
        })
    }
}
