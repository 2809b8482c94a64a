//! `chat-host plugin run`: one message, through each role of one plugin, in the order of a host.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::super::exit::{Exit, complain};
use super::Subject;
use crate::config::grant::Grant;
use crate::plugin::{Alone, Fault, FormatItem, Message, Room, TextBody, Verdict, words};

/// How often a file is looked at with `--watch`, and for how long it must rest.
const LOOK: Duration = Duration::from_millis(200);

/// What `chat-host plugin run` is given.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    subject: Subject,
    /// The message
    #[arg(long, value_name = "TEXT")]
    text: String,
    /// Who sends it
    #[arg(long, value_name = "NAME", default_value = "alice")]
    sender: String,
    /// In which room
    #[arg(long, value_name = "NAME", default_value = "lobby")]
    room: String,
    /// A host that it may reach over HTTP, beside those of its settings; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    http: Vec<Grant>,
    /// Again whenever the file changes
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    if !args.watch {
        return once(args);
    }
    let mut seen = None;
    loop {
        let now = state(&args.subject.file);
        if now.is_some() && now != seen {
            std::thread::park_timeout(LOOK);
            if state(&args.subject.file) == now {
                seen = now;
                // A version that fails is said, and the next one is waited for.
                once(args);
                super::super::print("-- waiting for the next build; Ctrl+C ends --\n");
            }
            continue;
        }
        std::thread::park_timeout(LOOK);
    }
}

fn state(path: &Path) -> Option<(u64, SystemTime)> {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.len(), facts.modified().ok()?))
}

fn once(args: &RunArgs) -> ExitCode {
    let alone = match args.subject.load_to_ask(&args.http) {
        Ok(alone) => alone,
        Err(code) => return code,
    };
    match lines(&alone, args) {
        Ok(lines) => super::super::print(&(lines.join("\n") + "\n")),
        Err(fault) => {
            complain(&format!(
                "the plugin `{}` fails: {fault}",
                alone.facts().manifest.name
            ));
            Exit::Refused.into()
        }
    }
}

/// What each role does, until one keeps the message back.
fn lines(alone: &Alone, args: &RunArgs) -> Result<Vec<String>, Fault> {
    let manifest = &alone.facts().manifest;
    let room = Arc::new(Room::new(&args.room, &args.sender, manifest).asking());
    let mut instance = alone.instance(&room)?;
    let mut lines = Vec::new();
    let mut say = |role: &str, words: String| lines.push(format!("{role:<10}  {words}"));
    let mut message = Message {
        room: 1,
        sender: 1,
        sequence: 1,
        time_ms: now_ms(),
        text: args.text.clone(),
    };
    let mut passes = true;
    if manifest.roles.moderation {
        let verdict = only(instance.moderate(std::slice::from_ref(&message))?);
        say("moderation", words::verdict(&verdict));
        match verdict {
            Verdict::Revise(text) => message.text = text,
            Verdict::Allow => {}
            Verdict::Withhold(_) | Verdict::Discard => passes = false,
        }
    }
    let command = message.text.strip_prefix('/').and_then(|line| {
        let (name, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let known = manifest.commands.iter().any(|c| c.name == name);
        known.then(|| (name.to_owned(), arguments.trim().to_owned()))
    });
    if let Some((name, arguments)) = command.filter(|_| passes) {
        passes = false;
        match instance.run(&name, &arguments, &message)? {
            Ok(effects) if effects.is_empty() => say("commands", "does nothing".into()),
            Ok(effects) => effects
                .iter()
                .for_each(|effect| say("commands", words::effect(effect))),
            Err(usage) => say("commands", format!("refuses it: {usage}")),
        }
    }
    let mut item = FormatItem {
        room: 1,
        sender: 1,
        body: TextBody::Plain(message.text),
    };
    if passes && manifest.roles.formatting {
        match instance
            .format(std::slice::from_ref(&item))?
            .pop()
            .flatten()
        {
            None => say("formatting", "leaves it as it is".into()),
            Some(runs) => {
                runs.iter()
                    .for_each(|run| say("formatting", words::run(run)));
                item.body = TextBody::Styled(runs);
            }
        }
    }
    if passes && manifest.roles.review {
        let verdict = only(instance.review(std::slice::from_ref(&item))?);
        say("review", words::verdict(&verdict));
    }
    for (key, value) in room.state() {
        say("state", format!("{key:?} = {}", shown(&value)));
    }
    if lines.is_empty() {
        lines.push("it has no role that a message meets".into());
    }
    Ok(lines)
}

/// One message has one answer; the host has checked their number.
fn only(verdicts: Vec<Verdict>) -> Verdict {
    verdicts.into_iter().next().unwrap_or(Verdict::Allow)
}

fn shown(value: &[u8]) -> String {
    if let Ok(counter) = <[u8; 8]>::try_from(value) {
        return format!("{} (a counter)", i64::from_le_bytes(counter));
    }
    // Whatever it is, it is not the plugin's to write to a terminal.
    match std::str::from_utf8(value) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => format!("{} bytes", value.len()),
    }
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0))
}
