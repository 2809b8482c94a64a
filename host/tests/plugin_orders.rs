//! What the operator says counts: settings beside a component, and orders to a running host, also after a restart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use chat_host::plugin::{Order, Plugins, Policy, Status};
use plugin_support::{House, find, hostile, patched, until};

/// The hostile plugin under another version of the same length.
fn version(name: &str) -> Vec<u8> {
    patched(hostile(), "1.0.0+first", name)
}

fn status(plugins: &Plugins) -> Status {
    give(plugins, Order::List).unwrap().remove(0)
}

fn give(plugins: &Plugins, order: Order) -> Result<Vec<Status>, String> {
    plugins.orders().give(order)
}

fn in_force(plugins: &Plugins) -> Option<String> {
    find(&plugins.set().borrow(), "hostile").map(|plugin| plugin.manifest().version.clone())
}

fn beside(house: &House, text: &str) {
    std::fs::write(house.path("hostile").with_extension("toml"), text).unwrap();
}

fn order(name: fn(String) -> Order) -> Order {
    name("hostile".into())
}

#[test]
fn settings_beside_a_component_take_effect_by_themselves_and_only_if_they_are_right() {
    let mut house = House::hostile("");
    let plugins = house.open().unwrap();
    let policy = || {
        find(&plugins.set().borrow(), "hostile")
            .unwrap()
            .policy(true)
    };
    assert_eq!(policy(), Policy::Withhold);
    beside(&house, "on-failure = 'allow'\npriority = 7\n");
    until("the settings are in force", || policy() == Policy::Allow);
    assert_eq!(status(&plugins).priority, 7);
    assert_eq!(plugins.stats().compiled.get(), 0, "the code is the same");

    for (text, named) in [
        (
            "on-failur = 'withhold'",
            "did you mean `plugins.hostile.on-failure`?",
        ),
        ("on-failure = 'perhaps'", "hostile.toml:1"),
        (
            "memory-bytes = '2GiB'",
            "this host was started with room for",
        ),
        ("on-failure = ", "hostile.toml:1"),
        ("[settings]\nkey = { secret-file = '/nowhere' }", "/nowhere"),
    ] {
        beside(&house, text);
        until(named, || status(&plugins).refused.contains(named));
        assert_eq!(policy(), Policy::Allow, "the old ones stay: {text}");
    }
    beside(&house, "priority = 8\n");
    until("what is right counts", || status(&plugins).priority == 8);
    assert_eq!(status(&plugins).refused, "");
    beside(&house, "on-failur = 'withhold'");
    until("it is refused", || !status(&plugins).refused.is_empty());
    plugins.close();

    // At a start, too, the last ones that worked are in force.
    let plugins = house.open().unwrap();
    assert_eq!(status(&plugins).priority, 8);
    assert!(status(&plugins).refused.contains("on-failur"));
    plugins.close();

    // Without the file, the table of the configuration counts again.
    std::fs::remove_file(house.path("hostile").with_extension("toml")).unwrap();
    house.config.plugins.get_mut("hostile").unwrap().priority = Some(3);
    assert_eq!(status(&house.open().unwrap()).priority, 3);
}

#[test]
fn what_is_disabled_stays_out_until_it_is_enabled() {
    let mut house = House::hostile("");
    let plugins = house.open().unwrap();
    let statuses = give(&plugins, order(Order::Disable)).unwrap();
    assert_eq!(
        (&*statuses[0].state, in_force(&plugins)),
        ("disabled", None)
    );
    house.put("hostile", &version("2.0.0+other"));
    plugins.close();

    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins), None, "also after a restart");
    let statuses = give(&plugins, order(Order::Enable)).unwrap();
    assert_eq!(statuses[0].state, "serving");
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));
    beside(&house, "enabled = false");
    until("the order goes before the settings", || {
        give(&plugins, order(Order::Reload)).is_ok()
    });
    assert!(in_force(&plugins).is_some());

    let refused = give(&plugins, Order::Disable("other".into())).unwrap_err();
    assert!(refused.contains("there is no plugin `other`"), "{refused}");
    assert!(refused.contains("there are: hostile"), "{refused}");
    plugins.close();
    house.config.require = vec!["hostile".into()];
    let plugins = house.open().unwrap();
    let refused = give(&plugins, order(Order::Disable)).unwrap_err();
    assert!(refused.contains("is required"), "{refused}");
    assert!(in_force(&plugins).is_some());
}

