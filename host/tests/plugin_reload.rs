//! Reload is atomic: what does not prove itself never replaces what works, and a start survives a broken file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_host::plugin::{OpenError, Order, Plugins, Policy, Reason, Status, Verdict};
use plugin_support::{
    House, Memory, component, find, hostile, long_to_compile, message, patched, plugin, until,
};

/// The hostile plugin under another version of the same length.
fn version(name: &str) -> Vec<u8> {
    patched(hostile(), "1.0.0+first", name)
}

/// Without the role `review`: its export is renamed to what is not ours.
fn without_review(name: &str) -> Vec<u8> {
    patched(&version(name), "chat:plugin/review@", "chat:plugim/review@")
}

fn in_force(plugins: &Plugins) -> Option<String> {
    find(&plugins.set().borrow(), "hostile").map(|plugin| plugin.manifest().version.clone())
}

fn works(plugins: &Plugins) {
    let mut it = plugin(plugins, "hostile")
        .instance(Arc::new(Memory::default()))
        .unwrap();
    assert_eq!(it.moderate(&[message("hello")]), Ok(vec![Verdict::Allow]));
}

#[test]
fn a_new_version_takes_effect_as_a_whole_and_raises_the_sets_version() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let before = plugins.set().borrow().clone();
    let mut old = plugin(&plugins, "hostile")
        .instance(Arc::new(Memory::default()))
        .unwrap();

    house.put("hostile", &version("2.0.0+other"));
    until("the new version serves", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });

    works(&plugins);
    assert_eq!(plugins.set().borrow().version, before.version + 1);
    assert_eq!(plugins.stats().reloads(), 1);
    // What a partition still holds goes on until it swaps, between two messages.
    assert_eq!(old.moderate(&[message("hello")]), Ok(vec![Verdict::Allow]));
    assert_eq!(before.plugins[0].manifest().version, "1.0.0+first");
}

#[test]
fn what_does_not_prove_itself_never_replaces_what_works() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let whole = version("2.0.0+other");
    let refused: [(&str, Vec<u8>); 5] = [
        ("not a component", b"hello".to_vec()),
        ("the beginning of one", whole[..whole.len() - 1000].to_vec()),
        ("one that lacks a role", without_review("2.0.0+other")),
        (
            "one of a later interface",
            patched(&whole, "@1.0.0", "@2.0.0"),
        ),
        (
            "one of another name",
            patched(&whole, "hostile2.0.0", "Hostile2.0.0"),
        ),
    ];
    for (count, (what, bytes)) in (1..).zip(&refused) {
        house.put("hostile", bytes);
        until(what, || plugins.stats().refused() == count);
        assert_eq!(in_force(&plugins).as_deref(), Some("1.0.0+first"), "{what}");
        works(&plugins);
    }
    assert_eq!(plugins.set().borrow().version, 1);

    house.put("hostile", &whole);
    until("the good one serves", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });
}

#[test]
fn a_refused_file_is_tried_once() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    house.put("hostile", b"hello");
    until("it is refused", || plugins.stats().refused() == 1);
    // Another plugin's arrival shows that the folder was looked at again.
    house.put("another", b"hello");
    until("another is refused", || plugins.stats().refused() == 2);
    assert_eq!(plugins.stats().refused(), 2);
}

#[test]
fn a_file_that_is_written_in_pieces_is_read_whole() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let whole = version("2.0.0+other");
    for pieces in 1..=20 {
        house.put("hostile", &whole[..whole.len() * pieces / 20]);
        std::thread::park_timeout(Duration::from_millis(30));
    }
    until("the new version serves", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });
    assert_eq!(plugins.stats().refused(), 0, "no prefix was tried");
}

#[test]
fn the_operator_may_let_a_version_lose_roles() {
    let mut house = House::hostile("");
    house
        .config
        .plugins
        .get_mut("hostile")
        .unwrap()
        .may_lose_roles = true;
    let plugins = house.open().unwrap();
    house.put("hostile", &without_review("2.0.0+other"));
    until("it serves", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });
    assert!(!plugin(&plugins, "hostile").manifest().roles.review);
}

