//! A component brings along what an older version remembers, within its limits and the interface's; and components of
//! every 1.x run beside each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use std::sync::Arc;

use chat_host::config::PluginConfig;
use chat_host::plugin::{Alone, Blame, Fault, Instance, Plugins, Remembered, Verdict};
use plugin_support::{House, Memory, component, hostile, item, message, plugin};

fn next(settings: &str) -> (House, Plugins) {
    let mut house = House::new();
    house.set("tally", settings);
    let bytes = std::fs::read(component("tally-next-guest", "tally_next")).unwrap();
    house.put("tally", &bytes);
    let plugins = house.open().unwrap();
    (house, plugins)
}

fn instance(plugins: &Plugins) -> Box<dyn Instance> {
    plugin(plugins, "tally")
        .instance(Arc::new(Memory::default()))
        .unwrap()
}

fn entry(key: &str, value: &[u8], expires_ms: Option<u64>) -> Remembered {
    Remembered {
        key: key.into(),
        value: value.into(),
        expires_ms,
    }
}

#[test]
fn what_a_component_brings_along_is_what_it_was_given_in_its_own_layout() {
    let (_house, plugins) = next("");
    assert_eq!(plugin(&plugins, "tally").layout(), 1);
    let mut instance = instance(&plugins);
    let number = 5_i64.to_le_bytes();
    let before = [
        entry("all", &number, Some(7)),
        entry("last/1", b"\"x\"", None),
    ];
    let after = instance.migrate(3, 0, &before).unwrap();
    let once = 1_i64.to_le_bytes();
    let expected = [
        entry("brought", &once, None),
        entry("count", &number, Some(7)),
        entry("last/1", b"\"x\"", None),
    ];
    assert_eq!(after, expected);
    let verdicts = instance.moderate(&[message("hello")]).unwrap();
    assert_eq!(
        verdicts,
        [Verdict::Revise("hello ##1 0".into())],
        "it lives on"
    );
}

#[test]
fn a_migration_that_breaks_a_limit_is_blamed_for_it_and_its_instance_is_done_with() {
    for (mode, blame, words) in [
        ("refuse", Blame::Answer, "I do not like it"),
        ("panic", Blame::Trap, "as I was told"),
        ("loop", Blame::RunningTime, "computing"),
        ("large", Blame::Answer, "70002 bytes, and at most 65536"),
        ("state", Blame::Answer, "`directory` during `migrate`"),
    ] {
        let (_house, plugins) = next(&format!("migration = \"{mode}\""));
        let mut instance = instance(&plugins);
        let fault: Fault = instance.migrate(3, 0, &[]).expect_err(mode);
        assert_eq!(fault.blame, blame, "{mode}: {fault}");
        assert!(fault.whole().contains(words), "{mode}: {fault}");
        let fault = instance.moderate(&[message("hello")]).expect_err(mode);
        assert_eq!(fault.blame, Blame::Host, "{mode}: {fault}");
    }
}

#[test]
fn a_component_of_an_earlier_interface_is_served_as_it_was() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let old = plugin(&plugins, "hostile");
    assert_eq!(old.layout(), 0);
    let mut instance = old.instance(Arc::new(Memory::default())).unwrap();
    // What it imports of 1.0 is there, and what it exports is found.
    let said = instance.moderate(&[message("do:echo-room")]).unwrap();
    assert_eq!(said, [Verdict::Revise("room-3".into())]);
    let bodies = instance.format(&[item("do:style")]).unwrap();
    assert_eq!(bodies[0].as_ref().map(Vec::len), Some(2));
    let fault = instance.migrate(3, 0, &[]).unwrap_err();
    assert_eq!(fault.blame, Blame::Host, "{fault}");
}

#[test]
fn what_a_component_was_built_for_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let facts = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, bytes).unwrap();
        let alone = Alone::load(&path, PluginConfig::default()).unwrap();
        (alone.facts().interface.clone(), alone.facts().layout)
    };
    assert_eq!(facts("hostile", hostile()), ("1.0".into(), 0));
    let next = std::fs::read(component("tally-next-guest", "tally_next")).unwrap();
    assert_eq!(facts("tally", &next), ("1.1".into(), 1));
}