#[test]
fn a_rollback_passes_over_the_file_until_its_content_changes() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let refused = give(&plugins, order(Order::Rollback)).unwrap_err();
    assert!(refused.contains("no older version"), "{refused}");
    for name in ["2.0.0+other", "3.0.0+other", "4.0.0+other"] {
        house.put("hostile", &version(name));
        until(name, || in_force(&plugins).as_deref() == Some(name));
    }
    assert_eq!(
        status(&plugins).kept,
        ["4.0.0+other", "3.0.0+other", "2.0.0+other"],
        "the last three"
    );

    let statuses = give(&plugins, order(Order::Rollback)).unwrap();
    assert_eq!(statuses[0].state, "rolled back");
    assert_eq!(in_force(&plugins).as_deref(), Some("3.0.0+other"));
    give(&plugins, order(Order::Rollback)).unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));
    // The same content under a new time is no change.
    house.put("hostile", &version("4.0.0+other"));
    plugins.close();
    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));
    assert_eq!(status(&plugins).state, "rolled back");

    house.put("hostile", &version("5.0.0+other"));
    until("another content counts", || {
        in_force(&plugins).as_deref() == Some("5.0.0+other")
    });
    assert_eq!(status(&plugins).state, "serving");
    give(&plugins, order(Order::Rollback)).unwrap();
    give(&plugins, order(Order::Reload)).unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("5.0.0+other"));
}

#[test]
fn the_list_tells_how_a_plugin_does() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let mut instance = plugin_support::plugin(&plugins, "hostile")
        .instance(std::sync::Arc::new(plugin_support::Memory::default()))
        .unwrap();
    for _ in 0..10 {
        instance
            .moderate(&[plugin_support::message("hello")])
            .unwrap();
    }
    instance
        .moderate(&[plugin_support::message("do:trap")])
        .unwrap_err();
    let status = status(&plugins);
    assert_eq!(status.name, "hostile");
    assert_eq!(status.version, "1.0.0+first");
    assert_eq!((status.messages, status.failures), (11, 1));
    assert!(status.memory_bytes > 64 * 1024, "{status:?}");
    assert!(status.p99_us >= status.p50_us, "{status:?}");
    assert_eq!(status.roles.len(), 5);
    let refused = give(&plugins, order(Order::Release)).unwrap_err();
    assert!(refused.contains("is not in quarantine"), "{refused}");
}

/// Three versions have served, and the operator went back to the second.
fn rolled_back() -> (House, Plugins) {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    for name in ["2.0.0+other", "3.0.0+other"] {
        house.put("hostile", &version(name));
        until(name, || in_force(&plugins).as_deref() == Some(name));
    }
    give(&plugins, order(Order::Rollback)).unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));
    (house, plugins)
}

#[test]
fn what_was_rolled_back_does_not_come_back_where_the_files_break() {
    let (house, plugins) = rolled_back();
    beside(&house, "no-such-key = 1");
    until("it is refused", || !status(&plugins).refused.is_empty());
    plugins.close();
    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));

    // Settings that are right reach the version that serves.
    beside(&house, "priority = 9");
    until("they are in force", || status(&plugins).priority == 9);
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));

    // The one after it goes back to what served before, and not to what was rolled back.
    house.put("hostile", &version("4.0.0+other"));
    until("the new one serves", || {
        in_force(&plugins).as_deref() == Some("4.0.0+other")
    });
    give(&plugins, order(Order::Rollback)).unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));
}

#[test]
fn a_rollback_ends_with_the_file() {
    let (house, plugins) = rolled_back();
    std::fs::remove_file(house.path("hostile")).unwrap();
    until("it is removed", || in_force(&plugins).is_none());
    house.put("hostile", &version("3.0.0+other"));
    until("what is put there serves", || {
        in_force(&plugins).as_deref() == Some("3.0.0+other")
    });
    assert_eq!(status(&plugins).state, "serving");
    plugins.close();
    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("3.0.0+other"));
}

#[test]
fn an_order_that_fails_changes_nothing_and_one_to_go_out_never_fails_for_the_files() {
    let (house, plugins) = rolled_back();
    beside(&house, "no-such-key = 1");
    until("it is refused", || !status(&plugins).refused.is_empty());
    let refused = give(&plugins, order(Order::Reload)).unwrap_err();
    assert!(refused.contains("no-such-key"), "{refused}");
    assert_eq!(status(&plugins).state, "rolled back");
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));

    give(&plugins, order(Order::Disable)).unwrap();
    assert_eq!(in_force(&plugins), None);
    for order in [order(Order::Rollback), order(Order::Reload)] {
        let refused = give(&plugins, order).unwrap_err();
        assert!(refused.contains("enable it first"), "{refused}");
    }
    plugins.close();
    let plugins = house.open().unwrap();
    assert_eq!(
        in_force(&plugins),
        None,
        "a broken file brings nothing back"
    );
    let refused = give(&plugins, order(Order::Enable)).unwrap_err();
    assert!(refused.contains("no-such-key"), "{refused}");
    assert_eq!(status(&plugins).state, "disabled", "nothing has changed");
    std::fs::remove_file(house.path("hostile").with_extension("toml")).unwrap();
    give(&plugins, order(Order::Enable)).unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("2.0.0+other"));
}
