//! What the service answers, and what it means.

use chat_plugin::Verdict;
use chat_plugin::http::Error;
use serde::Deserialize;

/// The interface's bound on a reason.
const REASON_BYTES: usize = 512;

/// Fields that are not known here are a newer service's.
#[derive(Deserialize)]
pub(crate) struct Answer {
    verdict: Word,
    /// For `revise`.
    text: Option<String>,
    /// For `withhold`.
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Allow,
    Revise,
    Withhold,
    Discard,
}

/// What the host would blame on the plugin is the service's mistake, and told as that.
pub(crate) fn verdict(answer: Answer) -> Result<Verdict, Error> {
    let wrong = |what: &str| Error::Answer(what.into());
    let is_text = |text: &str| {
        text.chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\t'))
    };
    Ok(match answer.verdict {
        Word::Allow => Verdict::Allow,
        Word::Discard => Verdict::Discard,
        Word::Revise => match answer.text {
            Some(text) if !text.is_empty() && is_text(&text) => Verdict::Revise(text),
            Some(_) => return Err(wrong("`text` is empty, or holds control characters")),
            None => return Err(wrong("`revise` comes without `text`")),
        },
        Word::Withhold => match answer.reason {
            None => Verdict::withhold("this message is not allowed here"),
            Some(reason) if reason.len() <= REASON_BYTES && is_text(&reason) => {
                Verdict::Withhold(reason)
            }
            Some(_) => return Err(wrong("`reason` has over 512 bytes, or control characters")),
        },
    })
}
