//! What Tab makes of the word before the cursor: a command, or a name.

use super::super::own::COMMANDS;
use crate::proto::v1::Command;

/// What the word could become; each next Tab takes the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// How many characters before the cursor are replaced.
    pub replaces: usize,
    /// By what.
    pub candidates: Vec<String>,
}

/// Completes the end of `before`, the text from the line's beginning to the cursor; `first` says whether it is the
/// message's first line. None where nothing fits.
#[must_use]
pub fn complete(
    before: &str,
    first: bool,
    commands: &[Command],
    names: &[String],
) -> Option<Completion> {
    let word = before
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    let alone = word.len() == before.len();
    let mut candidates: Vec<String> = match (word.strip_prefix('/'), word.strip_prefix('@')) {
        (Some(command), _) if alone && first => commands
            .iter()
            .map(|c| c.name.as_str())
            .chain(COMMANDS.map(|(name, _)| name))
            .filter(|name| begins(name, command))
            .map(|name| format!("/{name} "))
            .collect(),
        (_, Some(name)) => matching(names, name, "@"),
        _ if word.is_empty() => return None,
        _ => matching(names, word, ""),
    };
    candidates.sort();
    candidates.dedup();
    (!candidates.is_empty()).then(|| Completion {
        replaces: word.chars().count(),
        candidates,
    })
}

/// What to write after a command that stands in the prompt, and what it does.
#[must_use]
pub fn usage(text: &str, commands: &[Command]) -> Option<String> {
    let name = text.strip_prefix('/')?.split(char::is_whitespace).next()?;
    let own = COMMANDS
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name));
    if let Some((name, summary)) = own {
        return Some(format!("/{name} — {summary}"));
    }
    let command = commands.iter().find(|c| c.name == name)?;
    let space = if command.usage.is_empty() { "" } else { " " };
    Some(format!(
        "/{name}{space}{} — {}",
        command.usage, command.summary
    ))
}

fn matching(names: &[String], word: &str, mark: &str) -> Vec<String> {
    names
        .iter()
        .filter(|name| begins(name, word))
        .map(|name| format!("{mark}{name} "))
        .collect()
}

fn begins(name: &str, with: &str) -> bool {
    name.to_lowercase().starts_with(&with.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Vec<Command> {
        ["roll", "room-topic", "me"]
            .map(|name| Command {
                name: name.into(),
                usage: "[n]".into(),
                summary: "does it".into(),
                ..Command::default()
            })
            .into()
    }

    fn names() -> Vec<String> {
        ["alice", "Albert", "홍길동"].map(Into::into).into()
    }

    fn candidates(before: &str) -> Vec<String> {
        complete(before, true, &commands(), &names())
            .map(|c| c.candidates)
            .unwrap_or_default()
    }

    #[test]
    fn commands_are_completed_at_the_beginning_only() {
        assert_eq!(candidates("/ro"), ["/roll ", "/room-topic "]);
        assert_eq!(candidates("/q"), ["/quit "]);
        assert!(candidates("see /ro").is_empty());
        assert!(complete("/ro", false, &commands(), &names()).is_none());
    }

    #[test]
    fn names_are_completed_anywhere_in_any_script_and_case() {
        assert_eq!(candidates("hi AL"), ["Albert ", "alice "]);
        assert_eq!(candidates("@홍"), ["@홍길동 "]);
        assert_eq!(complete("hi 홍", true, &[], &names()).unwrap().replaces, 1);
        assert!(candidates("hi ").is_empty());
    }

    #[test]
    fn the_usage_of_a_command_is_told() {
        assert_eq!(
            usage("/roll 3", &commands()).unwrap(),
            "/roll [n] — does it"
        );
        assert_eq!(usage("/rol", &commands()), None);
        assert_eq!(usage("/QUIT", &commands()).unwrap(), "/quit — leave");
    }
}
