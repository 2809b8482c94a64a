//! A load generator that verifies what it measures: `chat-host bench`, and the loads of the system tests.
//!
//! Members and senders are sessions of the real protocol. Every event that reaches a member is held against what was
//! sent and against what the other members got, so a number is worth something only with the verdict beside it. Knows
//! the protocol; does not know the server's insides.
//!
//! ```text
//! sender ─ content ─▶ connection ─▶ server ─▶ connection ─ messages ─ event ─▶ verify ─ position, book, ledger
//! ```

mod book;
mod broken;
mod connection;
mod content;
mod counts;
mod descriptors;
mod event;
#[cfg(test)]
mod fake;
mod http2;
mod latency;
mod ledger;
mod listener;
mod member;
mod messages;
mod options;
mod pace;
#[cfg(test)]
mod planted;
mod position;
mod process;
mod reason;
mod report;
mod run;
mod sender;
mod server;
mod session;
mod shared;
mod table;
mod verify;
mod workers;

pub use broken::Broken;
pub use counts::Counts;
pub use descriptors::allow as allow_connections;
pub use latency::Summary;
pub use options::{MOST_BYTES, MOST_MEMBERS, Options, OptionsError, Rate, Target};
pub use process::listening_on;
pub use report::Report;
pub use run::{RunError, run};
pub use server::{OwnServer, ServerError};
