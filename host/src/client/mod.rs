//! The built-in client: a person in a room.
//!
//! ```text
//! server ◀─▶ link ◀─▶ live ◀─▶ session ─▶ changes ─▶ screen (a terminal)
//!            stream    I/O      pure                ─▶ plain  (a pipe: lines or JSON)
//! ```
//!
//! `session` keeps the promises (resume, send again, once and in order); the views only show what it tells.

pub mod address;
pub mod backoff;
pub mod change;
pub mod clean;
pub mod clock;
pub mod link;
pub mod live;
pub mod outbox;
pub mod own;
pub mod plain;
pub mod screen;
pub mod session;
pub mod tokens;
