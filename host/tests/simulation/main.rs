//! The simulation: several hosts in one thread, under a virtual clock, over a journal that fails in every way a journal
//! may; members who write and read; and a checker that holds what they saw against the promises.
//!
//! Everything follows from a seed. `CHAT_HOST_TEST_SEED=7` runs one, `CHAT_HOST_TEST_SEEDS=100000` so many.
//! Seeds that have found something are in `pinned_seeds.txt`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod checker;
mod counter;
mod decisions;
mod faults;
mod gate;
mod host;
mod journal;
mod member;
mod memories;
#[path = "../plugin_support/native.rs"]
mod native;
mod partition;
mod planted;
mod replay;
mod seeds;
mod world;
