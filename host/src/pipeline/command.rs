//! What counts as a command: the text, cut into its parts.

/// A text as its sender meant it.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Something to say.
    Text(&'a str),
    /// A command: its name as typed (`name` or `plugin:name`), and what follows, trimmed.
    Command {
        /// Lower-case letters, digits, `-`, and at most one `:`.
        name: &'a str,
        /// What follows.
        arguments: &'a str,
    },
}

/// `/name arguments` is a command; `//text` says `/text`; what can't be a command's name is text.
#[must_use]
pub fn parse(text: &str) -> Parsed<'_> {
    let Some(rest) = text.strip_prefix('/') else {
        return Parsed::Text(text);
    };
    if rest.starts_with('/') {
        return Parsed::Text(rest);
    }
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    let (name, arguments) = rest.split_at(end);
    let is_name = |part: &str| {
        !part.is_empty()
            && part.len() <= 64
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let named = match name.split_once(':') {
        Some((plugin, name)) => is_name(plugin) && is_name(name),
        None => is_name(name),
    };
    if named {
        Parsed::Command {
            name,
            arguments: arguments.trim(),
        }
    } else {
        Parsed::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_text() {
        let command = |name, arguments| Parsed::Command { name, arguments };
        assert_eq!(parse("/me waves  "), command("me", "waves"));
        assert_eq!(parse("/basics:me x"), command("basics:me", "x"));
        assert_eq!(parse("/help"), command("help", ""));
        assert_eq!(parse("/topic\nnew"), command("topic", "new"));
        assert_eq!(parse("//me"), Parsed::Text("/me"));
        for text in ["hello", "/", "/ x", "/usr/bin", "/a:b:c", "/Ä", " /me"] {
            assert_eq!(parse(text), Parsed::Text(text));
        }
    }
}
