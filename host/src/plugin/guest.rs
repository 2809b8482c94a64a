//! One instance of a component: calls into it, within its limits, and checks what it answers.
//!
//! Each has a store of its own, so nothing it does can reach another. Does not know files, versions or partitions.

use std::sync::Arc;

use wasmtime::Store;

use super::bindings::exports::chat::plugin::plugin::Manifest as SaidManifest;
use super::component::{Exports, Linked};
use super::drive::drive;
use super::engine::Engine;
use super::fault::{of_error, of_overdue};
use super::limits::{Deadline, Limits};
use super::outside::{Outside, Phase};
use super::{
    Calls, Effect, Fault, FormatItem, Instance, Message, Remembered, Run, Timer, Verdict, check,
    convert,
};

/// What a guest may hand to the host in one call, in bytes: bounds what the host allocates for it, on top of the
/// instance's own memory, out of which it must come.
const HANDED_OVER_BYTES: usize = 16 << 20;

/// Handles of the component model that an instance may hold at once.
const HANDLES: usize = 1_000;

/// A live instance.
pub(super) struct Guest {
    engine: Engine,
    store: Store<Outside>,
    exports: Exports,
    limits: Limits,
    /// After a fault the instance's memory is not to be trusted.
    failed: bool,
}

impl Guest {
    /// Instantiates, without `start`.
    ///
    /// # Errors
    /// A fault of the guest's own initialization, or of the host where it has no room.
    pub(super) fn new(
        engine: &Engine,
        linked: &Linked,
        limits: Limits,
        outside: Outside,
    ) -> Result<Self, Fault> {
        let mut store = Store::new(engine.wasmtime(), outside);
        store.limiter(|outside| &mut outside.memory);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(HANDED_OVER_BYTES);
        store.set_max_component_handles(HANDLES);
        let exports = call(
            engine,
            &mut store,
            Phase::Describing,
            1,
            limits.starting(),
            async |store| {
                let instance = linked.pre().instantiate_async(&mut *store).await?;
                linked.exports(store, &instance)
            },
        )?;
        Ok(Self {
            engine: engine.clone(),
            store,
            exports,
            limits,
            failed: false,
        })
    }

    /// What the plugin says of itself.
    ///
    /// # Errors
    /// A fault.
    pub(super) fn describe(&mut self) -> Result<SaidManifest, Fault> {
        let deadline = self.limits.starting();
        let plugin = self.exports.plugin.clone();
        self.call(Phase::Describing, 1, deadline, async |store| {
            plugin.call_describe(store).await
        })
    }

    /// The layout in which it writes what it remembers; 0 where it knows of none.
    ///
    /// # Errors
    /// A fault.
    pub(super) fn layout(&mut self) -> Result<u32, Fault> {
        let Some(migration) = self.exports.migration.clone() else {
            return Ok(0);
        };
        let deadline = self.limits.starting();
        let layout = self.call(Phase::Describing, 1, deadline, async |store| {
            migration.call_layout(store).await
        })?;
        self.checked(layout, check::layout(layout))
    }

    /// Gives the plugin its settings. The inner error is the plugin's own text.
    ///
    /// # Errors
    /// A fault.
    pub(super) fn start(&mut self, settings: &str) -> Result<Result<(), String>, Fault> {
        let deadline = self.limits.starting();
        let plugin = self.exports.plugin.clone();
        self.call(Phase::Starting, 1, deadline, async |store| {
            plugin.call_start(store, settings).await
        })
    }

    /// Linear memory that the instance has, in bytes.
    pub(super) fn memory_held(&self) -> usize {
        self.store.data().memory.held
    }

    /// Whom the instance asks from now on.
    pub(super) fn serve(&mut self, calls: Arc<dyn Calls>) {
        self.store.data_mut().serve(calls);
    }

