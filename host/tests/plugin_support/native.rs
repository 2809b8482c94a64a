//! A plugin as native functions behind the host's contract: what a component would do, without a sandbox.
//!
//! For the simulation, where calls must be cheap and repeatable, and to hold components against. Its faults are
//! panics; it has no limits, and answers are not checked against the interface.
#![allow(dead_code, missing_docs)] // Each test binary uses a part of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_host::plugin::{
    Blame, Calls, CommandInfo, Effect, Fault, FormatItem, Instance, Manifest, Message, Plugin,
    Policy, Remembered, Roles, Rule, Run, Standing, Style, Target, TextBody, Timer, Verdict,
};
use chat_plugin as sdk;
use sdk::native::{Failure, Host, NativePlugin, with_host};

/// Makes an instance: the `native` function of a plugin's crate.
pub type Make = fn() -> Box<dyn NativePlugin>;

/// The time that plugins see, in milliseconds since 1970-01-01 UTC.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

pub struct Native {
    manifest: Manifest,
    make: Make,
    /// A JSON object.
    settings: String,
    layout: u32,
    clock: Clock,
    /// Where the random numbers have got to; one sequence for all instances of this plugin.
    random: Arc<Mutex<u64>>,
    standing: Standing,
}

impl Native {
    pub fn new(make: Make, settings: &str, clock: Clock, seed: u64) -> Self {
        let plugin = make();
        let manifest = manifest(plugin.describe(), plugin.roles());
        let rule = Rule {
            failures: 5,
            within: Duration::from_secs(60),
            percent: 20,
        };
        Self {
            standing: Standing::new(&manifest.name, &manifest.version, rule),
            layout: plugin.layout(),
            manifest,
            make,
            settings: settings.into(),
            clock,
            random: Arc::new(Mutex::new(seed)),
        }
    }
}

impl Plugin for Native {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn policy(&self, judging: bool) -> Policy {
        if judging {
            Policy::Withhold
        } else {
            Policy::Allow
        }
    }

    fn standing(&self) -> Option<&Standing> {
        Some(&self.standing)
    }

    fn layout(&self) -> u32 {
        self.layout
    }

    fn instance(&self, calls: Arc<dyn Calls>) -> Result<Box<dyn Instance>, Fault> {
        let mut plugin = (self.make)();
        plugin.start(&self.settings).map_err(|told| Fault {
            blame: Blame::Answer,
            detail: format!("it does not start: {told}"),
            last_words: String::new(),
        })?;
        Ok(Box::new(Running {
            plugin,
            outside: Outside {
                calls,
                name: self.manifest.name.clone(),
                clock: self.clock.clone(),
                random: self.random.clone(),
            },
        }))
    }
}

struct Running {
    plugin: Box<dyn NativePlugin>,
    outside: Outside,
}

/// What the plugin reaches while it is called.
#[derive(Clone)]
struct Outside {
    calls: Arc<dyn Calls>,
    name: String,
    clock: Clock,
    random: Arc<Mutex<u64>>,
}

impl Running {
    fn call<R>(
        &mut self,
        call: impl FnOnce(&mut dyn NativePlugin) -> Result<R, Failure>,
    ) -> Result<R, Fault> {
        let host = Rc::new(RefCell::new(self.outside.clone()));
        let plugin = self.plugin.as_mut();
        with_host(host, || call(plugin)).map_err(|failure| Fault {
            blame: match failure {
                Failure::Panicked(_) => Blame::Trap,
                Failure::NotStarted | Failure::NoRole => Blame::Host,
            },
            detail: failure.to_string(),
            last_words: String::new(),
        })
    }
}

impl Instance for Running {
    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Fault> {
        let batch: Vec<_> = batch.iter().map(message).collect();
        let verdicts = self.call(|plugin| plugin.moderate(&batch))?;
        Ok(verdicts.into_iter().map(verdict).collect())
    }

    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Fault> {
        let effects = self.call(|plugin| plugin.run(name, arguments, &message(by)))?;
        Ok(effects.map(|effects| effects.into_iter().map(effect).collect()))
    }

    fn format(&mut self, batch: &[FormatItem]) -> Result<Vec<Option<Vec<Run>>>, Fault> {
        let batch: Vec<_> = batch.iter().map(item).collect();
        let bodies = self.call(|plugin| plugin.format(&batch))?;
        let body = |runs: Vec<sdk::Run>| runs.into_iter().map(run).collect();
        Ok(bodies.into_iter().map(|runs| runs.map(body)).collect())
    }

    fn review(&mut self, batch: &[FormatItem]) -> Result<Vec<Verdict>, Fault> {
        let batch: Vec<_> = batch.iter().map(item).collect();
        let judgements = self.call(|plugin| plugin.review(&batch))?;
        Ok(judgements.into_iter().map(judgement).collect())
    }

    fn fired(&mut self, room: u64, due: &Timer) -> Result<Vec<Effect>, Fault> {
        let due = sdk::Timer::new(&*due.key, due.delay).with(&*due.data);
        let effects = self.call(|plugin| plugin.fired(sdk::RoomId(room), &due))?;
        Ok(effects.into_iter().map(effect).collect())
    }

    fn migrate(
        &mut self,
        _room: u64,
        from: u32,
        entries: &[Remembered],
    ) -> Result<Vec<Remembered>, Fault> {
        let entry = |entry: &Remembered| {
            let (value, expires_ms) = (entry.value.clone(), entry.expires_ms);
            (entry.key.clone(), sdk::Remembered { value, expires_ms })
        };
        let memory = entries.iter().map(entry).collect();
        let migrated = self.call(|plugin| plugin.migrate(from, memory))?;
        let memory = migrated.map_err(|told| Fault {
            blame: Blame::Answer,
            detail: told,
            last_words: String::new(),
        })?;
        let back = |(key, entry): (String, sdk::Remembered)| Remembered {
            key,
            value: entry.value,
            expires_ms: entry.expires_ms,
        };
        Ok(memory.into_iter().map(back).collect())
    }
}

