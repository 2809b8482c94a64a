//! `chat-host plugin test`: golden cases over a component, as the plugin's own `#[test]` runs them without one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chat_plugin as sdk;
use chat_plugin_kit::{CaseFile, Subject as CaseSubject, World};
use clap::Args;
use sdk::native::{Failure, Host, NativePlugin};

use super::super::exit::{Exit, complain};
use super::translate;
use super::{super::print, Subject};
use crate::plugin::{Alone, Calls, Fault, Held, Instance, Remembered, Unstarted};

/// What `chat-host plugin test` is given.
#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    subject: Subject,
    /// The cases; `plugins/README.md` describes them
    #[arg(value_name = "CASES.toml")]
    cases: PathBuf,
}

pub(super) fn run(args: &TestArgs) -> ExitCode {
    let cases = match CaseFile::read(&args.cases) {
        Ok(cases) => cases,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Usage.into();
        }
    };
    let alone = match args.subject.load() {
        Ok(alone) => alone,
        Err(code) => return code,
    };
    let report = chat_plugin_kit::run(&cases, &Component(&alone));
    let failed = !report.failed.is_empty();
    let code = print(&format!("{report}\n"));
    if failed { Exit::Failure.into() } else { code }
}

/// The component, as what cases run over.
struct Component<'a>(&'a Alone);

impl CaseSubject for Component<'_> {
    fn instance(&self, world: &World) -> Result<Box<dyn NativePlugin>, String> {
        let (dice, clock) = (world.clone(), world.clone());
        let held = Held {
            random: Arc::new(move || dice.clone().random_u64()),
            now_ms: Arc::new(move || clock.clone().now_ms()),
        };
        let fresh = self.0.unstarted(&held).map_err(|fault| fault.to_string())?;
        Ok(Box::new(Sandboxed {
            facts: translate::manifest(&self.0.facts().manifest),
            roles: translate::roles(self.0.facts().manifest.roles),
            layout: self.0.facts().layout,
            unstarted: Some(fresh),
            started: None,
            world: world.clone(),
        }))
    }
}

/// One instance in the sandbox.
struct Sandboxed {
    facts: sdk::Manifest,
    roles: sdk::native::Roles,
    layout: u32,
    unstarted: Option<Unstarted>,
    started: Option<Box<dyn Instance>>,
    world: World,
}

impl Sandboxed {
    fn call<R>(
        &mut self,
        call: impl FnOnce(&mut dyn Instance) -> Result<R, Fault>,
    ) -> Result<R, Failure> {
        let instance = self.started.as_mut().ok_or(Failure::NotStarted)?;
        let answer = call(instance.as_mut()).map_err(|fault| Failure::Panicked(fault.to_string()));
        if answer.is_err() {
            self.started = None;
        }
        answer
    }
}

impl NativePlugin for Sandboxed {
    fn describe(&self) -> sdk::Manifest {
        self.facts.clone()
    }

    fn roles(&self) -> sdk::native::Roles {
        self.roles
    }

    fn start(&mut self, settings: &str) -> Result<(), String> {
        let unstarted = self.unstarted.take().ok_or("it was started already")?;
        let calls = Arc::new(InWorld(self.world.clone()));
        let started = unstarted.start(settings, calls);
        self.started = Some(started.map_err(|fault| fault.to_string())??);
        Ok(())
    }

    fn moderate(&mut self, batch: &[sdk::Message]) -> Result<Vec<sdk::Verdict>, Failure> {
        let batch: Vec<_> = batch.iter().map(translate::message).collect();
        let verdicts = self.call(|instance| instance.moderate(&batch))?;
        Ok(verdicts.into_iter().map(translate::verdict).collect())
    }

    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &sdk::Message,
    ) -> Result<Result<Vec<sdk::Effect>, String>, Failure> {
        let by = translate::message(by);
        let answer = self.call(|instance| instance.run(name, arguments, &by))?;
        Ok(answer.map(|effects| effects.into_iter().map(translate::effect).collect()))
    }

    fn format(&mut self, batch: &[sdk::Item]) -> Result<Vec<Option<Vec<sdk::Run>>>, Failure> {
        let batch: Vec<_> = batch.iter().map(translate::item).collect();
        let bodies = self.call(|instance| instance.format(&batch))?;
        let body = |runs: Vec<_>| runs.into_iter().map(translate::run).collect();
        Ok(bodies.into_iter().map(|runs| runs.map(body)).collect())
    }

    fn review(&mut self, batch: &[sdk::Item]) -> Result<Vec<sdk::Judgement>, Failure> {
        let batch: Vec<_> = batch.iter().map(translate::item).collect();
        let verdicts = self.call(|instance| instance.review(&batch))?;
        Ok(verdicts.into_iter().map(translate::judgement).collect())
    }

    fn fired(&mut self, room: sdk::RoomId, due: &sdk::Timer) -> Result<Vec<sdk::Effect>, Failure> {
        let due = translate::timer(due);
        let effects = self.call(|instance| instance.fired(room.0, &due))?;
        Ok(effects.into_iter().map(translate::effect).collect())
    }

    fn layout(&self) -> u32 {
        self.layout
    }

    fn migrate(
        &mut self,
        from: u32,
        memory: sdk::Memory,
    ) -> Result<Result<sdk::Memory, String>, Failure> {
        let before: Vec<Remembered> = memory.into_iter().map(translate::remembered).collect();
        // The room's number is for what the plugin logs.
        let after = self.call(|instance| instance.migrate(1, from, &before))?;
        Ok(Ok(after.into_iter().map(translate::entry).collect()))
    }
}

/// The cases' world, as what an instance asks.
struct InWorld(World);

impl InWorld {
    fn host(&self) -> World {
        // Clones are the same world.
        self.0.clone()
    }
}

fn millis(time: Option<Duration>) -> Option<u64> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Calls for InWorld {
    fn state_get(&self, _: &str, at: u32, key: &str) -> Option<Vec<u8>> {
        self.host().state_get(at, key)
    }

    fn state_put(
        &self,
        _: &str,
        at: u32,
        key: &str,
        value: Option<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        self.host()
            .state_put(at, key, value.as_deref(), millis(ttl))
    }

    fn state_add(
        &self,
        _: &str,
        at: u32,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, String> {
        self.host().state_add(at, key, by, millis(ttl))
    }

    fn person_name(&self, person: u64) -> String {
        self.host().name(sdk::PersonId(person))
    }

    fn room_name(&self, room: u64) -> String {
        self.host().room(sdk::RoomId(room))
    }

    fn members(&self, room: u64, limit: u32) -> Vec<u64> {
        let members = self.host().members(sdk::RoomId(room), limit);
        members.into_iter().map(|person| person.0).collect()
    }

    fn commands(&self) -> Vec<(String, String, String)> {
        let commands = self.host().commands().into_iter();
        commands.map(|c| (c.name, c.usage, c.summary)).collect()
    }
}
