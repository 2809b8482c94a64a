//! `/help`: what every loaded plugin can be told to do.

use chat_plugin::{Command, Effect};

/// A reply is bounded like a message, and an operator may set less than the 4 KiB that are the default.
const REPLY_BYTES: usize = 2_000;
/// The interface's bound on the effects of a command.
const REPLIES: usize = 32;

/// Explains the command of that name, or lists all.
pub(crate) fn answer(commands: Vec<Command>, name: &str) -> Result<Vec<Effect>, String> {
    let wanted = name.trim_start_matches('/').to_lowercase();
    let lines: Vec<String> = commands
        .iter()
        .filter(|command| wanted.is_empty() || command.name == wanted)
        .map(line)
        .collect();
    if lines.is_empty() {
        // The sender's own text, cut so that the error stays within its bound.
        let shown: String = wanted.chars().take(32).collect();
        return Err(format!("there is no command `/{shown}`; /help lists all"));
    }
    Ok(pages(&lines))
}

fn line(command: &Command) -> String {
    let Command {
        name,
        usage,
        summary,
    } = command;
    let space = if usage.is_empty() { "" } else { " " };
    format!("/{name}{space}{usage} – {summary}")
}

/// The lines in as few replies as hold them; what goes beyond the last one is counted instead.
fn pages(lines: &[String]) -> Vec<Effect> {
    let mut pages = vec![String::new()];
    let mut shown = 0;
    for line in lines {
        let full = pages
            .last()
            .is_some_and(|page| !page.is_empty() && page.len() + line.len() >= REPLY_BYTES);
        if full {
            if pages.len() == REPLIES - 1 {
                break;
            }
            pages.push(String::new());
        }
        if let Some(page) = pages.last_mut() {
            if !page.is_empty() {
                page.push('\n');
            }
            page.push_str(line);
            shown += 1;
        }
    }
    if shown < lines.len() {
        pages.push(format!(
            "… and {} more; /help COMMAND explains one",
            lines.len() - shown
        ));
    }
    pages.into_iter().map(Effect::Reply).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_stays_within_the_bounds_and_says_what_is_missing() {
        let commands: Vec<Command> = (0..1_000)
            .map(|number| Command {
                name: format!("command-{number}"),
                usage: "U".repeat(128),
                summary: "S".repeat(256),
            })
            .collect();
        let replies = answer(commands, "").unwrap();
        assert_eq!(replies.len(), REPLIES);
        for reply in &replies {
            let Effect::Reply(text) = reply else {
                panic!("not a reply: {reply:?}");
            };
            assert!(text.len() <= REPLY_BYTES, "{} bytes", text.len());
        }
        assert_eq!(
            replies.last(),
            Some(&Effect::reply("… and 876 more; /help COMMAND explains one"))
        );
    }
}
