//! The chain: the plugins in force, as one partition runs them.
//!
//! Batches go through plugin by plugin, and past those that do not apply in a message's room. A plugin in quarantine is
//! not called, and its policy decides. Knows plugins and segments' indices; does not know records.

use std::sync::Arc;

use tokio::sync::watch;

use super::callee::Callee;
use super::judged::{Judged, Silent, Stopped};
use super::link::{Asked, Asking, Link};
use super::reached::{BatchReached, Reached, Reaches, Role};
use super::scope::{At, Scope};
use crate::plugin::{
    Answer, Effect, Fault, FormatItem, Instance, Message, Plugin, PluginSet, Policy, Run, TextBody,
    Timer, Verdict,
};
use crate::state::ids::RoomId;

/// See the module.
pub struct Chain {
    sets: watch::Receiver<Arc<PluginSet>>,
    version: Option<u64>,
    links: Vec<Link>,
    reaches: Reaches,
    scope: Arc<Scope>,
    batch: usize,
}

impl Chain {
    /// Follows the sets; instances are made when they are first needed.
    pub fn new(sets: watch::Receiver<Arc<PluginSet>>, scope: Arc<Scope>, batch: usize) -> Self {
        Self {
            sets,
            version: None,
            links: Vec::new(),
            reaches: Reaches::default(),
            scope,
            batch: batch.max(1),
        }
    }

    /// Takes the newest set. Called between two segments, so a reload takes effect between two messages.
    pub fn refresh(&mut self) {
        for link in &mut self.links {
            link.bound_current();
        }
        let set = self.sets.borrow_and_update().clone();
        if self.version == Some(set.version) {
            return;
        }
        self.version = Some(set.version);
        let mut old = std::mem::take(&mut self.links);
        let mut callee = |plugin: &Arc<dyn Plugin>| {
            let kept = old.iter_mut().find_map(|link| link.take(plugin));
            kept.unwrap_or_else(|| Callee::new(plugin.clone()))
        };
        let (shadows, live): (Vec<_>, Vec<_>) = set
            .plugins
            .iter()
            .partition(|plugin| plugin.shadow().is_some());
        for plugin in live {
            self.links.push(Link::of(callee(plugin)));
        }
        for plugin in shadows {
            let name = &plugin.manifest().name;
            match self.links.iter_mut().find(|link| link.name() == name) {
                Some(link) => link.add(callee(plugin)),
                // Of none: whatever its place, nobody sees what it answers.
                None => self.links.push(Link::of(callee(plugin))),
            }
        }
        self.reaches = Reaches::of(&self.links);
        self.scope.set_commands(self.reaches.shown.clone());
        let layouts = self
            .links
            .iter()
            .map(|link| (link.name().to_owned(), link.layout()));
        self.scope
            .set_layouts(layouts.filter(|(_, layout)| *layout > 0).collect());
    }

    /// What a plugin remembers was changed by another hand: its instances, whose memory may hold what was, go.
    pub fn forget(&mut self, plugin: &str) {
        for link in &mut self.links {
            if link.name() == plugin {
                link.forget();
            }
        }
    }

    fn in_room(&mut self, room: RoomId) -> Arc<Reached> {
        self.reaches.in_room(&self.links, &self.scope, room)
    }

    /// Whether a message in this room is to end its segment.
    pub fn judges_twice(&mut self, room: RoomId) -> bool {
        self.in_room(room).judges_twice
    }

    /// Whether any command is there in a room.
    pub fn has_commands(&mut self, room: RoomId) -> bool {
        !self.in_room(room).commands.is_empty()
    }

    /// The link and the bare name of a command as typed: `name` or `plugin:name`.
    pub fn find_command(&mut self, room: RoomId, typed: &str) -> Option<(usize, String)> {
        let reached = self.in_room(room);
        if let Some((plugin, name)) = typed.split_once(':') {
            let lists = |link: &Link| {
                link.manifest().is_some_and(|manifest| {
                    manifest.name == plugin && manifest.commands.iter().any(|c| c.name == name)
                })
            };
            let index = self.links.iter().position(lists)?;
            return reached.applies(index).then(|| (index, name.to_owned()));
        }
        let index = reached.commands.get(typed)?;
        Some((*index, typed.to_owned()))
    }

