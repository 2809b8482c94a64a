//! The chain: the plugins in force, as one partition runs them.
//!
//! Batches go through plugin by plugin. Where a batch fails, its messages run again one at a time on fresh instances,
//! so that only the guilty one meets the failure policy. A plugin in quarantine is not called, and its policy decides.
//! Knows plugins and segments' indices; does not know records.

mod migration;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::judged::{Judged, Silent, Stopped};
use super::scope::{At, Scope};
use crate::plugin::{
    Blame, Effect, Fault, FormatItem, Instance, Message, Meter, Plugin, PluginSet, Policy, Roles,
    Run, TextBody, Timer, Verdict,
};
use crate::proto::log::v1::Failure;
use crate::state::ids::RoomId;

/// One of the plugins in force.
struct Link {
    plugin: Arc<dyn Plugin>,
    instance: Option<Box<dyn Instance>>,
    meter: Meter,
    /// Rooms whose memory is known to be in the plugin's own layout.
    current: HashSet<RoomId>,
}

/// See the module.
pub struct Chain {
    sets: watch::Receiver<Arc<PluginSet>>,
    version: Option<u64>,
    links: Vec<Link>,
    /// Command to link; `/plugin:name` is looked up apart.
    commands: BTreeMap<String, usize>,
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
            commands: BTreeMap::new(),
            scope,
            batch: batch.max(1),
        }
    }

    /// Takes the newest set. Called between two segments, so a reload takes effect between two messages.
    pub fn refresh(&mut self) {
        self.bound_current();
        let set = self.sets.borrow_and_update().clone();
        if self.version == Some(set.version) {
            return;
        }
        self.version = Some(set.version);
        let mut old = std::mem::take(&mut self.links);
        self.links = set
            .plugins
            .iter()
            .map(|plugin| {
                let kept = old
                    .iter_mut()
                    .find(|link| Arc::ptr_eq(&link.plugin, plugin))
                    .map(|link| {
                        let current = std::mem::take(&mut link.current);
                        (
                            link.instance.take(),
                            std::mem::take(&mut link.meter),
                            current,
                        )
                    });
                let (instance, meter, current) = kept.unwrap_or_default();
                Link {
                    plugin: plugin.clone(),
                    instance,
                    meter,
                    current,
                }
            })
            .collect();
        self.commands.clear();
        let mut shown = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            for command in &link.plugin.manifest().commands {
                if !self.commands.contains_key(&command.name) {
                    self.commands.insert(command.name.clone(), index);
                    shown.push((
                        command.name.clone(),
                        command.usage.clone(),
                        command.summary.clone(),
                    ));
                }
            }
        }
        shown.sort();
        self.scope.set_commands(shown);
        self.scope.set_layouts(self.layouts());
    }

    /// What a plugin remembers was changed by another hand: its instance, whose memory may hold what was, goes.
    pub fn forget(&mut self, plugin: &str) {
        for link in &mut self.links {
            if link.plugin.manifest().name == plugin {
                link.instance = None;
                link.current.clear();
            }
        }
    }

    /// Whether any command is loaded.
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// The link and the bare name of a command as typed: `name` or `plugin:name`.
    pub fn find_command(&self, typed: &str) -> Option<(usize, String)> {
        if let Some((plugin, name)) = typed.split_once(':') {
            let index = self.links.iter().position(|link| {
                let manifest = link.plugin.manifest();
                manifest.name == plugin && manifest.commands.iter().any(|c| c.name == name)
            })?;
            return Some((index, name.to_owned()));
        }
        self.commands
            .get(typed)
            .map(|index| (*index, typed.to_owned()))
    }

    /// The command whose name is nearest, where one is near.
    pub fn nearest_command(&self, typed: &str) -> Option<&str> {
        self.commands
            .keys()
            .map(|name| (strsim::damerau_levenshtein(name, typed), name))
            .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
            .min()
            .map(|(_, name)| name.as_str())
    }

    /// The name of a link's plugin.
    pub fn name(&self, link: usize) -> String {
        self.links
            .get(link)
            .map_or_else(String::new, |l| l.plugin.manifest().name.clone())
    }

    /// Judges messages before they are commands or are formatted.
    pub fn moderate(&mut self, ats: &[At], mut messages: Vec<Message>) -> Vec<Judged> {
        let mut judged: Vec<Judged> = messages.iter().map(|_| Judged::default()).collect();
        for index in self.with_role(|roles| roles.moderation) {
            let alive: Vec<usize> = alive(&judged);
            let answers = self.run_batches(
                index,
                "moderation",
                &alive,
                ats,
                &messages,
                |instance, batch| instance.moderate(batch),
            );
            for (item, answer) in alive.into_iter().zip(answers) {
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
        for index in self.with_role(|roles| roles.review) {
            let alive = alive(&judged);
            let answers =
                self.run_batches(index, "review", &alive, ats, items, |instance, batch| {
                    instance.review(batch)
                });
            for (item, answer) in alive.into_iter().zip(answers) {
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
        for index in self.with_role(|roles| roles.formatting) {
            let alive = alive(&judged);
            let answers: Vec<Result<Option<Vec<Run>>, Silent>> = self.run_batches(
                index,
                "formatting",
                &alive,
                ats,
                items,
                |instance, batch| instance.format(batch),
            );
            for (item, answer) in alive.into_iter().zip(answers) {
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

    /// Runs a command. The inner error is usage text.
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
    ) -> Result<Result<Vec<Effect>, String>, Silent> {
        self.once(link, "commands", at, |instance| {
            instance.run(name, arguments, by)
        })
    }

    /// Tells the plugin that its timer is due; `None` where it is not there, or has no timers any more.
    pub fn fired(
        &mut self,
        plugin: &str,
        at: At,
        due: &Timer,
    ) -> Option<Result<Vec<Effect>, Silent>> {
        let link = self.links.iter().position(|link| {
            let manifest = link.plugin.manifest();
            manifest.name == plugin && manifest.roles.timers
        })?;
        Some(self.once(link, "timers", at, |instance| {
            instance.fired(at.room.0, due)
        }))
    }

    /// What a failure of this link means.
    pub fn policy(&self, link: usize, judging: bool) -> Policy {
        self.links
            .get(link)
            .map_or(Policy::Allow, |l| l.plugin.policy(judging))
    }

    fn with_role(&self, has: impl Fn(Roles) -> bool) -> Vec<usize> {
        (0..self.links.len())
            .filter(|i| {
                self.links
                    .get(*i)
                    .is_some_and(|link| has(link.plugin.manifest().roles))
            })
            .collect()
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

    /// Calls a plugin with the items of `alive`, in batches; one at a time where a batch fails.
    fn run_batches<I: Clone, A>(
        &mut self,
        link: usize,
        role: &'static str,
        alive: &[usize],
        ats: &[At],
        items: &[I],
        call: impl Fn(&mut dyn Instance, &[I]) -> Result<Vec<A>, Fault>,
    ) -> Vec<Result<A, Silent>> {
        let wanted = self
            .links
            .get(link)
            .map_or(0, |l| l.plugin.manifest().batch);
        let size = match usize::try_from(wanted) {
            Ok(wanted) if wanted > 0 => wanted.min(self.batch),
            _ => self.batch,
        };
        let mut answers = Vec::with_capacity(alive.len());
        for chunk in alive.chunks(size) {
            if let Some(left) = self.quarantined(link) {
                answers.extend(chunk.iter().map(|_| Err(Silent::Quarantined(left))));
                continue;
            }
            let at: Vec<At> = chunk.iter().filter_map(|i| ats.get(*i).copied()).collect();
            let batch: Vec<I> = chunk
                .iter()
                .filter_map(|i| items.get(*i).cloned())
                .collect();
            let called = self
                .bring_along(link, role, &at)
                .and_then(|()| self.call(link, at.clone(), |instance| call(instance, &batch)));
            match called {
                Ok(answer) if answer.len() == batch.len() => {
                    answers.extend(answer.into_iter().map(Ok));
                    continue;
                }
                Ok(_) => {}
                Err(fault) if batch.len() == 1 => {
                    answers.push(Err(self.failure(link, role, &fault)));
                    continue;
                }
                Err(_) => {}
            }
            for (at, item) in at.into_iter().zip(&batch) {
                // It may have failed once too often within this very batch.
                if let Some(left) = self.quarantined(link) {
                    answers.push(Err(Silent::Quarantined(left)));
                    continue;
                }
                let one = std::slice::from_ref(item);
                let answer = self
                    .bring_along(link, role, &[at])
                    .and_then(|()| self.call(link, vec![at], |instance| call(instance, one)))
                    .and_then(|answer| {
                        answer
                            .into_iter()
                            .next()
                            .ok_or_else(|| fault(Blame::Answer, "no answer to a message"))
                    });
                answers.push(answer.map_err(|fault| self.failure(link, role, &fault)));
            }
        }
        answers
    }

    /// Calls a plugin about one thing. What it is asked is not batched, so a failure is the message's own.
    fn once<A>(
        &mut self,
        link: usize,
        role: &'static str,
        at: At,
        call: impl Fn(&mut dyn Instance) -> Result<A, Fault>,
    ) -> Result<A, Silent> {
        if let Some(left) = self.quarantined(link) {
            return Err(Silent::Quarantined(left));
        }
        self.bring_along(link, role, &[at])
            .and_then(|()| self.call(link, vec![at], &call))
            .map_err(|fault| self.failure(link, role, &fault))
    }

    /// One call on the warm instance, or on a fresh one where there is none. A fault costs the instance.
    fn call<A>(
        &mut self,
        link: usize,
        at: Vec<At>,
        call: impl FnOnce(&mut dyn Instance) -> Result<A, Fault>,
    ) -> Result<A, Fault> {
        let scope = self.scope.clone();
        let Some(link) = self.links.get_mut(link) else {
            return Err(fault(Blame::Host, "the plugin is gone"));
        };
        let began = Instant::now();
        let warm = match link.instance.take() {
            Some(instance) => Ok(instance),
            None => link.plugin.instance(scope.clone()),
        };
        let answer = warm.and_then(|mut instance| {
            scope.begin(at);
            let answer = call(instance.as_mut());
            if answer.is_ok() {
                scope.keep();
                link.instance = Some(instance);
            } else {
                scope.drop_call();
            }
            answer
        });
        if let Some(standing) = link.plugin.standing() {
            standing.called(&mut link.meter, began);
        }
        answer
    }

    /// How long a plugin is not to be called yet.
    fn quarantined(&self, link: usize) -> Option<Duration> {
        self.links.get(link)?.plugin.standing()?.quarantined()
    }

    fn failure(&self, link: usize, role: &'static str, fault: &Fault) -> Silent {
        let judging = matches!(role, "moderation" | "review");
        let policy = self.policy(link, judging);
        let (plugin, version) = self.links.get(link).map_or_else(Default::default, |l| {
            let manifest = l.plugin.manifest();
            (manifest.name.clone(), manifest.version.clone())
        });
        warn!(%plugin, %version, role, blame = %fault.blame, detail = %fault.detail, "plugin failed");
        debug!(%plugin, last_words = %fault.last_words, "plugin failed");
        if let Some(standing) = self.links.get(link).and_then(|l| l.plugin.standing()) {
            standing.failed(fault.blame);
        }
        Silent::Failed(Box::new(Failure {
            plugin,
            version,
            role: role.into(),
            kind: fault.blame.word().into(),
            detail: fault.whole(),
            policy: match policy {
                Policy::Allow => "allow",
                Policy::Withhold => "withhold",
            }
            .into(),
        }))
    }
}

fn alive(judged: &[Judged]) -> Vec<usize> {
    judged
        .iter()
        .enumerate()
        .filter(|(_, j)| j.stopped.is_none())
        .map(|(i, _)| i)
        .collect()
}

fn fault(blame: Blame, detail: &str) -> Fault {
    Fault {
        blame,
        detail: detail.into(),
        last_words: String::new(),
    }
}
