//! What a body says, without its looks.

use crate::proto::v1::{Body, Run};

/// The text that is to be shown.
#[must_use]
pub fn shown(body: &Body) -> String {
    if body.runs.is_empty() {
        body.text.clone()
    } else {
        body.runs
            .iter()
            .map(|run: &Run| run.text.as_str())
            .collect()
    }
}
