//! What a plugin remembers in a room is brought along before the plugin is asked about the room: once, and with the
//! outcome of the message that it was asked about.

use std::collections::BTreeMap;

use super::{Chain, fault};
use crate::pipeline::scope::At;
use crate::plugin::{Blame, Fault};
use crate::state::store::StoreError;

/// Rooms that a link knows to be current before it begins anew.
const CURRENT: usize = 10_000;

impl Chain {
    /// In which layout each plugin writes, where it knows of layouts.
    pub(super) fn layouts(&self) -> BTreeMap<String, u32> {
        let layouts = self.links.iter().map(|link| {
            let plugin = &link.plugin;
            (plugin.manifest().name.clone(), plugin.layout())
        });
        layouts.filter(|(_, layout)| *layout > 0).collect()
    }

    /// Bounds what is known of rooms. Between two segments only: within one, the view does not have what was brought along.
    pub(super) fn bound_current(&mut self) {
        for link in &mut self.links {
            if link.current.len() > CURRENT {
                link.current.clear();
            }
        }
    }

    /// Makes what the plugin remembers in the rooms of these messages what this version of it can read. Formatting has no
    /// state.
    ///
    /// # Errors
    /// The plugin's fault, or that the room is beyond this version.
    pub(super) fn bring_along(
        &mut self,
        link: usize,
        role: &'static str,
        ats: &[At],
    ) -> Result<(), Fault> {
        if role == "formatting" {
            return Ok(());
        }
        ats.iter().try_for_each(|at| self.bring_room(link, *at))
    }

    fn bring_room(&mut self, index: usize, at: At) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(index) else {
            return Ok(());
        };
        if link.current.contains(&at.room) {
            return Ok(());
        }
        let (scope, plugin) = (self.scope.clone(), link.plugin.clone());
        let (name, own) = (&*plugin.manifest().name, plugin.layout());
        let found = scope.layout_of(name, at.room).map_err(of_store)?;
        match found {
            Some(layout) if layout > own => {
                return Err(fault(
                    Blame::Answer,
                    &format!(
                        "what it remembers in this room was written by a newer version (layout {layout}; this one writes {own}); roll forward, or import an older export"
                    ),
                ));
            }
            Some(layout) if layout < own => {
                let before = scope.memory(name, at).map_err(of_store)?;
                let mut instance = match link.instance.take() {
                    Some(instance) => instance,
                    None => plugin.instance(scope.clone())?,
                };
                // No part of what its messages cost: a new version meets many rooms at once.
                let after = instance.migrate(at.room.0, layout, &before)?;
                link.instance = Some(instance);
                scope.bring(name, at, own, after).map_err(of_store)?;
            }
            _ => {}
        }
        link.current.insert(at.room);
        Ok(())
    }
}

fn of_store(error: StoreError) -> Fault {
    fault(Blame::Host, &error.to_string())
}
