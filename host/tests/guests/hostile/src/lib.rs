//! A plugin that does what its input says, in every role: the word after `do:` in a message's text, a command's
//! arguments, a body or a timer's key. Without one it behaves well.
//!
//! Its settings choose how it starts. Tests make other versions of it by replacing bytes of equal length: see
//! `VERSION`.
#![cfg(target_family = "wasm")]

mod deeds;

wit_bindgen::generate!({
    path: "../../../../wit/1.0",
    inline: "
        package test:hostile;
        world hostile {
            include chat:plugin/moderator@1.0.0;
            include chat:plugin/commander@1.0.0;
            include chat:plugin/formatter@1.0.0;
            include chat:plugin/reviewer@1.0.0;
            include chat:plugin/timekeeper@1.0.0;
        }
    ",
    world: "test:hostile/hostile",
    generate_all,
});

use chat::plugin::types::{Body, Effect, Message, Run, Style, Target, Timer, Verdict};
use deeds::{deed, perform};
use exports::chat::plugin::{commands, formatting, moderation, plugin, review, timers};

/// Tests replace this text in the component's bytes.
const VERSION: &str = "1.0.0+first";

struct Hostile;

impl plugin::Guest for Hostile {
    fn describe() -> plugin::Manifest {
        plugin::Manifest {
            name: "hostile".into(),
            version: VERSION.into(),
            commands: vec![plugin::Command {
                name: "deed".into(),
                usage: "DEED".into(),
                summary: "Does it".into(),
            }],
            priority: 7,
            batch: 0,
        }
    }

    fn start(settings: String) -> Result<(), String> {
        if let Some(deed) = deed(&settings) {
            perform(deed);
        }
        if settings.contains("refuse") {
            return Err("I do not like these settings".into());
        }
        Ok(())
    }
}

impl moderation::Guest for Hostile {
    fn moderate(batch: Vec<Message>) -> Vec<Verdict> {
        let mut answers = Vec::with_capacity(batch.len());
        for message in &batch {
            let verdict = match deed(&message.text) {
                None => Verdict::Allow,
                Some("revise") => Verdict::Revise(message.text.replace("do:revise", "done")),
                Some("sign") => Verdict::Revise(message.text.replace("do:sign", VERSION)),
                Some("withhold") => Verdict::Withhold("because".into()),
                Some("discard") => Verdict::Discard,
                Some("wordy") => Verdict::Withhold("x".repeat(513)),
                Some("huge") => Verdict::Revise("x".repeat(1 << 20)),
                Some("enormous") => Verdict::Revise("x".repeat(24 << 20)),
                Some("bell") => Verdict::Revise("\u{7}".into()),
                Some("empty") => Verdict::Revise(String::new()),
                Some("miscount") => return vec![Verdict::Allow; batch.len() + 1],
                Some("echo-room") => Verdict::Revise(chat::plugin::directory::room(message.room)),
                Some(deed) => {
                    perform(deed);
                    Verdict::Allow
                }
            };
            answers.push(verdict);
        }
        answers
    }
}

impl commands::Guest for Hostile {
    fn run(_name: String, arguments: String, _by: Message) -> Result<Vec<Effect>, String> {
        match deed(&arguments) {
            None if arguments.is_empty() => Err("do what?".into()),
            None => Ok(vec![Effect::Say(arguments)]),
            Some("miscount") => Ok(vec![Effect::Say("x".into()); 33]),
            Some("say-flood") => Ok((0..32)
                .map(|n| Effect::Say(format!("{n} {}", "x".repeat(4000))))
                .collect()),
            Some("say-commands") => Ok(vec![
                Effect::Say("/deed do:say-commands".into()),
                Effect::Act("/deed do:say-commands".into()),
                Effect::Notice("/deed do:say-commands".into()),
            ]),
            Some("wordy") => Err("x".repeat(1025)),
            Some("huge") => Ok(vec![Effect::Say("x".repeat(1 << 20))]),
            Some("enormous") => Ok(vec![Effect::Say("x".repeat(24 << 20))]),
            Some("empty") => Ok(vec![Effect::Say(String::new())]),
            Some("bell") => Ok(vec![Effect::Notice("\u{7}".into())]),
            Some(deed) => {
                perform(deed);
                Ok(vec![])
            }
        }
    }
}

fn plain(body: &Body) -> &str {
    match body {
        Body::Plain(text) => text,
        Body::Styled(runs) => runs.first().map_or("", |run| &run.text),
    }
}

fn run(text: &str, target: Target) -> Run {
    Run {
        text: text.into(),
        style: Style::STRONG,
        target,
    }
}

impl formatting::Guest for Hostile {
    fn format(batch: Vec<formatting::Item>) -> Vec<Option<Vec<Run>>> {
        let mut answers = Vec::with_capacity(batch.len());
        for item in &batch {
            let text = plain(&item.body);
            let runs = match deed(text) {
                None => None,
                Some("style") => Some(vec![
                    run("see ", Target::None),
                    run("there", Target::Url("https://example.org/".into())),
                ]),
                Some("script") => Some(vec![run("x", Target::Url("javascript:x()".into()))]),
                Some("wordy") => Some(vec![run("x", Target::None); 257]),
                Some("huge") => Some(vec![run(&"x".repeat(1 << 20), Target::None)]),
                Some("enormous") => Some(vec![run(&"x".repeat(24 << 20), Target::None)]),
                Some("bell") => Some(vec![run("\u{7}", Target::None)]),
                Some("empty") => Some(vec![]),
                Some("miscount") => return vec![],
                Some(deed) => {
                    perform(deed);
                    None
                }
            };
            answers.push(runs);
        }
        answers
    }
}

impl review::Guest for Hostile {
    fn review(batch: Vec<review::Item>) -> Vec<Verdict> {
        let mut answers = Vec::with_capacity(batch.len());
        for item in &batch {
            let verdict = match deed(plain(&item.body)) {
                None => Verdict::Allow,
                Some("withhold") => Verdict::Withhold("because".into()),
                Some("revise") => Verdict::Revise("never".into()),
                Some("wordy") => Verdict::Withhold("x".repeat(513)),
                Some("huge") => Verdict::Withhold("x".repeat(1 << 20)),
                Some("enormous") => Verdict::Withhold("x".repeat(24 << 20)),
                Some("bell") => Verdict::Withhold("\u{7}".into()),
                Some("empty") => Verdict::Withhold(String::new()),
                Some("miscount") => return vec![],
                Some(deed) => {
                    perform(deed);
                    Verdict::Allow
                }
            };
            answers.push(verdict);
        }
        answers
    }
}

impl timers::Guest for Hostile {
    fn fired(_room: u64, due: Timer) -> Vec<Effect> {
        match deed(&due.key) {
            None => vec![Effect::Notice(due.key)],
            Some("miscount") => vec![Effect::Notice("x".into()); 33],
            Some("wordy") => vec![Effect::Topic("x".repeat(257))],
            Some("huge") => vec![Effect::Notice("x".repeat(1 << 20))],
            Some("enormous") => vec![Effect::Notice("x".repeat(24 << 20))],
            Some("bell") => vec![Effect::Notice("\u{7}".into())],
            Some("empty") => vec![Effect::Notice(String::new())],
            Some("reply") => vec![Effect::Reply("nobody".into())],
            Some(deed) => {
                perform(deed);
                vec![]
            }
        }
    }
}

export!(Hostile);
