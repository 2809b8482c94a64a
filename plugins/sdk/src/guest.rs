//! The component's side of the interface: generated bindings, and what they call.
//!
//! A world for each role that exports the role alone: `export!` links those it names, and the linker merges them.

mod answer;
mod bindings;
mod convert;

use std::cell::RefCell;
use std::marker::PhantomData;

pub use bindings::{commands, formatting, imports, migration, moderation, plugin, review, timers};

use crate::native::{Failure, NativePlugin};

/// Makes the plugin that a component is. Implemented by [`crate::export!`].
pub trait Make: 'static {
    /// An instance, not yet started.
    fn make() -> Box<dyn NativePlugin>;
}

/// A component that is the plugin `M` makes.
pub struct Component<M>(PhantomData<M>);

thread_local! {
    /// The plugin, from `start` on. A component is one instance, on one thread.
    static STARTED: RefCell<Option<Box<dyn NativePlugin>>> = const { RefCell::new(None) };
}

/// Calls the started plugin; a failure traps, which is how a component fails.
fn call<R>(call: impl FnOnce(&mut dyn NativePlugin) -> Result<R, Failure>) -> R {
    let answer = STARTED.with_borrow_mut(|started| match started {
        Some(plugin) => call(plugin.as_mut()),
        None => Err(Failure::NotStarted),
    });
    match answer {
        Ok(answer) => answer,
        Err(failure) => {
            eprintln!("{failure}");
            std::process::abort()
        }
    }
}
