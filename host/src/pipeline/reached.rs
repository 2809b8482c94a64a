//! Which links of the chain apply in which room.
//!
//! Rooms with the same plugins share one answer, and each room's is looked up once, so that a plugin which does not
//! apply costs a message nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::link::Link;
use super::scope::{At, Scope};
use crate::plugin::Roles;
use crate::state::ids::RoomId;

/// Rooms whose answer is kept; beyond them all are looked up anew.
const ROOMS: usize = 16_384;

/// A command for `/help`: name, usage, summary.
pub type Shown = (String, String, String);

/// What applies in a room.
#[derive(Debug, Default)]
pub struct Reached {
    applies: Vec<bool>,
    moderation: Vec<usize>,
    formatting: Vec<usize>,
    review: Vec<usize>,
    /// Command to link; `/plugin:name` is looked up apart.
    pub commands: BTreeMap<String, usize>,
    /// Whether a plugin both moderates and reviews here. It is asked about a message in both roles before the next one, or
    /// what it remembers of one would come between.
    pub judges_twice: bool,
    /// The commands, by name.
    pub shown: Arc<[Shown]>,
}

/// A role that is asked in batches.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Role {
    Moderation,
    Formatting,
    Review,
}

impl Reached {
    fn of(links: &[Link], applies: Vec<bool>) -> Self {
        let with = |role: fn(Roles) -> bool| -> Vec<usize> {
            let applying = links.iter().zip(&applies).enumerate();
            applying
                .filter(|(_, (link, applies))| **applies && link.has(role))
                .map(|(index, _)| index)
                .collect()
        };
        let mut commands = BTreeMap::new();
        let mut shown = Vec::new();
        for (index, (link, applies)) in links.iter().zip(&applies).enumerate() {
            let listed = link.manifest().filter(|_| *applies);
            for command in listed.iter().flat_map(|manifest| &manifest.commands) {
                if !commands.contains_key(&command.name) {
                    commands.insert(command.name.clone(), index);
                    let (usage, summary) = (command.usage.clone(), command.summary.clone());
                    shown.push((command.name.clone(), usage, summary));
                }
            }
        }
        shown.sort();
        Self {
            moderation: with(|roles| roles.moderation),
            formatting: with(|roles| roles.formatting),
            review: with(|roles| roles.review),
            judges_twice: links.iter().zip(&applies).any(|(link, applies)| {
                let roles = link.manifest().map(|manifest| manifest.roles);
                *applies && roles.is_some_and(|roles| roles.moderation && roles.review)
            }),
            commands,
            shown: shown.into(),
            applies,
        }
    }

    /// Whether a link applies.
    pub fn applies(&self, link: usize) -> bool {
        self.applies.get(link).copied().unwrap_or(false)
    }

    fn links(&self, role: Role) -> &[usize] {
        match role {
            Role::Moderation => &self.moderation,
            Role::Formatting => &self.formatting,
            Role::Review => &self.review,
        }
    }
}

/// The answers of all rooms.
#[derive(Default)]
pub struct Reaches {
    /// Set where every link applies in every room.
    everywhere: Option<Arc<Reached>>,
    /// The commands of all rooms.
    pub shown: Arc<[Shown]>,
    rooms: HashMap<RoomId, Arc<Reached>, foldhash::fast::RandomState>,
    kinds: BTreeMap<Vec<bool>, Arc<Reached>>,
}

impl Reaches {
    /// Of these links; nothing that was known before holds any more.
    pub fn of(links: &[Link]) -> Self {
        let all_apply = links
            .iter()
            .all(|link| link.reach().is_none_or(|reach| reach.is_everywhere()));
        let all = Arc::new(Reached::of(links, vec![true; links.len()]));
        Self {
            shown: all.shown.clone(),
            everywhere: all_apply.then_some(all),
            ..Self::default()
        }
    }

    /// What applies in a room.
    pub fn in_room(&mut self, links: &[Link], scope: &Scope, room: RoomId) -> Arc<Reached> {
        if let Some(reached) = self.everywhere.as_ref().or_else(|| self.rooms.get(&room)) {
            return reached.clone();
        }
        if self.rooms.len() >= ROOMS {
            self.rooms.clear();
            self.kinds.clear();
        }
        let name = scope.name_of(room);
        let applies: Vec<bool> = links
            .iter()
            .map(|link| link.reach().is_none_or(|reach| reach.includes(&name)))
            .collect();
        let reached = match self.kinds.get(&applies) {
            Some(reached) => reached.clone(),
            None => {
                let reached = Arc::new(Reached::of(links, applies.clone()));
                self.kinds.insert(applies, reached.clone());
                reached
            }
        };
        // A store that fails has no names, and ends the attempt a moment later.
        if !name.is_empty() {
            self.rooms.insert(room, reached.clone());
        }
        reached
    }

    /// What applies to each of these.
    pub fn of_batch(&mut self, links: &[Link], scope: &Scope, ats: &[At]) -> BatchReached {
        if let Some(everywhere) = &self.everywhere {
            return BatchReached::One(everywhere.clone());
        }
        let mut each: Vec<Arc<Reached>> = ats
            .iter()
            .map(|at| self.in_room(links, scope, at.room))
            .collect();
        let same = |pair: &[Arc<Reached>]| matches!(pair, [a, b] if Arc::ptr_eq(a, b));
        if each.windows(2).all(same) {
            return BatchReached::One(each.pop().unwrap_or_default());
        }
        BatchReached::Each(each)
    }
}

/// What applies to the messages of a batch.
pub enum BatchReached {
    /// The same to all.
    One(Arc<Reached>),
    /// To each its own.
    Each(Vec<Arc<Reached>>),
}

impl BatchReached {
    /// The links with a role that apply to any of them, in order.
    pub fn links(&self, role: Role) -> Vec<usize> {
        match self {
            Self::One(reached) => reached.links(role).to_vec(),
            Self::Each(each) => {
                let mut links: Vec<usize> = each
                    .iter()
                    .flat_map(|reached| reached.links(role).iter().copied())
                    .collect();
                links.sort_unstable();
                links.dedup();
                links
            }
        }
    }

    /// Whether a link applies to one of them.
    pub fn applies(&self, item: usize, link: usize) -> bool {
        match self {
            Self::One(reached) => reached.applies(link),
            Self::Each(each) => each.get(item).is_some_and(|reached| reached.applies(link)),
        }
    }
}
