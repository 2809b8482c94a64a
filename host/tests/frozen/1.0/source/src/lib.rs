//! `echo`: every role and every import of the interface 1.0, told in its answers.
//!
//! This is how `../echo.wasm` was made, with Rust 1.95 and what `Cargo.lock` says:
//!
//! ```text
//! cargo build --release --target wasm32-wasip2 && cp target/wasm32-wasip2/release/echo.wasm ..
//! ```
//!
//! It is here to be read. The component is what counts: every later host has to serve that file as it is, so it is not
//! built again, and a change here changes nothing.

use std::sync::OnceLock;

wit_bindgen::generate!({
    path: "../../../../../wit/1.0",
    inline: "
        package test:echo;
        world echo {
            include chat:plugin/moderator@1.0.0;
            include chat:plugin/commander@1.0.0;
            include chat:plugin/formatter@1.0.0;
            include chat:plugin/reviewer@1.0.0;
            include chat:plugin/timekeeper@1.0.0;
        }
    ",
    world: "test:echo/echo",
    generate_all,
});

use chat::plugin::types::{Body, Effect, Message, Run, Style, Target, Timer, Verdict};
use chat::plugin::{directory, log, state};
use exports::chat::plugin::{commands, formatting, moderation, plugin, review, timers};

static SETTINGS: OnceLock<String> = OnceLock::new();

struct Echo;

impl plugin::Guest for Echo {
    fn describe() -> plugin::Manifest {
        let command = |name: &str, usage: &str, summary: &str| plugin::Command {
            name: name.into(),
            usage: usage.into(),
            summary: summary.into(),
        };
        plugin::Manifest {
            name: "echo".into(),
            version: "1.0.0".into(),
            commands: vec![
                command("echo", "TEXT", "Does everything that a command can"),
                command("recall", "", "Tells what the state and the directory say"),
            ],
            priority: -3,
            batch: 5,
        }
    }

    fn start(settings: String) -> Result<(), String> {
        for level in [log::Level::Debug, log::Level::Info, log::Level::Warn, log::Level::Error] {
            log::write(level, &format!("started with {settings}"));
        }
        if settings.contains("refuse") {
            return Err(format!("I refuse {settings}"));
        }
        SETTINGS.set(settings).map_err(|_| "started twice".to_owned())
    }
}

impl moderation::Guest for Echo {
    fn moderate(batch: Vec<Message>) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(batch.len());
        for (at, message) in (0..).zip(&batch) {
            let count = state::add(at, "count", 1, None);
            let before = state::get(at, "last").map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let kept = state::put(at, "last", Some(message.text.as_bytes()), Some(60_000));
            log::write(log::Level::Debug, &message.text);
            verdicts.push(match message.text.as_str() {
                "allow" => Verdict::Allow,
                "withhold" => Verdict::Withhold(format!("withheld from {}", directory::name(message.sender))),
                "discard" => Verdict::Discard,
                text => Verdict::Revise(format!(
                    "{text}: of {} in {}, sequence {}, time {}, count {count:?}, before {before:?}, kept {kept:?}, settings {:?}",
                    directory::name(message.sender),
                    directory::room(message.room),
                    message.sequence,
                    message.time_ms,
                    SETTINGS.get(),
                )),
            });
        }
        verdicts
    }
}

impl commands::Guest for Echo {
    fn run(name: String, arguments: String, by: Message) -> Result<Vec<Effect>, String> {
        if arguments.is_empty() && name == "echo" {
            return Err("usage: /echo TEXT".into());
        }
        if name == "recall" {
            let commands = directory::commands();
            let forgotten = state::put(0, "gone", None, None);
            return Ok(vec![Effect::Reply(format!(
                "members {:?}, commands {commands:?}, last {:?}, sum {:?}, not a counter {:?}, forgotten {forgotten:?}, gone {:?}",
                directory::members(by.room, 3),
                state::get(0, "last"),
                state::add(0, "count", -10, Some(1_000)),
                state::add(0, "last", 1, None).is_err(),
                state::get(0, "gone"),
            ))]);
        }
        Ok(vec![
            Effect::Say(arguments.clone()),
            Effect::Act(format!("of {}", by.text)),
            Effect::Notice(name),
            Effect::Whisper(("bob".into(), arguments.clone())),
            Effect::Reply(arguments.clone()),
            Effect::Topic(arguments.clone()),
            Effect::Mute((by.sender, 1_500)),
            Effect::Schedule(Timer { key: "later".into(), delay_ms: 60_000, data: arguments.into_bytes() }),
            Effect::Cancel("earlier".into()),
        ])
    }
}

fn text(body: &Body) -> String {
    match body {
        Body::Plain(text) => text.clone(),
        Body::Styled(runs) => runs.iter().map(|run| shown(run)).collect::<Vec<_>>().join("|"),
    }
}

fn shown(run: &Run) -> String {
    let target = match &run.target {
        Target::None => "none",
        Target::Url(url) => url,
        Target::Mention => "mention",
    };
    format!("{} {:#x} {target}", run.text, run.style.bits())
}

impl formatting::Guest for Echo {
    fn format(batch: Vec<formatting::Item>) -> Vec<Option<Vec<Run>>> {
        batch
            .iter()
            .map(|item| {
                let body = text(&item.body);
                if body == "plain" {
                    return None;
                }
                let run = |text: &str, style, target| Run { text: text.into(), style, target };
                Some(vec![
                    run(&format!("{body}: room {}, sender {}", item.room, item.sender), Style::empty(), Target::None),
                    run("strong", Style::STRONG, Target::Url("https://example.org/".into())),
                    run("emphasis", Style::EMPHASIS | Style::STRIKE, Target::None),
                    run("code", Style::CODE | Style::BLOCK, Target::None),
                    run(&directory::name(item.sender), Style::QUOTE, Target::Mention),
                ])
            })
            .collect()
    }
}

impl review::Guest for Echo {
    fn review(batch: Vec<review::Item>) -> Vec<Verdict> {
        let judge = |(at, item): (u32, &review::Item)| match text(&item.body).as_str() {
            "allow" => Verdict::Allow,
            "discard" => Verdict::Discard,
            text => Verdict::Withhold(format!(
                "{text}: room {}, sender {}, count {:?}",
                item.room,
                item.sender,
                state::add(at, "reviewed", 1, None)
            )),
        };
        (0..).zip(&batch).map(judge).collect()
    }
}

impl timers::Guest for Echo {
    fn fired(room: u64, due: Timer) -> Vec<Effect> {
        let count = state::add(0, "fired", 1, None);
        vec![
            Effect::Notice(format!(
                "{} in {room} after {} ms with {:?}, count {count:?}",
                due.key, due.delay_ms, due.data
            )),
            Effect::Schedule(Timer { delay_ms: due.delay_ms * 2, ..due }),
        ]
    }
}

export!(Echo);
