//! Bodies between the plugins' types and the protocol's.

use crate::plugin::{Run, Target, TextBody};
use crate::proto::v1;

/// A body as members get it: `text` as decided, and the runs where there are any.
#[must_use]
pub fn shown(text: String, body: &TextBody) -> v1::Body {
    let runs = match body {
        TextBody::Plain(_) => Vec::new(),
        TextBody::Styled(runs) => runs.iter().map(run).collect(),
    };
    v1::Body { text, runs }
}

fn run(run: &Run) -> v1::Run {
    v1::Run {
        text: run.text.clone(),
        style: run.style.0,
        target: match &run.target {
            Target::None => None,
            Target::Url(url) => Some(v1::run::Target::Url(url.clone())),
            Target::Mention => Some(v1::run::Target::Mention(true)),
        },
    }
}
