//! What cases are run over: anything that makes instances of one plugin.

use std::cell::RefCell;
use std::rc::Rc;

use chat_plugin::native::{Failure, NativePlugin, Roles, with_host};
use chat_plugin::{
    Effect, Item, Judgement, Manifest, Memory, Message, RoomId, Run, Timer, Verdict,
};

use crate::World;

/// Makes instances of one plugin, however it runs.
///
/// 1. An instance reaches nothing but `world`, whose [`chat_plugin::native::Host`] it calls for every import.
/// 2. An instance keeps to the sentences of [`NativePlugin`]: one answer a message, and failures are values. What a
///    sandbox ends (a trap, a limit) or refuses is [`Failure::Panicked`] with the cause.
/// 3. Nothing is shared between instances but `world`.
pub trait Subject {
    /// An instance that is not yet started.
    ///
    /// # Errors
    /// Why none can be made.
    fn instance(&self, world: &World) -> Result<Box<dyn NativePlugin>, String>;
}

/// A plugin without its sandbox, from the `native()` that `export!` makes.
#[derive(Debug, Clone, Copy)]
pub struct Native(pub fn() -> Box<dyn NativePlugin>);

impl Subject for Native {
    fn instance(&self, world: &World) -> Result<Box<dyn NativePlugin>, String> {
        Ok(Box::new(Within {
            plugin: (self.0)(),
            world: world.clone(),
        }))
    }
}

/// A plugin that reaches this world.
struct Within {
    plugin: Box<dyn NativePlugin>,
    world: World,
}

impl Within {
    fn call<R>(&mut self, call: impl FnOnce(&mut dyn NativePlugin) -> R) -> R {
        let host = Rc::new(RefCell::new(self.world.clone()));
        with_host(host, || call(self.plugin.as_mut()))
    }
}

impl NativePlugin for Within {
    fn describe(&self) -> Manifest {
        let host = Rc::new(RefCell::new(self.world.clone()));
        with_host(host, || self.plugin.describe())
    }

    fn roles(&self) -> Roles {
        self.plugin.roles()
    }

    fn start(&mut self, settings: &str) -> Result<(), String> {
        self.call(|plugin| plugin.start(settings))
    }

    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Failure> {
        self.call(|plugin| plugin.moderate(batch))
    }

    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Failure> {
        self.call(|plugin| plugin.run(name, arguments, by))
    }

    fn format(&mut self, batch: &[Item]) -> Result<Vec<Option<Vec<Run>>>, Failure> {
        self.call(|plugin| plugin.format(batch))
    }

    fn review(&mut self, batch: &[Item]) -> Result<Vec<Judgement>, Failure> {
        self.call(|plugin| plugin.review(batch))
    }

    fn fired(&mut self, room: RoomId, due: &Timer) -> Result<Vec<Effect>, Failure> {
        self.call(|plugin| plugin.fired(room, due))
    }

    fn layout(&self) -> u32 {
        self.plugin.layout()
    }

    fn migrate(&mut self, from: u32, memory: Memory) -> Result<Result<Memory, String>, Failure> {
        self.call(|plugin| plugin.migrate(from, memory))
    }
}
