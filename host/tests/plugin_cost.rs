//! What a call costs. Measures, and fails only where the cost is out of all proportion.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_host::plugin::Verdict;
use plugin_support::{House, Memory, message, plugin};

fn per_call(calls: u32, mut call: impl FnMut()) -> Duration {
    for _ in 0..calls / 10 {
        call();
    }
    let started = Instant::now();
    for _ in 0..calls {
        call();
    }
    started.elapsed() / calls
}

#[test]
fn a_message_in_a_batch_costs_less_than_a_microsecond_or_so() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let mut instance = plugin(&plugins, "hostile")
        .instance(Arc::new(Memory::default()))
        .unwrap();

    let one = [message("a short message of some words")];
    let single = per_call(20_000, || {
        assert_eq!(instance.moderate(&one).unwrap(), [Verdict::Allow]);
    });
    let many = vec![message("a short message of some words"); 64];
    let batch = per_call(5_000, || {
        assert_eq!(instance.moderate(&many).unwrap().len(), 64);
    });
    let fresh = per_call(200, || {
        plugin(&plugins, "hostile")
            .instance(Arc::new(Memory::default()))
            .unwrap();
    });

    println!(
        "a single call {single:?}, in batches of 64 {:?} a message, a fresh instance {fresh:?}",
        batch / 64
    );
    assert!(single < Duration::from_micros(50), "{single:?}");
    assert!(batch / 64 < Duration::from_micros(10), "{batch:?}");
}
