//! What the server tells of itself: log lines, numbers, and whether it is ready.

pub mod diary;
pub mod exporter;
pub mod health;
pub mod histogram;
pub mod logs;
pub mod metrics;
pub mod observer;
