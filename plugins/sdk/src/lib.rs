//! What the author of a chat-host plugin depends on.
//!
//! A plugin is a type that implements [`Plugin`] and one trait for each role it has. [`export!`] names the roles; the
//! component then exports those and nothing else.
//!
//! ```
//! use chat_plugin::{Manifest, Message, Moderation, Plugin, State, Verdict};
//!
//! struct Quiet;
//!
//! impl Plugin for Quiet {
//!     type Settings = chat_plugin::NoSettings;
//!     fn manifest() -> Manifest {
//!         Manifest::new("quiet", "1.0.0")
//!     }
//!     fn start(_: Self::Settings) -> Result<Self, String> {
//!         Ok(Quiet)
//!     }
//! }
//!
//! impl Moderation for Quiet {
//!     fn moderate(&mut self, message: &Message, _: State) -> Verdict {
//!         if message.text.ends_with('!') {
//!             return Verdict::withhold("please do not shout");
//!         }
//!         Verdict::Allow
//!     }
//! }
//!
//! chat_plugin::export!(Quiet: moderation);
//! # fn main() {}
//! ```
//!
//! The same crate builds for `wasm32-wasip2`, as the component, and for the machine, where [`native`] runs it without a
//! sandbox: in unit tests, and in the host's simulation. Both run the same [`instance`], so they behave the same.
//!
//! Each trait is called for one message at a time. That is what keeps batches from being observed: there is none to see.

pub mod directory;
mod effect;
mod export;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
pub mod http;
#[doc(hidden)]
pub mod instance;
mod keyed;
pub mod log;
mod manifest;
mod memory;
mod message;
pub mod native;
mod outside;
mod role;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod verdict;

pub use effect::{Effect, Timer};
pub use keyed::{Counter, Packed, Set, Value};
pub use manifest::{Command, Manifest};
pub use memory::{Memory, Remembered};
pub use message::{Message, PersonId, RoomId, Sequence};
pub use outside::{now, random_u64};
pub use role::{
    Call, Commands, Formatting, Migration, Moderation, NoSettings, Plugin, Review, Timers,
};
pub use run::{Body, Item, Run, Style, Target};
pub use state::{State, StateError};
pub use verdict::{Judgement, Verdict};