#[test]
fn a_start_does_not_let_roles_be_lost_either() {
    let house = House::hostile("");
    house.open().unwrap().close();
    house.put("hostile", &without_review("2.0.0+other"));
    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("1.0.0+first"));
}

#[test]
fn a_removal_counts_after_two_seconds_without_a_successor() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let removed = Instant::now();
    std::fs::remove_file(house.path("hostile")).unwrap();
    until("it is out of force", || in_force(&plugins).is_none());
    assert!(
        removed.elapsed() >= Duration::from_secs(2),
        "{:?}",
        removed.elapsed()
    );
    assert!(plugins.set().borrow().plugins.is_empty());

    house.put("hostile", hostile());
    until("it is back", || in_force(&plugins).is_some());
    works(&plugins);
}

#[test]
fn a_build_that_deletes_before_it_writes_is_a_replacement() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let mut set = plugins.set();
    set.borrow_and_update();
    std::fs::remove_file(house.path("hostile")).unwrap();
    std::thread::park_timeout(Duration::from_millis(500));
    house.put("hostile", &version("2.0.0+other"));
    until("a set is published", || set.has_changed().unwrap());
    assert_eq!(
        in_force(&plugins).as_deref(),
        Some("2.0.0+other"),
        "it was never out of force"
    );
}

#[test]
fn the_last_good_version_serves_at_a_start_where_the_file_is_broken() {
    let house = House::hostile("");
    house.open().unwrap().close();
    house.put("hostile", b"broken");
    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("1.0.0+first"));
    works(&plugins);

    house.put("hostile", &version("2.0.0+other"));
    until("the mended one serves", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });
}

#[test]
fn a_broken_file_without_a_last_good_version_fails_the_start_and_names_the_plugin() {
    let house = House::new();
    house.put("hostile", b"broken");
    let error = house.open().err().expect("the start fails").to_string();
    assert!(
        error.starts_with("the plugin `hostile` does not load: "),
        "{error}"
    );
}

#[test]
fn a_required_plugin_must_be_there() {
    let mut house = House::hostile("");
    house.config.require = vec!["hostile".into(), "wordlist".into()];
    let error = house.open().err().expect("the start fails").to_string();
    assert!(
        error.starts_with("the plugin `wordlist` does not load: it is required"),
        "{error}"
    );
    house.config.require.pop();
    house.open().unwrap();
}

#[test]
fn a_required_plugin_stays_when_its_file_goes() {
    let mut house = House::hostile("");
    let bytes = std::fs::read(component("wordlist", "wordlist")).unwrap();
    house.put("wordlist", &bytes);
    house.config.require = vec!["hostile".into()];
    let plugins = house.open().unwrap();
    let folder = house.config.folder.clone().unwrap();
    for name in ["hostile", "wordlist"] {
        std::fs::remove_file(folder.join(format!("{name}.wasm"))).unwrap();
    }
    // By the time that the other one is out, this one would be, too.
    until("the other one is out", || {
        plugins.set().borrow().plugins.len() < 2
    });
    let set = plugins.set().borrow().clone();
    let names: Vec<&str> = set.plugins.iter().map(|p| &*p.manifest().name).collect();
    assert_eq!(names, ["hostile"]);
}

#[test]
fn a_start_without_plugins_works_and_without_their_folder_does_not() {
    let mut house = House::new();
    let plugins = house.open().unwrap();
    assert!(plugins.set().borrow().plugins.is_empty());
    plugins.close();

    std::fs::remove_dir(house.config.folder.as_ref().unwrap()).unwrap();
    let error = house.open().err().expect("the start fails");
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");

    house.config.folder = None;
    assert!(house.open().unwrap().set().borrow().plugins.is_empty());
    house.config.require = vec!["wordlist".into()];
    assert!(house.open().is_err());
}

