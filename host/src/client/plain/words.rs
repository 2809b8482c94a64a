//! What a body says, where no looks can show it.

use crate::proto::v1::run::Target;
use crate::proto::v1::{Body, Run};

/// The bit of a run's style that says it is quoted.
const QUOTE: u32 = 32;

/// The text that is to be shown: with the target behind each link, and `> ` before each quoted line.
#[must_use]
pub fn shown(body: &Body) -> String {
    if body.runs.is_empty() {
        return body.text.clone();
    }
    let mut out = String::new();
    for part in body.runs.chunk_by(|a, b| is_quote(a) == is_quote(b)) {
        let text: String = part.iter().map(run).collect();
        if part.first().is_some_and(is_quote) {
            for line in text.split_inclusive('\n') {
                out.push_str("> ");
                out.push_str(line);
            }
        } else {
            out.push_str(&text);
        }
    }
    out
}

/// A link's words with where it leads, which is never hidden behind other words.
#[must_use]
pub fn linked(words: &str, url: &str) -> String {
    if url == words || url == format!("mailto:{words}") {
        words.to_owned()
    } else {
        format!("{words} ({url})")
    }
}

fn run(run: &Run) -> String {
    match &run.target {
        Some(Target::Url(url)) => linked(&run.text, url),
        _ => run.text.clone(),
    }
}

fn is_quote(run: &Run) -> bool {
    run.style & QUOTE != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, style: u32, url: Option<&str>) -> Run {
        Run {
            text: text.into(),
            style,
            target: url.map(|url| Target::Url(url.into())),
        }
    }

    #[test]
    fn links_show_where_they_lead_and_quotes_that_they_are_some() {
        let book = "https://example.org/book";
        let body = Body {
            text: String::new(),
            runs: vec![
                piece("tea is ready\nsee ", QUOTE, None),
                piece("the book", QUOTE | 1, Some(book)),
                piece("\n", QUOTE, None),
                piece(book, 0, Some(book)),
                piece(" ", 0, None),
                piece("a@b.c", 0, Some("mailto:a@b.c")),
            ],
        };
        assert_eq!(
            shown(&body),
            "> tea is ready\n> see the book (https://example.org/book)\nhttps://example.org/book a@b.c"
        );
    }
}
