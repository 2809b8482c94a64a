//! A link of the chain: the version of a plugin that is in force, and one that may run in its shadow.
//!
//! Batches go to both, to the shadow first, so that both see the same state. Where a batch fails, its messages run again
//! one at a time on fresh instances, so that only the guilty one meets the failure policy.

use std::sync::Arc;

use super::callee::Callee;
use super::judged::Silent;
use super::scope::{At, Scope};
use crate::plugin::{
    Answer, Blame, Example, Fault, FormatItem, Instance, Manifest, Message, Plugin, Policy, Reach,
    Roles, Run, TextBody,
};

/// See the module. One of both is there.
#[derive(Default)]
pub struct Link {
    live: Option<Callee>,
    shadow: Option<Callee>,
}

/// A role that is asked in batches, and whether its failure withholds where nothing else is said.
#[derive(Clone, Copy)]
pub struct Asking {
    /// `moderation`, `formatting`, `review`.
    pub role: &'static str,
    /// Whether a version has it.
    pub has: fn(Roles) -> bool,
    /// The most items at once.
    pub most: usize,
}

/// What a batch is made of.
pub trait Asked: Clone {
    /// Its text, for an example.
    fn text(&self) -> String;
}

impl Asked for Message {
    fn text(&self) -> String {
        self.text.clone()
    }
}

impl Asked for FormatItem {
    fn text(&self) -> String {
        match &self.body {
            TextBody::Plain(text) => text.clone(),
            TextBody::Styled(runs) => runs.iter().map(|run: &Run| run.text.as_str()).collect(),
        }
    }
}

impl Link {
    /// Of one version.
    pub fn of(callee: Callee) -> Self {
        let mut link = Self::default();
        link.add(callee);
        link
    }

    /// Adds a version: to the live one's place or to the shadow's.
    pub fn add(&mut self, callee: Callee) {
        if callee.plugin.shadow().is_some() {
            self.shadow = Some(callee);
        } else {
            self.live = Some(callee);
        }
    }

    /// Takes a version out, with its warm instance.
    pub fn take(&mut self, plugin: &Arc<dyn Plugin>) -> Option<Callee> {
        [&mut self.live, &mut self.shadow]
            .into_iter()
            .find(|place| {
                place
                    .as_ref()
                    .is_some_and(|callee| Arc::ptr_eq(&callee.plugin, plugin))
            })?
            .take()
    }

    fn one(&self) -> Option<&Callee> {
        self.live.as_ref().or(self.shadow.as_ref())
    }

    /// The plugin's name, whichever version.
    pub fn name(&self) -> &str {
        self.one()
            .map_or("", |callee| &callee.plugin.manifest().name)
    }

    /// What the version in force says of itself.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.live.as_ref().map(|callee| callee.plugin.manifest())
    }

    /// In which rooms it is asked; none: in all.
    pub fn reach(&self) -> Option<&Reach> {
        self.one()?.plugin.reach()
    }

    /// Whether either version has a role.
    pub fn has(&self, role: impl Fn(Roles) -> bool) -> bool {
        [&self.live, &self.shadow]
            .into_iter()
            .flatten()
            .any(|callee| role(callee.plugin.manifest().roles))
    }

    /// In which layout the version in force writes what it remembers.
    pub fn layout(&self) -> u32 {
        self.live
            .as_ref()
            .map_or(0, |callee| callee.plugin.layout())
    }

    /// Throws the instances away, and what is known of rooms.
    pub fn forget(&mut self) {
        for callee in [&mut self.live, &mut self.shadow].into_iter().flatten() {
            callee.instance = None;
            callee.current.clear();
        }
    }

    /// See [`Callee::bound_current`].
    pub fn bound_current(&mut self) {
        if let Some(live) = &mut self.live {
            live.bound_current();
        }
    }

    /// What a failure means.
    pub fn policy(&self, judging: bool) -> Policy {
        self.live
            .as_ref()
            .map_or(Policy::Allow, |callee| callee.policy(judging))
    }

    /// As many answers as items. Where no version in force has the role, that nothing is answered.
    pub fn ask_all<I: Asked, A: Answer>(
        &mut self,
        scope: &Arc<Scope>,
        asking: Asking,
        ats: &[At],
        items: &[I],
        call: impl Fn(&mut dyn Instance, &[I]) -> Result<Vec<A>, Fault>,
    ) -> Vec<Result<A, Silent>> {
        let has = |callee: &&mut Callee| (asking.has)(callee.plugin.manifest().roles);
        let mut live = self.live.as_mut().filter(has);
        let mut shadow = self.shadow.as_mut().filter(has);
        let size = [&live, &shadow]
            .into_iter()
            .flatten()
            .filter_map(|callee| usize::try_from(callee.plugin.manifest().batch).ok())
            .filter(|wanted| *wanted > 0)
            .fold(asking.most, usize::min);
        let mut answers = Vec::with_capacity(items.len());
        for (at, batch) in ats.chunks(size).zip(items.chunks(size)) {
            let beside = shadow
                .as_mut()
                .and_then(|shadow| beside(shadow, scope, asking.role, at, |i| call(i, batch)));
            let from = answers.len();
            match &mut live {
                Some(live) => ask(live, scope, asking.role, at, batch, &call, &mut answers),
                None => answers.extend(batch.iter().map(|_| Ok(A::nothing()))),
            }
            if let (Some(shadow), Some(beside)) = (&shadow, beside) {
                let asked = batch.iter().map(Asked::text);
                let answered = answers.get(from..).unwrap_or_default();
                compare(shadow, scope, asking.role, at, asked, answered, beside);
            }
        }
        answers
    }

    /// Asks about one thing. What is asked is not batched, so a failure is the message's own.
    pub fn ask_once<A: Answer>(
        &mut self,
        scope: &Arc<Scope>,
        role: &'static str,
        at: At,
        text: &str,
        call: impl Fn(&mut dyn Instance) -> Result<A, Fault>,
    ) -> Option<Result<A, Silent>> {
        let live = self.live.as_mut()?;
        if let Some(left) = live.quarantined() {
            return Some(Err(Silent::Quarantined(left)));
        }
        let knows = |shadow: &&mut Callee| match role {
            "timers" => shadow.plugin.manifest().roles.timers,
            _ => shadow.plugin.manifest().roles.commands,
        };
        let mut shadow = self.shadow.as_mut().filter(knows);
        let beside = shadow.as_mut().and_then(|shadow| {
            beside(shadow, scope, role, &[at], |i| {
                call(i).map(|answer| vec![answer])
            })
        });
        let answer = live
            .bring_along(scope, role, &[at])
            .and_then(|()| live.call(scope, vec![at], &call))
            .map_err(|fault| live.failure(role, &fault));
        let answered = [answer];
        if let (Some(shadow), Some(beside)) = (&shadow, beside) {
            let asked = std::iter::once(text.to_owned());
            compare(shadow, scope, role, &[at], asked, &answered, beside);
        }
        answered.into_iter().next()
    }
}

