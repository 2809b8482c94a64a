//! `chat-host plugin check`: everything an operator asks of a stranger's component before it is dropped in.

use std::process::ExitCode;

use clap::Args;

use super::super::exit::Exit;
use super::Subject;
use super::words::{size, time};

/// What `chat-host plugin check` is given.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    subject: Subject,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let alone = match args.subject.load() {
        Ok(alone) => alone,
        Err(code) => return code,
    };
    let facts = alone.facts();
    let manifest = &facts.manifest;
    let (code, judgement, grants) = match (facts.asks, facts.granted.is_empty()) {
        (false, _) => (Exit::Done, "a host would serve it", "needs none".into()),
        (true, false) => {
            let hosts = facts.granted.join(", ");
            (
                Exit::Done,
                "a host would serve it",
                format!("http: {hosts}"),
            )
        }
        (true, true) => (
            Exit::Refused,
            "a host would serve it with a grant alone",
            format!(
                "needs http: write http = [\"HOST\"] in {}.toml, the hosts that it may reach",
                manifest.name
            ),
        ),
    };
    let mut text = format!("{} {}: {judgement}\n", manifest.name, manifest.version);
    let mut row = |name: &str, words: &str| text.push_str(&format!("  {name:<10} {words}\n"));
    row("interface", &format!("chat:plugin {}", facts.interface));
    row("roles", &manifest.roles.names().join(", "));
    if facts.layout > 0 {
        row("state", &format!("migrates to layout {}", facts.layout));
    }
    for (number, command) in manifest.commands.iter().enumerate() {
        let name = if number == 0 { "commands" } else { "" };
        let line = format!("/{} {}", command.name, command.usage);
        row(
            name,
            &format!("{:<24} {}", line.trim_end(), command.summary),
        );
    }
    row("could use", &facts.capabilities.join(", "));
    row("grants", &grants);
    row(
        "size",
        &format!(
            "{}; compiles in {}, starts in {}",
            size(facts.file_bytes),
            time(facts.compiling),
            time(facts.starting)
        ),
    );
    row(
        "memory",
        &format!(
            "{} at rest, of {} allowed",
            size(facts.memory_bytes as u64),
            size(facts.memory_limit as u64)
        ),
    );
    let printed = super::super::print(&text);
    if printed == ExitCode::from(Exit::Done) {
        return code.into();
    }
    printed
}
