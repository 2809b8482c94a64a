//! The promises, kept by the real program: a server process that is killed, starved, stopped, traced and lied to.
//!
//! A file for each topic. Tests wait for conditions, never for time; what can't run here says so in the file that
//! `CHAT_HOST_SKIPPED` names.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

#[path = "../plugin_support/mod.rs"]
mod plugin_support;
#[path = "../plugin_support/service.rs"]
mod service;

mod backup;
mod bad_input;
mod bad_start;
mod calls;
mod client;
mod dead_letters;
mod disk;
mod kept;
mod kill;
mod leavers;
mod limits;
mod outside;
mod plugin_state;
mod plugins;
mod quarantine;
mod raw;
mod reach;
mod reader;
mod reload;
mod server;
mod shadow;
mod skipped;
mod sync_trace;
mod telemetry;
mod two_servers;