    /// A call of a role for `messages` of a batch.
    fn ask<R>(
        &mut self,
        phase: Phase,
        messages: usize,
        ask: impl AsyncFnOnce(&mut Store<Outside>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let deadline = self.limits.batch(messages);
        self.call(phase, messages, deadline, ask)
    }

    fn call<R>(
        &mut self,
        phase: Phase,
        messages: usize,
        deadline: Deadline,
        ask: impl AsyncFnOnce(&mut Store<Outside>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        if self.failed {
            return Err(Fault::host("an instance was called after it failed"));
        }
        let answer = call(
            &self.engine,
            &mut self.store,
            phase,
            messages,
            deadline,
            ask,
        );
        self.failed = answer.is_err();
        answer
    }

    /// Fails the instance for an answer that breaks the interface.
    fn checked<R>(&mut self, answer: R, check: Result<(), Fault>) -> Result<R, Fault> {
        self.failed = check.is_err();
        check.map(|()| answer).map_err(|fault| Fault {
            last_words: self.store.data().output.last_lines(),
            ..fault
        })
    }
}

/// Runs guest code in `store` until it answers, traps or is overdue.
fn call<R>(
    engine: &Engine,
    store: &mut Store<Outside>,
    phase: Phase,
    messages: usize,
    deadline: Deadline,
    run: impl AsyncFnOnce(&mut Store<Outside>) -> wasmtime::Result<R>,
) -> Result<R, Fault> {
    store.data_mut().begin(phase, messages);
    store.set_epoch_deadline(1);
    let _clocks = engine.clocks();
    let answer = drive(run(store), deadline);
    store.data_mut().end();
    let fault = match answer {
        Ok(Ok(answer)) => match store.data_mut().broken.take() {
            None => return Ok(answer),
            Some(broken) => Fault::answer(&broken),
        },
        Ok(Err(error)) => of_error(&error, store.data_mut()),
        Err(overdue) => of_overdue(overdue),
    };
    Err(Fault {
        last_words: store.data().output.last_lines(),
        ..fault
    })
}

/// A role that the manifest does not list.
fn no_role(role: &str) -> Fault {
    Fault::host(&format!("the plugin does not have the role `{role}`"))
}

impl Instance for Guest {
    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Fault> {
        let Some(moderation) = self.exports.moderation.clone() else {
            return Err(no_role("moderation"));
        };
        let messages: Vec<_> = batch.iter().map(convert::message).collect();
        let verdicts = self.ask(Phase::Answering, batch.len(), async |store| {
            moderation.call_moderate(store, &messages).await
        })?;
        let verdicts: Vec<_> = verdicts.into_iter().map(convert::verdict).collect();
        let check = check::count(verdicts.len(), batch.len())
            .and_then(|()| check::verdicts(&verdicts, self.limits.message_bytes));
        self.checked(verdicts, check)
    }

    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Fault> {
        let Some(commands) = self.exports.commands.clone() else {
            return Err(no_role("commands"));
        };
        let answer = self.ask(Phase::Answering, 1, async |store| {
            commands
                .call_run(store, name, arguments, convert::message(by))
                .await
        })?;
        let answer =
            answer.map(|effects| effects.into_iter().map(convert::effect).collect::<Vec<_>>());
        let check = match &answer {
            Ok(effects) => check::effects(effects, self.limits.message_bytes, false),
            Err(usage) => check::usage(usage),
        };
        self.checked(answer, check)
    }

    fn format(&mut self, batch: &[FormatItem]) -> Result<Vec<Option<Vec<Run>>>, Fault> {
        let Some(formatting) = self.exports.formatting.clone() else {
            return Err(no_role("formatting"));
        };
        let styled = convert::styled(batch);
        let items = convert::formatting_items(batch, &styled);
        let bodies = self.ask(Phase::Formatting, batch.len(), async |store| {
            formatting.call_format(store, &items).await
        })?;
        let body = |runs: Vec<_>| runs.into_iter().map(convert::run).collect::<Vec<_>>();
        let bodies: Vec<_> = bodies.into_iter().map(|runs| runs.map(body)).collect();
        let most = self.limits.message_bytes;
        let check = check::count(bodies.len(), batch.len()).and_then(|()| {
            bodies
                .iter()
                .flatten()
                .try_for_each(|runs| check::runs(runs, most))
        });
        self.checked(bodies, check)
    }

    fn review(&mut self, batch: &[FormatItem]) -> Result<Vec<Verdict>, Fault> {
        let Some(review) = self.exports.review.clone() else {
            return Err(no_role("review"));
        };
        let styled = convert::styled(batch);
        let items = convert::review_items(batch, &styled);
        let verdicts = self.ask(Phase::Answering, batch.len(), async |store| {
            review.call_review(store, &items).await
        })?;
        let verdicts: Vec<_> = verdicts.into_iter().map(convert::verdict).collect();
        let check =
            check::count(verdicts.len(), batch.len()).and_then(|()| check::judgements(&verdicts));
        self.checked(verdicts, check)
    }

    fn fired(&mut self, room: u64, due: &Timer) -> Result<Vec<Effect>, Fault> {
        let Some(timers) = self.exports.timers.clone() else {
            return Err(no_role("timers"));
        };
        let effects = self.ask(Phase::Answering, 1, async |store| {
            timers
                .call_fired(store, room, convert::timer_param(due))
                .await
        })?;
        let effects: Vec<_> = effects.into_iter().map(convert::effect).collect();
        let check = check::effects(&effects, self.limits.message_bytes, true);
        self.checked(effects, check)
    }

    fn migrate(
        &mut self,
        room: u64,
        from: u32,
        entries: &[Remembered],
    ) -> Result<Vec<Remembered>, Fault> {
        let Some(migration) = self.exports.migration.clone() else {
            return Err(no_role("migration"));
        };
        let deadline = self.limits.starting();
        let entries: Vec<_> = entries.iter().map(convert::entry_param).collect();
        let answer = self.call(Phase::Migrating, 1, deadline, async |store| {
            migration.call_migrate(store, room, from, &entries).await
        })?;
        let entries = match answer {
            Ok(entries) => entries.into_iter().map(convert::entry).collect::<Vec<_>>(),
            Err(told) => {
                self.failed = true;
                return Err(Fault::answer(&format!(
                    "it can't bring along what it remembers: {told}"
                )));
            }
        };
        let check = check::memory(&entries);
        self.checked(entries, check)
    }
}