/// With the three plugins that people use.
#[test]
fn a_second_start_compiles_nothing() {
    let house = House::new();
    for name in ["basics", "markdown", "wordlist"] {
        house.put(name, &std::fs::read(component(name, name)).unwrap());
    }
    let start = || {
        let started = Instant::now();
        let plugins = house.open().unwrap();
        (plugins, started.elapsed())
    };
    let (first, compiling) = start();
    assert_eq!(first.stats().compiled.get(), 3);
    first.close();
    let (second, cached) = start();
    println!("a start took {compiling:?}, and from the cache {cached:?}");
    assert_eq!(second.stats().compiled.get(), 0);
    assert_eq!(second.set().borrow().plugins.len(), 3);
    assert!(
        cached < compiling / 2,
        "the cache saves little: {cached:?} of {compiling:?}"
    );
    let mut it = plugin(&second, "wordlist")
        .instance(Arc::new(Memory::default()))
        .unwrap();
    assert_eq!(it.moderate(&[message("hello")]), Ok(vec![Verdict::Allow]));
}

#[test]
fn code_in_a_folder_that_others_can_enter_is_not_run() {
    let house = House::hostile("");
    let code = house.kept("code");
    std::fs::set_permissions(&code, std::fs::Permissions::from_mode(0o755)).unwrap();
    let plugins = house.open().unwrap();
    assert_eq!(plugins.stats().compiled.get(), 1);
    works(&plugins);
}

#[test]
fn damaged_code_is_compiled_again() {
    let house = House::hostile("");
    for entry in std::fs::read_dir(house.kept("code")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"damaged").unwrap();
    }
    let plugins = house.open().unwrap();
    assert_eq!(plugins.stats().compiled.get(), 1);
    works(&plugins);
}

#[test]
fn a_link_out_of_the_folder_is_refused() {
    let house = House::new();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("hostile.wasm"), hostile()).unwrap();
    symlink(elsewhere.path().join("hostile.wasm"), house.path("hostile")).unwrap();
    match house.open().err() {
        Some(OpenError::Load(error)) => assert_eq!(error.reason, Reason::OutsideFolder),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unreadable_folder_removes_nothing() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let folder = house.config.folder.clone().unwrap();
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::thread::park_timeout(Duration::from_secs(3));
    works(&plugins);
    std::fs::rename(&aside, &folder).unwrap();
    house.put("hostile", &version("2.0.0+other"));
    until("the folder is followed again", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });
}

/// As orchestrators do it: nothing changes in the folder that is watched, so nothing is notified.
#[test]
fn a_change_without_a_notification_is_found_by_looking() {
    let mut house = House::hostile("");
    let folder = house.config.folder.clone().unwrap();
    let [one, two, link] = ["one", "two", "link"].map(|name| folder.with_extension(name));
    std::fs::rename(&folder, &one).unwrap();
    std::fs::create_dir(&two).unwrap();
    std::fs::write(two.join("hostile.wasm"), version("2.0.0+other")).unwrap();
    symlink(&one, &link).unwrap();
    house.config.folder = Some(link.clone());
    let plugins = house.open().unwrap();
    assert_eq!(in_force(&plugins).as_deref(), Some("1.0.0+first"));

    let next = link.with_extension("next");
    symlink(&two, &next).unwrap();
    std::fs::rename(&next, &link).unwrap();
    until("the other folder's version serves", || {
        in_force(&plugins).as_deref() == Some("2.0.0+other")
    });
    works(&plugins);
    // And a file in it, which nobody watches either.
    std::fs::write(two.join("hostile.wasm"), version("3.0.0+third")).unwrap();
    until("a change in it is found", || {
        in_force(&plugins).as_deref() == Some("3.0.0+third")
    });
    assert_eq!(plugins.stats().refused(), 0);
    std::fs::remove_file(two.join("hostile.wasm")).unwrap();
    until("a removal is found", || in_force(&plugins).is_none());
}

#[test]
fn the_operators_priority_and_policy_go_before_the_plugins() {
    let mut house = House::hostile("");
    let plugins = house.open().unwrap();
    let it = plugin(&plugins, "hostile");
    assert_eq!(it.manifest().priority, 7);
    assert_eq!(
        (it.policy(true), it.policy(false)),
        (Policy::Withhold, Policy::Allow)
    );
    drop(plugins);

    let own = house.config.plugins.get_mut("hostile").unwrap();
    own.priority = Some(-1);
    own.on_failure = Some(Policy::Allow);
    let plugins = house.open().unwrap();
    let it = plugin(&plugins, "hostile");
    assert_eq!(it.manifest().priority, -1);
    assert_eq!(
        (it.policy(true), it.policy(false)),
        (Policy::Allow, Policy::Allow)
    );
}

