//! One instance of a plugin: what the component's exports and the native kit both call.
//!
//! Turns a batch into one call a message, so that a plugin can't observe how messages were cut.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::native::{Failure, NativePlugin, Roles};
use crate::{
    Call, Commands, Effect, Formatting, Item, Judgement, Manifest, Memory, Message, Migration,
    Moderation, Plugin, Review, RoomId, Run, State, Timer, Timers, Verdict,
};

/// Which traits of `T` the component exports. Filled by [`crate::export!`].
pub struct Table<T> {
    moderate: Option<Moderate<T>>,
    run: Option<RunCommand<T>>,
    format: Option<Format<T>>,
    review: Option<Judge<T>>,
    fired: Option<Fired<T>>,
    /// With the layout.
    migrate: Option<(u32, Migrate<T>)>,
}

type Moderate<T> = fn(&mut T, &Message, State) -> Verdict;
type RunCommand<T> = fn(&mut T, Call<'_>) -> Result<Vec<Effect>, String>;
type Format<T> = fn(&mut T, &Item) -> Option<Vec<Run>>;
type Judge<T> = fn(&mut T, &Item, State) -> Judgement;
type Migrate<T> = fn(&mut T, u32, &mut Memory) -> Result<(), String>;
type Fired<T> = fn(&mut T, RoomId, &Timer, State) -> Vec<Effect>;

impl<T: Plugin> Table<T> {
    /// No role.
    #[must_use]
    pub fn new() -> Self {
        Table {
            moderate: None,
            run: None,
            format: None,
            review: None,
            fired: None,
            migrate: None,
        }
    }

    /// An instance that has these roles, not yet started.
    #[must_use]
    pub fn instance(self) -> Box<dyn NativePlugin> {
        Box::new(Instance {
            table: self,
            plugin: None,
        })
    }
}

impl<T: Plugin> Default for Table<T> {
    fn default() -> Self {
        Table::new()
    }
}

impl<T: Moderation> Table<T> {
    /// With [`Moderation`].
    #[must_use]
    pub fn moderation(mut self) -> Self {
        self.moderate = Some(T::moderate);
        self
    }
}

impl<T: Commands> Table<T> {
    /// With [`Commands`].
    #[must_use]
    pub fn commands(mut self) -> Self {
        self.run = Some(T::run);
        self
    }
}

impl<T: Formatting> Table<T> {
    /// With [`Formatting`].
    #[must_use]
    pub fn formatting(mut self) -> Self {
        self.format = Some(T::format);
        self
    }
}

impl<T: Review> Table<T> {
    /// With [`Review`].
    #[must_use]
    pub fn review(mut self) -> Self {
        self.review = Some(T::review);
        self
    }
}

impl<T: Timers> Table<T> {
    /// With [`Timers`].
    #[must_use]
    pub fn timers(mut self) -> Self {
        self.fired = Some(T::fired);
        self
    }
}

impl<T: Migration> Table<T> {
    /// With [`Migration`].
    #[must_use]
    pub fn migration(mut self) -> Self {
        self.migrate = Some((T::LAYOUT, T::migrate));
        self
    }
}

struct Instance<T> {
    table: Table<T>,
    plugin: Option<T>,
}

impl<T: Plugin> Instance<T> {
    /// Calls the plugin. A panic costs the instance, as a trap would.
    fn call<R>(&mut self, call: impl FnOnce(&mut T) -> R) -> Result<R, Failure> {
        let mut plugin = self.plugin.take().ok_or(Failure::NotStarted)?;
        // The plugin is dropped if it panics, so nothing sees what it was in the middle of.
        let answer = guarded(|| call(&mut plugin)).map_err(Failure::Panicked)?;
        self.plugin = Some(plugin);
        Ok(answer)
    }
}

impl<T: Plugin> NativePlugin for Instance<T> {
    fn describe(&self) -> Manifest {
        T::manifest()
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::empty();
        roles.set(Roles::MODERATION, self.table.moderate.is_some());
        roles.set(Roles::COMMANDS, self.table.run.is_some());
        roles.set(Roles::FORMATTING, self.table.format.is_some());
        roles.set(Roles::REVIEW, self.table.review.is_some());
        roles.set(Roles::TIMERS, self.table.fired.is_some());
        roles
    }

    fn start(&mut self, settings: &str) -> Result<(), String> {
        self.plugin = None;
        let settings = serde_json::from_str(settings)
            .map_err(|error| format!("the settings are not what this plugin takes: {error}"))?;
        let plugin = guarded(|| T::start(settings))
            .map_err(|panic| format!("it panicked at its start: {panic}"))??;
        self.plugin = Some(plugin);
        Ok(())
    }

    fn moderate(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Failure> {
        let moderate = self.table.moderate.ok_or(Failure::NoRole)?;
        self.call(|plugin| {
            (0..)
                .zip(batch)
                .map(|(at, message)| moderate(plugin, message, State::at(at)))
                .collect()
        })
    }

    fn run(
        &mut self,
        name: &str,
        arguments: &str,
        by: &Message,
    ) -> Result<Result<Vec<Effect>, String>, Failure> {
        let run = self.table.run.ok_or(Failure::NoRole)?;
        let state = State::at(0);
        let call = Call {
            name,
            arguments,
            by,
            state,
        };
        self.call(|plugin| run(plugin, call))
    }

    fn format(&mut self, batch: &[Item]) -> Result<Vec<Option<Vec<Run>>>, Failure> {
        let format = self.table.format.ok_or(Failure::NoRole)?;
        self.call(|plugin| batch.iter().map(|item| format(plugin, item)).collect())
    }

    fn review(&mut self, batch: &[Item]) -> Result<Vec<Judgement>, Failure> {
        let review = self.table.review.ok_or(Failure::NoRole)?;
        self.call(|plugin| {
            (0..)
                .zip(batch)
                .map(|(at, item)| review(plugin, item, State::at(at)))
                .collect()
        })
    }

    fn fired(&mut self, room: RoomId, due: &Timer) -> Result<Vec<Effect>, Failure> {
        let fired = self.table.fired.ok_or(Failure::NoRole)?;
        self.call(|plugin| fired(plugin, room, due, State::at(0)))
    }

    fn layout(&self) -> u32 {
        self.table.migrate.map_or(0, |(layout, _)| layout)
    }

    fn migrate(
        &mut self,
        from: u32,
        mut memory: Memory,
    ) -> Result<Result<Memory, String>, Failure> {
        let (_, migrate) = self.table.migrate.ok_or(Failure::NoRole)?;
        self.call(|plugin| migrate(plugin, from, &mut memory).map(|()| memory))
    }
}

/// Runs `call`; a panic becomes its text. In a component a panic has already trapped.
fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| text_of(&*panic))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return (*text).into();
    }
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => "it did not say why".into(),
    }
}
