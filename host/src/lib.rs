//! `chat-host`: the way of a message.
//!
//! ```text
//! client ─▶ gateway ─▶ journal: ingress ─▶ pipeline ─▶ journal: outcomes ─▶ rooms ─▶ clients
//!           admit,     durable             plugins     durable              fold,
//!           stamp                          decide                           deliver
//! ```
//!
//! `app` composes the rooms of this house, in that order; `state` is the ground they stand on.

pub mod app;
pub mod bench;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod gateway;
pub mod journal;
pub mod pipeline;
pub mod plugin;
pub mod proto;
pub mod rooms;
pub mod state;
pub mod telemetry;
pub mod world;
