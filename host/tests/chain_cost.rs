//! What a message costs on its way through the chain of plugins, beside the same functions without a sandbox; and how
//! long many plugins take to start.
//!
//! Measures, and fails only where the cost is out of all proportion: `cargo test --release --test chain_cost --
//! --nocapture --test-threads 1` on an idle machine prints the figures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

#[path = "plugin_support/native.rs"]
mod native;
mod plugin_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_host::config::PluginConfig;
use chat_host::pipeline::{At, Chain, Directory, Scope};
use chat_host::plugin::{CauseId, FormatItem, Message, Plugin, PluginSet, Plugins, TextBody};
use chat_host::proto::log::v1::{Change, PartitionState, RoomState};
use chat_host::state::ids::{Partition, PersonId, RoomId};
use chat_host::state::memory::MemoryStore;
use chat_host::state::view::View;
use chat_host::state::{change, keys};
use native::{Make, Native};
use plugin_support::{House, TALK, component, hostile, made_up, patched, processor_time};
use tokio::sync::watch;

const ROOM: RoomId = RoomId(7);
const FIVE: [&str; 5] = ["wordlist", "flood", "basics", "markdown", "links"];

struct Nobody;

impl Directory for Nobody {
    fn members(&self, _: u64, _: usize) -> Vec<PersonId> {
        Vec::new()
    }
}

/// A partition's chain on a store in memory.
struct Line {
    chain: Chain,
    scope: Arc<Scope>,
    partition: PartitionState,
    number: u64,
    // Keeps the set in force.
    _sets: watch::Sender<Arc<PluginSet>>,
}

impl Line {
    fn of(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        let version = 1;
        let (sets, set) = watch::channel(Arc::new(PluginSet { version, plugins }));
        let mut view = View::of(Arc::new(MemoryStore::default()));
        let room = RoomState {
            room: ROOM.0,
            name: "lobby".into(),
            ..RoomState::default()
        };
        view.write(keys::room(ROOM), &room);
        let scope = Arc::new(Scope::new(view, Arc::new(Nobody)));
        let mut chain = Chain::new(set, scope.clone(), 64);
        chain.refresh();
        Self {
            chain,
            scope,
            partition: PartitionState::default(),
            number: 0,
            _sets: sets,
        }
    }

    /// Moderates, formats and reviews so many messages of ordinary talk, and gives the processor time that took. What
    /// the plugins remember is then folded, outside of it.
    fn decide(&mut self, messages: usize) -> Duration {
        let mut batch = Vec::new();
        for _ in 0..messages {
            self.number += 1;
            batch.push(Message {
                room: ROOM.0,
                // Many people, none of whom sends too fast.
                sender: self.number % 500,
                sequence: self.number,
                time_ms: 1_700_000_000_000 + self.number * 20,
                text: TALK[self.number as usize % TALK.len()].into(),
            });
        }
        let ats: Vec<At> = batch
            .iter()
            .enumerate()
            .map(|(item, message)| At {
                item,
                room: ROOM,
                time_ms: message.time_ms,
                cause: CauseId(message.sequence.into()),
            })
            .collect();
        let mut bodies: Vec<FormatItem> = batch
            .iter()
            .map(|message| FormatItem {
                room: ROOM.0,
                sender: message.sender,
                body: TextBody::Plain(message.text.clone()),
            })
            .collect();
        let began = processor_time();
        let moderated = self.chain.moderate(&ats, batch);
        let formatted = self.chain.format(&ats, &mut bodies);
        let reviewed = self.chain.review(&ats, &bodies);
        let took = processor_time() - began;
        for judged in [moderated, formatted, reviewed].iter().flatten() {
            assert!(
                judged.stopped.is_none() && judged.failures.is_empty(),
                "{judged:?}"
            );
        }
        for item in 0..messages {
            let changes = self.scope.take_changes(item).into_iter();
            let changes = changes.map(|change| Change {
                change: Some(change),
            });
            let changes: Vec<Change> = changes.collect();
            let partition = &mut self.partition;
            self.scope
                .with_view(|view| change::apply_all(view, Partition(0), partition, changes))
                .unwrap();
        }
        self.scope.end_segment();
        took
    }

    /// Processor time of a message in batches of this size.
    fn cost(&mut self, size: usize) -> Duration {
        let rounds = 20_000 / size;
        for _ in 0..rounds / 10 {
            self.decide(size);
        }
        let took: Duration = (0..rounds).map(|_| self.decide(size)).sum();
        took / u32::try_from(rounds * size).unwrap()
    }
}