#[test]
fn closing_leaves_instances_usable_and_swaps_nothing() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    let set = plugins.set();
    let mut it = plugin(&plugins, "hostile")
        .instance(Arc::new(Memory::default()))
        .unwrap();
    plugins.close();
    house.put("hostile", &version("2.0.0+other"));
    assert_eq!(it.moderate(&[message("hello")]), Ok(vec![Verdict::Allow]));
    assert!(set.has_changed().is_err(), "the sender is gone");
}

/// Longer to compile than any test waits.
fn endless() -> Vec<u8> {
    long_to_compile(60_000, 120)
}

#[test]
fn what_is_replaced_while_it_compiles_is_given_up() {
    let house = House::new();
    let plugins = house.open().unwrap();
    house.put("hostile", &endless());
    until("it compiles", || !compiling(&house).is_empty());
    house.put("hostile", hostile());
    until("the newest serves", || in_force(&plugins).is_some());
    assert_eq!(plugins.stats().compiled.get(), 1);
}

/// How nice a process is: the 19th of its figures, counted from after its name.
fn niceness(pid: u32) -> Option<i64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, figures) = stat.rsplit_once(')')?;
    figures.split_whitespace().nth(16)?.parse().ok()
}

#[test]
fn a_compiler_gives_way_to_those_who_are_served() {
    let house = House::new();
    let plugins = house.open().unwrap();
    house.put("hostile", &endless());
    let own = niceness(std::process::id()).unwrap();
    until("it compiles at low priority", || {
        let nice: Vec<i64> = compiling(&house).into_iter().filter_map(niceness).collect();
        !nice.is_empty() && nice.iter().all(|nice| *nice == (own + 10).min(19))
    });
    plugins.close();
}

#[test]
fn an_order_waits_for_no_compiler() {
    let house = House::hostile("");
    let plugins = house.open().unwrap();
    house.put("slow", &endless());
    until("it compiles", || !compiling(&house).is_empty());
    let orders = plugins.orders();
    // Were it waited for, it would be refused by then.
    let refused = |statuses: &[Status]| statuses.iter().any(|status| !status.refused.is_empty());
    let seen = orders.give(Order::List).unwrap();
    assert!(!refused(&seen) && !compiling(&house).is_empty(), "{seen:?}");
    let seen = orders.give(Order::Disable("hostile".into())).unwrap();
    assert!(!refused(&seen), "{seen:?}");
    assert!(in_force(&plugins).is_none(), "it is out at once");
    until("it compiles again", || !compiling(&house).is_empty());
    plugins.close();
}

#[test]
fn the_end_waits_for_no_compiler() {
    let house = House::new();
    let plugins = house.open().unwrap();
    house.put("hostile", &endless());
    until("it compiles", || !compiling(&house).is_empty());
    plugins.close();
    assert!(compiling(&house).is_empty(), "it outlived the host");
}

#[test]
fn a_component_that_costs_a_compiler_too_much_is_refused_and_says_what() {
    let house = House::new();
    // The validator's own bound on a function's size, or the compiler's limits: whichever is met first.
    house.put("hostile", &long_to_compile(1, 2_000_000));
    let error = house.open().err().expect("it is refused").to_string();
    assert!(
        error.starts_with(
            "the plugin `hostile` does not load: it is not a WebAssembly component that compiles"
        ),
        "{error}"
    );
}

/// Compilers that run for this house: they write into its cache.
fn compiling(house: &House) -> Vec<u32> {
    let cache = house.kept("code");
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        found.extend(children.filter(|pid: &u32| {
            std::fs::read_link(format!("/proc/{pid}/fd/1")).is_ok_and(|out| out.starts_with(&cache))
        }));
    }
    found
}