/// Asks the version in force about a batch, and one at a time where that fails.
fn ask<I: Clone, A>(
    live: &mut Callee,
    scope: &Arc<Scope>,
    role: &'static str,
    ats: &[At],
    batch: &[I],
    call: impl Fn(&mut dyn Instance, &[I]) -> Result<Vec<A>, Fault>,
    answers: &mut Vec<Result<A, Silent>>,
) {
    if let Some(left) = live.quarantined() {
        answers.extend(batch.iter().map(|_| Err(Silent::Quarantined(left))));
        return;
    }
    let answer = live
        .bring_along(scope, role, ats)
        .and_then(|()| live.call(scope, ats.to_vec(), |i| dense(call(i, batch)?, batch)));
    match answer {
        Ok(answer) => {
            answers.extend(answer.into_iter().map(Ok));
            return;
        }
        Err(fault) if batch.len() == 1 => {
            answers.push(Err(live.failure(role, &fault)));
            return;
        }
        Err(_) => {}
    }
    for (at, item) in ats.iter().zip(batch) {
        // It may have failed once too often within this very batch.
        if let Some(left) = live.quarantined() {
            answers.push(Err(Silent::Quarantined(left)));
            continue;
        }
        let one = std::slice::from_ref(item);
        let answer = live
            .bring_along(scope, role, &[*at])
            .and_then(|()| live.call(scope, vec![*at], |i| dense(call(i, one)?, one)))
            .and_then(|answer| answer.into_iter().next().ok_or_else(no_answer));
        answers.push(answer.map_err(|fault| live.failure(role, &fault)));
    }
}

/// What the version in the shadow would answer, or that it fails; none where it is in quarantine, or can't read what the
/// version in force remembers.
fn beside<A>(
    shadow: &mut Callee,
    scope: &Arc<Scope>,
    role: &'static str,
    ats: &[At],
    call: impl FnOnce(&mut dyn Instance) -> Result<Vec<A>, Fault>,
) -> Option<Result<Vec<A>, Fault>> {
    if shadow.quarantined().is_some() || !shadow.can_read(scope, role, ats) {
        return None;
    }
    let answer =
        shadow
            .call(scope, ats.to_vec(), call)
            .and_then(|answer| match answer.len() == ats.len() {
                true => Ok(answer),
                false => Err(no_answer()),
            });
    if let Err(fault) = &answer {
        shadow.failure(role, fault);
    }
    Some(answer)
}

fn compare<A: Answer>(
    shadow: &Callee,
    scope: &Scope,
    role: &'static str,
    ats: &[At],
    asked: impl Iterator<Item = String>,
    answered: &[Result<A, Silent>],
    beside: Result<Vec<A>, Fault>,
) {
    let Some(comparison) = shadow.plugin.shadow() else {
        return;
    };
    let differ = |at: &At, text: String, in_force: &Result<A, Silent>, shadow: String| {
        comparison.differ(Example {
            room: scope.name_of(at.room),
            role: role.into(),
            text,
            in_force: match in_force {
                Ok(answer) => answer.words(),
                Err(Silent::Failed(failure)) => format!("fails: {}", failure.kind),
                Err(Silent::Quarantined(_)) => "is in quarantine".into(),
            },
            shadow,
        });
    };
    match beside {
        Ok(beside) => {
            for (((at, text), answered), beside) in ats.iter().zip(asked).zip(answered).zip(&beside)
            {
                if answered.as_ref().is_ok_and(|answer| answer == beside) {
                    comparison.alike();
                } else {
                    differ(at, text, answered, beside.words());
                }
            }
        }
        // Which message of the batch it was is not known, and not worth running all of them again.
        Err(fault) => {
            comparison.failed.add(1);
            if let (Some(at), Some(text), Some(answered)) =
                (ats.first(), { asked }.next(), answered.first())
            {
                let among = match ats.len() {
                    1 => String::new(),
                    others => format!(", at one of {others} messages"),
                };
                differ(at, text, answered, format!("fails: {fault}{among}"));
            }
        }
    }
}

/// As many answers as were asked for: else nothing that the call did may be kept.
fn dense<A, I>(answers: Vec<A>, asked: &[I]) -> Result<Vec<A>, Fault> {
    match answers.len() == asked.len() {
        true => Ok(answers),
        false => Err(no_answer()),
    }
}

fn no_answer() -> Fault {
    Fault {
        blame: Blame::Answer,
        detail: "no answer to a message".into(),
        last_words: String::new(),
    }
}
