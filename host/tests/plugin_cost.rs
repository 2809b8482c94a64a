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
use plugin_support::{
    House, Memory, TALK, component, item, made_up, message, plugin, processor_time,
};

fn per_call(calls: u32, mut call: impl FnMut()) -> Duration {
    for _ in 0..calls / 10 {
        call();
    }
    let started = processor_time();
    for _ in 0..calls {
        call();
    }
    (processor_time() - started) / calls
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

#[test]
fn the_three_plugins_together_cost_a_message_few_microseconds() {
    let mut house = House::new();
    let words: Vec<String> = (0..10_000)
        .map(|number| format!("{{ text = '{}' }}", made_up(number)))
        .collect();
    house.set("wordlist", &format!("entries = [{}]", words.join(", ")));
    for name in ["wordlist", "markdown", "basics"] {
        house.put(name, &std::fs::read(component(name, name)).unwrap());
    }
    let started = Instant::now();
    house.open().unwrap().close();
    let cold = started.elapsed();
    let started = Instant::now();
    let plugins = house.open().unwrap();
    println!(
        "three plugins start in {cold:?}, and from the cache in {:?}",
        started.elapsed()
    );

    let calls = Arc::new(Memory::default());
    let mut wordlist = plugin(&plugins, "wordlist")
        .instance(calls.clone())
        .unwrap();
    let mut markdown = plugin(&plugins, "markdown").instance(calls).unwrap();
    let mut cost = |what: &str, texts: &[&str]| {
        let texts: Vec<&str> = texts.iter().copied().cycle().take(64).collect();
        let messages: Vec<_> = texts.iter().map(|text| message(text)).collect();
        let items: Vec<_> = texts.iter().map(|text| item(text)).collect();
        let moderate = per_call(2_000, || {
            wordlist.moderate(&messages).unwrap();
        });
        let format = per_call(2_000, || {
            markdown.format(&items).unwrap();
        });
        println!(
            "{what}, in batches of 64: wordlist with 10,000 entries {:?}, markdown {:?} a message",
            moderate / 64,
            format / 64
        );
        (moderate + format) / 64
    };
    cost("a short plain message", &["a short message of some words"]);
    let talk = cost("talk", &TALK);
    assert!(talk < Duration::from_micros(30));
}