impl Host for Outside {
    fn state_get(&mut self, at: u32, key: &str) -> Option<Vec<u8>> {
        self.calls.state_get(&self.name, at, key)
    }

    fn state_put(
        &mut self,
        at: u32,
        key: &str,
        value: Option<&[u8]>,
        ttl_ms: Option<u64>,
    ) -> Result<(), String> {
        let ttl = ttl_ms.map(Duration::from_millis);
        self.calls
            .state_put(&self.name, at, key, value.map(<[u8]>::to_vec), ttl)
    }

    fn state_add(
        &mut self,
        at: u32,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, String> {
        let ttl = ttl_ms.map(Duration::from_millis);
        self.calls.state_add(&self.name, at, key, by, ttl)
    }

    fn name(&mut self, person: sdk::PersonId) -> String {
        self.calls.person_name(person.0)
    }

    fn room(&mut self, room: sdk::RoomId) -> String {
        self.calls.room_name(room.0)
    }

    fn members(&mut self, room: sdk::RoomId, limit: u32) -> Vec<sdk::PersonId> {
        let members = self.calls.members(room.0, limit.min(1_000));
        members.into_iter().map(sdk::PersonId).collect()
    }

    fn commands(&mut self) -> Vec<sdk::Command> {
        let command = |(name, usage, summary)| sdk::Command {
            name,
            usage,
            summary,
        };
        self.calls.commands().into_iter().map(command).collect()
    }

    fn log(&mut self, _level: sdk::log::Level, _text: &str) {}

    fn now_ms(&mut self) -> u64 {
        (self.clock)()
    }

    /// SplitMix64: the same for the same seed.
    fn random_u64(&mut self) -> u64 {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

fn manifest(said: sdk::Manifest, roles: sdk::native::Roles) -> Manifest {
    use sdk::native::Roles as Has;
    let command = |command: sdk::Command| CommandInfo {
        name: command.name,
        usage: command.usage,
        summary: command.summary,
    };
    Manifest {
        name: said.name,
        version: said.version,
        commands: said.commands.into_iter().map(command).collect(),
        priority: said.priority,
        batch: said.batch,
        roles: Roles {
            moderation: roles.contains(Has::MODERATION),
            commands: roles.contains(Has::COMMANDS),
            formatting: roles.contains(Has::FORMATTING),
            review: roles.contains(Has::REVIEW),
            timers: roles.contains(Has::TIMERS),
        },
    }
}

fn message(message: &Message) -> sdk::Message {
    sdk::Message {
        room: sdk::RoomId(message.room),
        sender: sdk::PersonId(message.sender),
        sequence: sdk::Sequence(message.sequence),
        time_ms: message.time_ms,
        text: message.text.clone(),
    }
}

fn item(item: &FormatItem) -> sdk::Item {
    let run = |run: &Run| sdk::Run {
        text: run.text.clone(),
        style: sdk::Style::from_bits_truncate(run.style.0 as u8),
        target: match &run.target {
            Target::None => sdk::Target::None,
            Target::Url(url) => sdk::Target::Url(url.clone()),
            Target::Mention => sdk::Target::Mention,
        },
    };
    sdk::Item {
        room: sdk::RoomId(item.room),
        sender: sdk::PersonId(item.sender),
        body: match &item.body {
            TextBody::Plain(text) => sdk::Body::Plain(text.clone()),
            TextBody::Styled(runs) => sdk::Body::Styled(runs.iter().map(run).collect()),
        },
    }
}

fn run(run: sdk::Run) -> Run {
    Run {
        text: run.text,
        style: Style(u32::from(run.style.bits())),
        target: match run.target {
            sdk::Target::None => Target::None,
            sdk::Target::Url(url) => Target::Url(url),
            sdk::Target::Mention => Target::Mention,
        },
    }
}

fn verdict(verdict: sdk::Verdict) -> Verdict {
    match verdict {
        sdk::Verdict::Allow => Verdict::Allow,
        sdk::Verdict::Revise(text) => Verdict::Revise(text),
        sdk::Verdict::Withhold(reason) => Verdict::Withhold(reason),
        sdk::Verdict::Discard => Verdict::Discard,
    }
}

fn judgement(judgement: sdk::Judgement) -> Verdict {
    match judgement {
        sdk::Judgement::Allow => Verdict::Allow,
        sdk::Judgement::Withhold(reason) => Verdict::Withhold(reason),
        sdk::Judgement::Discard => Verdict::Discard,
    }
}

fn effect(effect: sdk::Effect) -> Effect {
    match effect {
        sdk::Effect::Say(text) => Effect::Say(text),
        sdk::Effect::Act(text) => Effect::Act(text),
        sdk::Effect::Notice(text) => Effect::Notice(text),
        sdk::Effect::Whisper { to, text } => Effect::Whisper { to, text },
        sdk::Effect::Reply(text) => Effect::Reply(text),
        sdk::Effect::Topic(text) => Effect::Topic(text),
        sdk::Effect::Mute { person, lasting } => Effect::Mute {
            person: person.0,
            duration: lasting,
        },
        sdk::Effect::Schedule(timer) => Effect::Schedule(Timer {
            key: timer.key,
            delay: timer.delay,
            data: timer.data,
        }),
        sdk::Effect::Cancel(key) => Effect::Cancel(key),
    }
}
