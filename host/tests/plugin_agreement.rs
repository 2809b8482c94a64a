//! A component does what its native twin does: the same messages, the same answers, however they are cut into batches.
//!
//! The components are those in the folder `CHAT_HOST_PLUGINS`, or are built here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

#[path = "plugin_support/native.rs"]
mod native;
mod plugin_support;

use std::path::PathBuf;
use std::sync::Arc;

use chat_host::plugin::{FormatItem, Instance, Message, Plugin, TextBody};
use native::{Make, Native};
use plugin_support::{House, Memory, component, item, message, plugin};

/// What people write, and what people write who want to break something.
const TEXTS: &[&str] = &[
    "hello",
    "a short message of some words, as most are",
    "a small   word between",
    "*strong* _emphasis_ ~strike~ `code` **very** __much__",
    "```\nlet x = 1;\n```\nand so on",
    "> quoted\n> twice\n\nand an answer",
    "see https://example.org/a_(b)?c=d#e, or <https://example.org>.",
    "[named](https://example.org) and [bad](javascript:alert(1)) and [](x)",
    "@someone and @some-one, mail me@example.org",
    ":smile: :no_such_thing: :+1: 👍🏽 👩‍👩‍👧‍👦",
    "darn d a r n d.a.r.n DARN đárn dаrn ｄａｒｎ",
    "***nested **and* unbalanced_ ~~~ ````",
    "\u{202e}turned around\u{202c} z\u{300}\u{301}\u{302}algo",
    "한국어 日本語 العربية עברית",
    "\t\n tabs and\n\n\nnewlines \n",
    "/roll 2d6",
    "((((((((((((((((((((((((((((((((",
];

fn twins(name: &str, make: Make, settings: &str) -> (Arc<dyn Plugin>, Native, House) {
    let file = match std::env::var_os("CHAT_HOST_PLUGINS") {
        Some(folder) => PathBuf::from(folder).join(format!("{name}.wasm")),
        None => component(name, name),
    };
    let mut house = House::new();
    house.set(name, settings);
    house.put(name, &std::fs::read(file).unwrap());
    let plugins = house.open().unwrap();
    let json = serde_json::to_string(&house.config.plugins[name].settings).unwrap();
    let twin = Native::new(make, &json, Arc::new(|| 1_700_000_000_000), 7);
    (plugin(&plugins, name), twin, house)
}

fn messages() -> Vec<Message> {
    let long = TEXTS.join(" ").chars().take(1_000).collect::<String>();
    let texts = TEXTS.iter().map(|text| (*text).to_owned()).chain([long]);
    let number = |(n, text): (usize, String)| Message {
        sequence: n as u64,
        sender: n as u64 % 3,
        ..message(&text)
    };
    texts.enumerate().map(number).collect()
}

fn instance(of: &dyn Plugin) -> Box<dyn Instance> {
    of.instance(Arc::new(Memory::default())).unwrap()
}

/// The component is asked in batches of each size, the twin for one message at a time.
fn agree(name: &str, make: Make, settings: &str) {
    let (component, twin, _house) = twins(name, make, settings);
    assert_eq!(component.manifest(), twin.manifest());
    let roles = twin.manifest().roles;
    let messages = messages();
    let items: Vec<FormatItem> = messages.iter().map(|message| item(&message.text)).collect();

    for size in [1, 3, messages.len()] {
        let (mut inside, mut outside) = (instance(&*component), instance(&twin));
        if roles.moderation {
            for batch in messages.chunks(size) {
                let expected: Vec<_> = batch
                    .iter()
                    .flat_map(|one| outside.moderate(std::slice::from_ref(one)).unwrap())
                    .collect();
                assert_eq!(inside.moderate(batch).unwrap(), expected, "{batch:#?}");
            }
        }
        let mut laid_out = items.clone();
        if roles.formatting {
            for (batch, at) in items.chunks(size).zip((0..).step_by(size)) {
                let expected: Vec<_> = batch
                    .iter()
                    .flat_map(|one| outside.format(std::slice::from_ref(one)).unwrap())
                    .collect();
                assert_eq!(inside.format(batch).unwrap(), expected, "{batch:#?}");
                for (runs, n) in expected.into_iter().zip(at..) {
                    if let Some(runs) = runs {
                        laid_out[n].body = TextBody::Styled(runs);
                    }
                }
            }
            for batch in laid_out.chunks(size) {
                let expected = outside.format(batch).unwrap();
                assert_eq!(inside.format(batch).unwrap(), expected, "{batch:#?}");
            }
        }
        if roles.review {
            for batch in laid_out.chunks(size) {
                let expected: Vec<_> = batch
                    .iter()
                    .flat_map(|one| outside.review(std::slice::from_ref(one)).unwrap())
                    .collect();
                assert_eq!(inside.review(batch).unwrap(), expected, "{batch:#?}");
            }
        }
    }
    for command in &twin.manifest().commands {
        let (mut inside, mut outside) = (instance(&*component), instance(&twin));
        for arguments in ["", "nonsense", "some one: hello", "help"] {
            let by = message(&format!("/{} {arguments}", command.name));
            let answer = inside.run(&command.name, arguments, &by).unwrap();
            let expected = outside.run(&command.name, arguments, &by).unwrap();
            if command.name == "roll" {
                // Its randomness is the machine's.
                assert_eq!(answer.is_ok(), expected.is_ok(), "{by:?}");
            } else {
                assert_eq!(answer, expected, "{by:?}");
            }
        }
    }
}

#[test]
fn wordlist_is_the_same_inside_and_outside_the_sandbox() {
    let settings = r#"
        entries = [
            { text = "darn" },
            { text = "small word", action = "withhold", reason = "not so small" },
            { text = "tabs", action = "discard", whole_word = false },
        ]
    "#;
    agree("wordlist", wordlist::native, settings);
}

#[test]
fn markdown_is_the_same_inside_and_outside_the_sandbox() {
    agree("markdown", markdown::native, "");
}

#[test]
fn basics_is_the_same_inside_and_outside_the_sandbox() {
    agree("basics", basics::native, "");
}
