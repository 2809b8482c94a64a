//! Checks what a plugin says of itself against the interface.

use std::collections::BTreeSet;

use super::bindings::exports::chat::plugin::plugin as wit;
use super::check::only_text;
use super::load_error::Reason;
use super::{CommandInfo, Manifest, Roles};

/// The largest batch a plugin may ask for.
const BATCH: u32 = 256;
const COMMANDS: usize = 64;

/// Whether `name` can be a plugin's name, and so its file's stem.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// # Errors
/// [`Reason::Manifest`] with the first thing that is wrong.
pub(super) fn check(stem: &str, roles: Roles, said: wit::Manifest) -> Result<Manifest, Reason> {
    let wrong = |what: String| Err(Reason::Manifest(super::fault::one_line(&what, 256)));
    if said.name != stem {
        return wrong(format!(
            "it calls itself `{}`, and its file is named `{stem}.wasm`; rename one of them",
            said.name
        ));
    }
    if !line(&said.version, 1, 64) {
        return wrong("its version is not one line of 1 to 64 bytes".into());
    }
    if said.batch > BATCH {
        return wrong(format!(
            "it wants batches of {}, and at most {BATCH} are given",
            said.batch
        ));
    }
    if said.commands.len() > COMMANDS {
        return wrong(format!(
            "it lists {} commands, and may list {COMMANDS}",
            said.commands.len()
        ));
    }
    if !said.commands.is_empty() && !roles.commands {
        return wrong("it lists commands and does not have the role `commands`".into());
    }
    let mut names = BTreeSet::new();
    for command in &said.commands {
        let name = &command.name;
        if !is_command(name) {
            return wrong(format!(
                "the command `{name}` is not 1 to 32 lower-case letters, digits and `-`"
            ));
        }
        if !line(&command.usage, 0, 128) || !line(&command.summary, 0, 256) {
            return wrong(format!(
                "usage or summary of the command `{name}` is not one line of at most 128 or 256 bytes"
            ));
        }
        if !names.insert(name) {
            return wrong(format!("it lists the command `{name}` twice"));
        }
    }
    Ok(Manifest {
        name: said.name,
        version: said.version,
        commands: said.commands.into_iter().map(command).collect(),
        priority: said.priority,
        batch: said.batch,
        roles,
    })
}

fn command(said: wit::Command) -> CommandInfo {
    CommandInfo {
        name: said.name,
        usage: said.usage,
        summary: said.summary,
    }
}

fn is_command(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn line(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && only_text(text) && !text.contains(['\n', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> wit::Manifest {
        wit::Manifest {
            name: "flood".into(),
            version: "1.2.3".into(),
            commands: vec![said_command("dice")],
            priority: 0,
            batch: 0,
        }
    }

    fn said_command(name: &str) -> wit::Command {
        wit::Command {
            name: name.into(),
            usage: "[SIDES]".into(),
            summary: "Throws dice".into(),
        }
    }

    fn commands() -> Roles {
        Roles {
            commands: true,
            ..Roles::default()
        }
    }

    #[test]
    fn a_manifest_that_keeps_the_interface_passes() {
        let manifest = check("flood", commands(), said()).unwrap();
        assert_eq!(manifest.commands[0].name, "dice");
    }

    #[test]
    fn each_broken_sentence_of_the_interface_is_refused() {
        type Break = fn(&mut wit::Manifest);
        let breaks: [(&str, Break); 8] = [
            ("rename one", |m| m.name = "other".into()),
            ("version", |m| m.version = String::new()),
            ("version", |m| m.version = "1\n2".into()),
            ("batches of 257", |m| m.batch = 257),
            ("65 commands", |m| m.commands = vec![said_command("a"); 65]),
            ("`Dice`", |m| m.commands[0].name = "Dice".into()),
            ("usage", |m| m.commands[0].usage = "x".repeat(129)),
            ("twice", |m| m.commands.push(said_command("dice"))),
        ];
        for (told, broken) in breaks {
            let mut manifest = said();
            broken(&mut manifest);
            let reason = check("flood", commands(), manifest).unwrap_err();
            assert!(reason.to_string().contains(told), "{told}: {reason}");
        }
        let reason = check("flood", Roles::default(), said()).unwrap_err();
        assert!(
            reason.to_string().contains("does not have the role"),
            "{reason}"
        );
    }
}
