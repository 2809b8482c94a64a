//! `markdown`: lays out the little markup that people type in a chat.
//!
//! `*emphasis*` or `_emphasis_`, `**strong**`, `~~strike~~`, `` `code` ``, a block between lines of ```` ``` ````, lines
//! of `> quote`, `[text](address)`, bare addresses, `@mentions`, `:emoji:` and `\` before anything meant as it stands.
//! What is not closed stays as it was typed. Takes time in proportion to the text, whatever the text is.

mod address;
mod block;
mod code;
mod emphasis;
mod inline;
mod layout;
mod steps;
#[cfg(test)]
mod tests;

use chat_plugin::{Body, Formatting, Item, Manifest, Plugin, Run};
use serde::Deserialize;

use address::Schemes;
use layout::Layout;

/// What the operator sets.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Where links may lead: any of `http`, `https` and `mailto`; all by default, none makes no links.
    schemes: Schemes,
}

struct Markdown {
    schemes: Schemes,
}

impl Plugin for Markdown {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("markdown", env!("CARGO_PKG_VERSION"))
    }

    fn start(settings: Settings) -> Result<Self, String> {
        Ok(Markdown {
            schemes: settings.schemes,
        })
    }
}

impl Formatting for Markdown {
    fn format(&mut self, item: &Item) -> Option<Vec<Run>> {
        match &item.body {
            Body::Plain(text) => lay_out(text, &self.schemes),
            // Another plugin laid it out already.
            Body::Styled(_) => None,
        }
    }
}

chat_plugin::export!(Markdown: formatting);

/// The text as runs; `None` where they would show it as it is.
fn lay_out(text: &str, schemes: &Schemes) -> Option<Vec<Run>> {
    if !may_have_markup(text) {
        return None;
    }
    let mut layout = Layout::default();
    block::lay_out(text, schemes, &mut layout);
    layout.finish(text)
}

/// The quick way out for most messages: without one of these bytes nothing is markup.
fn may_have_markup(text: &str) -> bool {
    text.bytes()
        .any(|byte| byte == b'>' || inline::is_special(byte))
}