    /// The command whose name is nearest, where one is near.
    pub fn nearest_command(&mut self, room: RoomId, typed: &str) -> Option<String> {
        let reached = self.in_room(room);
        reached
            .commands
            .keys()
            .map(|name| (strsim::damerau_levenshtein(name, typed), name))
            .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
            .min()
            .map(|(_, name)| name.clone())
    }

    /// The name of a link's plugin.
    pub fn name(&self, link: usize) -> String {
        self.links
            .get(link)
            .map_or_else(String::new, |link| link.name().to_owned())
    }

    /// Judges messages before they are commands or are formatted.
    pub fn moderate(&mut self, ats: &[At], mut messages: Vec<Message>) -> Vec<Judged> {
        let mut judged: Vec<Judged> = messages.iter().map(|_| Judged::default()).collect();
        let reached = self.reached(ats);
        for index in reached.links(Role::Moderation) {
            let asked = alive(&judged, &reached, index);
            let answers = self.ask_all(
                index,
                self.asking("moderation", |roles| roles.moderation),
                &asked,
                ats,
                &messages,
                |instance, batch| instance.moderate(batch),
            );
            for (item, answer) in asked.into_iter().zip(answers) {
                let Some(slot) = judged.get_mut(item) else {
                    continue;
                };
                let plugin = self.name(index);
                if let Some(Verdict::Revise(text)) = self.settle(index, slot, plugin, answer, true)
                    && let Some(message) = messages.get_mut(item)
                {
                    message.text.clone_from(&text);
                    slot.text = Some(text);
                }
            }
        }
        judged
    }

    /// Judges what members would read.
    pub fn review(&mut self, ats: &[At], items: &[FormatItem]) -> Vec<Judged> {
        let mut judged: Vec<Judged> = items.iter().map(|_| Judged::default()).collect();
        let reached = self.reached(ats);
        for index in reached.links(Role::Review) {
            let asked = alive(&judged, &reached, index);
            let answers = self.ask_all(
                index,
                self.asking("review", |roles| roles.review),
                &asked,
                ats,
                items,
                |instance, batch| instance.review(batch),
            );
            for (item, answer) in asked.into_iter().zip(answers) {
                if let Some(slot) = judged.get_mut(item) {
                    let plugin = self.name(index);
                    self.settle(index, slot, plugin, answer, true);
                }
            }
        }
        judged
    }

    /// Lays out bodies, in place. A failure leaves the body as it is, or withholds it where the policy says so.
    pub fn format(&mut self, ats: &[At], items: &mut [FormatItem]) -> Vec<Judged> {
        let mut judged: Vec<Judged> = items.iter().map(|_| Judged::default()).collect();
        let reached = self.reached(ats);
        for index in reached.links(Role::Formatting) {
            let asked = alive(&judged, &reached, index);
            let answers: Vec<Result<Option<Vec<Run>>, Silent>> = self.ask_all(
                index,
                self.asking("formatting", |roles| roles.formatting),
                &asked,
                ats,
                items,
                |instance, batch| instance.format(batch),
            );
            for (item, answer) in asked.into_iter().zip(answers) {
                let (Some(slot), Some(body)) = (judged.get_mut(item), items.get_mut(item)) else {
                    continue;
                };
                match answer {
                    Ok(Some(runs)) => body.body = TextBody::Styled(runs),
                    Ok(None) => {}
                    Err(silent) => {
                        let plugin = self.name(index);
                        self.settle(index, slot, plugin, Err(silent), false);
                    }
                }
            }
        }
        judged
    }

    /// Runs a command; `None` where the plugin is gone. The inner error is usage text.
    ///
    /// # Errors
    /// Why it does nothing: it failed, or is in quarantine.
    pub fn command(
        &mut self,
        link: usize,
        name: &str,
        arguments: &str,
        at: At,
        by: &Message,
    ) -> Option<Result<Result<Vec<Effect>, String>, Silent>> {
        self.once(link, "commands", at, &by.text, |instance| {
            instance.run(name, arguments, by)
        })
    }

