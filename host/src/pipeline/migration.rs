//! What a plugin remembers in a room is brought along before the plugin is asked about the room: once, and with the
//! outcome of the message that it was asked about.

use std::sync::Arc;

use super::callee::Callee;
use super::scope::{At, Scope};
use crate::plugin::{Blame, Fault};
use crate::state::store::StoreError;

/// Rooms that a version knows to be current before it begins anew.
const CURRENT: usize = 10_000;

impl Callee {
    /// Bounds what is known of rooms. Between two segments only: within one, the view does not have what was brought along.
    pub(super) fn bound_current(&mut self) {
        if self.current.len() > CURRENT {
            self.current.clear();
        }
    }

    /// Makes what the plugin remembers in the rooms of these messages what this version of it can read. Formatting has no
    /// state.
    ///
    /// # Errors
    /// The plugin's fault, or that the room is beyond this version.
    pub(super) fn bring_along(
        &mut self,
        scope: &Arc<Scope>,
        role: &'static str,
        ats: &[At],
    ) -> Result<(), Fault> {
        if role == "formatting" {
            return Ok(());
        }
        ats.iter().try_for_each(|at| self.bring_room(scope, *at))
    }

    /// Whether a version in the shadow reads what is remembered in these rooms: it brings nothing along.
    pub(super) fn can_read(&self, scope: &Scope, role: &'static str, ats: &[At]) -> bool {
        let (name, own) = (&self.plugin.manifest().name, self.plugin.layout());
        let reads = |at: &At| {
            let found = scope.layout_of(name, at.room);
            found.is_ok_and(|layout| layout.is_none_or(|layout| layout == own))
        };
        role == "formatting" || ats.iter().all(reads)
    }

    fn bring_room(&mut self, scope: &Arc<Scope>, at: At) -> Result<(), Fault> {
        if self.current.contains(&at.room) {
            return Ok(());
        }
        let plugin = self.plugin.clone();
        let (name, own) = (&*plugin.manifest().name, plugin.layout());
        let found = scope.layout_of(name, at.room).map_err(of_store)?;
        // What has expired is nothing to bring along, also where the fold has not come to it.
        let before = match found {
            Some(layout) if layout != own => scope.memory(name, at).map_err(of_store)?,
            _ => Vec::new(),
        };
        match found {
            _ if before.is_empty() => {}
            Some(layout) if layout > own => {
                return Err(fault(
                    Blame::Answer,
                    format!(
                        "what it remembers in this room was written by a newer version (layout {layout}; this one writes {own}); roll forward, or import an older export"
                    ),
                ));
            }
            Some(layout) if layout < own => {
                let mut instance = match self.instance.take() {
                    Some(instance) => instance,
                    None => plugin.instance(scope.clone())?,
                };
                // No part of what its messages cost: a new version meets many rooms at once.
                let after = instance.migrate(at.room.0, layout, &before)?;
                self.instance = Some(instance);
                scope.bring(name, at, own, after).map_err(of_store)?;
            }
            _ => {}
        }
        self.current.insert(at.room);
        Ok(())
    }
}

fn of_store(error: StoreError) -> Fault {
    fault(Blame::Host, error.to_string())
}

fn fault(blame: Blame, detail: String) -> Fault {
    Fault {
        blame,
        detail,
        last_words: String::new(),
    }
}
