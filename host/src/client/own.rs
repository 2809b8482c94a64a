//! What the person enters, told apart: the client's own commands, and what is for the room.

/// The client's own commands, and what each does.
pub const COMMANDS: [(&str, &str); 2] = [("keys", "show the keys"), ("quit", "leave")];

/// What to say to a lone `/`.
pub const LONE_SLASH: &str =
    "a lone `/` is no command; write its name behind it, or `//` to say `/`";

/// What was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// Nothing at all.
    Nothing,
    /// `/quit`.
    Quit,
    /// `/keys`.
    Keys,
    /// A `/` and no more.
    LoneSlash,
    /// Something for the room.
    Message,
}

/// Tells what `text` is. Case does not matter to the client's own commands.
#[must_use]
pub fn entered(text: &str) -> Entered {
    match text.trim_end().to_lowercase().as_str() {
        _ if text.is_empty() => Entered::Nothing,
        "/quit" => Entered::Quit,
        "/keys" => Entered::Keys,
        "/" => Entered::LoneSlash,
        _ => Entered::Message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_commands_are_known_in_any_case_and_alone_only() {
        for (text, what) in [
            ("", Entered::Nothing),
            ("/quit", Entered::Quit),
            ("/QUIT ", Entered::Quit),
            ("/Keys", Entered::Keys),
            ("/", Entered::LoneSlash),
            ("/ ", Entered::LoneSlash),
            (" / ", Entered::Message),
            ("//", Entered::Message),
            ("/quit now", Entered::Message),
            ("quit", Entered::Message),
            (" ", Entered::Message),
        ] {
            assert_eq!(entered(text), what, "{text:?}");
        }
    }
}
