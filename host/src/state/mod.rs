//! The ground of the house: what the logs mean, and where that is kept.
//!
//! Journal, pipeline and rooms stand on it; it knows none of them.

pub mod change;
mod dead_letters;
pub mod disk;
pub mod expiry;
pub mod fold;
pub mod frame;
pub mod ids;
pub mod keys;
pub mod memory;
pub mod name;
pub mod remembered;
pub mod store;
pub mod view;

#[cfg(test)]
mod tests;