    /// Tells the plugin that its timer is due; `None` where it is not there, does not apply in the room, or has no
    /// timers any more.
    pub fn fired(
        &mut self,
        plugin: &str,
        at: At,
        due: &Timer,
    ) -> Option<Result<Vec<Effect>, Silent>> {
        let has_timers = |link: &Link| {
            link.manifest()
                .is_some_and(|manifest| manifest.name == plugin && manifest.roles.timers)
        };
        let link = self.links.iter().position(has_timers)?;
        if !self.in_room(at.room).applies(link) {
            return None;
        }
        self.once(link, "timers", at, &due.key, |instance| {
            instance.fired(at.room.0, due)
        })
    }

    /// What a failure of this link means.
    pub fn policy(&self, link: usize, judging: bool) -> Policy {
        self.links
            .get(link)
            .map_or(Policy::Allow, |link| link.policy(judging))
    }

    fn reached(&mut self, ats: &[At]) -> BatchReached {
        self.reaches.of_batch(&self.links, &self.scope, ats)
    }

    fn asking(&self, role: &'static str, has: fn(crate::plugin::Roles) -> bool) -> Asking {
        Asking {
            role,
            has,
            most: self.batch,
        }
    }

    fn ask_all<I: Asked, A: Answer>(
        &mut self,
        link: usize,
        asking: Asking,
        asked: &[usize],
        ats: &[At],
        items: &[I],
        call: impl Fn(&mut dyn Instance, &[I]) -> Result<Vec<A>, Fault>,
    ) -> Vec<Result<A, Silent>> {
        let ats: Vec<At> = asked.iter().filter_map(|i| ats.get(*i).copied()).collect();
        let items: Vec<I> = asked
            .iter()
            .filter_map(|i| items.get(*i).cloned())
            .collect();
        match self.links.get_mut(link) {
            Some(link) => link.ask_all(&self.scope, asking, &ats, &items, call),
            None => Vec::new(),
        }
    }

    fn once<A: Answer>(
        &mut self,
        link: usize,
        role: &'static str,
        at: At,
        text: &str,
        call: impl Fn(&mut dyn Instance) -> Result<A, Fault>,
    ) -> Option<Result<A, Silent>> {
        // What `/help` lists: in batches, which may be of many rooms, it is all there are.
        let shown = self.in_room(at.room).shown.clone();
        self.scope.set_commands(shown);
        let link = self.links.get_mut(link)?;
        let answer = link.ask_once(&self.scope, role, at, text, call);
        self.scope.set_commands(self.reaches.shown.clone());
        answer
    }

    /// Enters an answer; gives back a revision.
    fn settle(
        &self,
        link: usize,
        slot: &mut Judged,
        plugin: String,
        answer: Result<Verdict, Silent>,
        judging: bool,
    ) -> Option<Verdict> {
        match answer {
            Ok(Verdict::Allow) => None,
            Ok(revised @ Verdict::Revise(_)) => Some(revised),
            Ok(Verdict::Withhold(reason)) => {
                slot.stopped = Some(Stopped {
                    reason: Some(reason),
                    plugin,
                });
                None
            }
            Ok(Verdict::Discard) => {
                slot.stopped = Some(Stopped {
                    reason: None,
                    plugin,
                });
                None
            }
            Err(silent) => {
                if self.policy(link, judging) == Policy::Withhold {
                    slot.stopped = Some(Stopped {
                        reason: Some(silent.words(&plugin)),
                        plugin,
                    });
                }
                if let Silent::Failed(failure) = silent {
                    slot.failures.push(*failure);
                }
                None
            }
        }
    }
}

/// What a link is to be asked about: what is still to be delivered, where it applies.
fn alive(judged: &[Judged], reached: &BatchReached, link: usize) -> Vec<usize> {
    judged
        .iter()
        .enumerate()
        .filter(|(item, judged)| judged.stopped.is_none() && reached.applies(*item, link))
        .map(|(item, _)| item)
        .collect()
}