/// The settings under which the five are measured.
fn settings(name: &str) -> String {
    match name {
        "wordlist" => {
            let words: Vec<String> = (0..10_000)
                .map(|number| format!("{{ text = '{}' }}", made_up(number)))
                .collect();
            format!("entries = [{}]", words.join(", "))
        }
        "links" => "deny = ['bad.example']\nprotect = ['paypal.com', 'example.org']".into(),
        _ => String::new(),
    }
}

fn in_sandbox(names: &[&str]) -> (House, Plugins) {
    let mut house = House::new();
    for name in names {
        house.set(name, &settings(name));
        house.put(name, &std::fs::read(component(name, name)).unwrap());
    }
    let plugins = house.open().unwrap();
    (house, plugins)
}

fn native(name: &str) -> Arc<dyn Plugin> {
    let make: Make = match name {
        "wordlist" => wordlist::native,
        "flood" => flood::native,
        "basics" => basics::native,
        "markdown" => markdown::native,
        _ => links::native,
    };
    let settings: toml::Table = toml::from_str(&settings(name)).unwrap();
    let settings = serde_json::to_string(&settings).unwrap();
    Arc::new(Native::new(
        make,
        &settings,
        Arc::new(|| 1_700_000_000_000),
        7,
    ))
}

fn in_order(plugins: &Plugins) -> Vec<Arc<dyn Plugin>> {
    plugins.set().borrow().plugins.clone()
}

#[test]
fn five_plugins_cost_a_message_few_microseconds() {
    let (_house, plugins) = in_sandbox(&FIVE);
    println!("a message of ordinary talk    batches of 64        alone");
    let print = |what: &str, plugins: Vec<Arc<dyn Plugin>>| {
        let mut line = Line::of(plugins);
        let (many, one) = (line.cost(64), line.cost(1));
        println!("{what:<29} {many:>13.2?} {one:>12.2?}");
        (many, one)
    };
    let (many, one) = print("all five, in the sandbox", in_order(&plugins));
    let natives: Vec<Arc<dyn Plugin>> = in_order(&plugins)
        .iter()
        .map(|plugin| native(&plugin.manifest().name))
        .collect();
    print("all five, native", natives);
    for plugin in in_order(&plugins) {
        let name = plugin.manifest().name.clone();
        print(&format!("{name}, in the sandbox"), vec![plugin]);
        print(&format!("{name}, native"), vec![native(&name)]);
    }
    print("none", Vec::new());
    assert!(many < Duration::from_micros(20), "{many:?}");
    assert!(one < Duration::from_micros(75), "{one:?}");
}

/// The hostile plugin under another name of the same length.
fn renamed(number: usize) -> (String, Vec<u8>) {
    let name = format!("host{number:03}");
    let bytes = patched(hostile(), "hostile", &name);
    (name, bytes)
}

#[test]
fn plugins_that_do_not_apply_in_a_room_cost_its_messages_nothing_to_speak_of() {
    let mut house = House::new();
    for number in 0..50 {
        let (name, bytes) = renamed(number);
        let elsewhere = PluginConfig {
            rooms: vec!["elsewhere-*".into()],
            ..PluginConfig::default()
        };
        house.config.plugins.insert(name.clone(), elsewhere);
        house.put(&name, &bytes);
    }
    let plugins = house.open().unwrap();
    let mut line = Line::of(in_order(&plugins));
    let (many, one) = (line.cost(64), line.cost(1));
    let mut line = Line::of(Vec::new());
    let (none_many, none_one) = (line.cost(64), line.cost(1));
    println!(
        "50 plugins of other rooms: {many:.2?} a message in batches of 64 and {one:.2?} alone; no plugin: {none_many:.2?} and {none_one:.2?}"
    );
    assert!(many.saturating_sub(none_many) < Duration::from_micros(2));
}

#[test]
fn twenty_plugins_start_at_once() {
    let house = House::new();
    let real = [
        "wordlist", "flood", "basics", "markdown", "links", "poll", "remind",
    ];
    for name in real {
        house.put(name, &std::fs::read(component(name, name)).unwrap());
    }
    for number in real.len()..20 {
        let (name, bytes) = renamed(number);
        house.put(&name, &bytes);
    }
    let started = Instant::now();
    house.open().unwrap().close();
    let cold = started.elapsed();
    let started = Instant::now();
    let plugins = house.open().unwrap();
    let warm = started.elapsed();
    println!("20 plugins start in {cold:.2?}, and from the cache in {warm:.2?}");
    let mut line = Line::of(in_order(&plugins));
    line.decide(64);
    for (name, stats) in plugins.stats().plugins() {
        let bytes = stats
            .memory_bytes
            .load(std::sync::atomic::Ordering::Relaxed);
        if bytes > 0 {
            println!("an instance of {name} that works has {} KiB", bytes >> 10);
        }
    }
    assert_eq!(in_order(&plugins).len(), 20);
    assert!(warm < cold);
}
