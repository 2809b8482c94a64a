//! `ask-outside`: asks a service outside what becomes of each message.
//!
//! Shows requests over HTTP, and what can be done when a service is slow, down or wrong: each of them ends in what the
//! operator has set for it, and in the log. A message that is decided again is asked about again, under the same key.

mod answer;
mod settings;
#[cfg(test)]
mod tests;

use chat_plugin::http::{Error, Request};
use chat_plugin::{Manifest, Message, Moderation, Plugin, State, Verdict, directory, log};
use serde::Serialize;

use settings::{Settings, WhenUnreachable};

struct AskOutside {
    settings: Settings,
}

/// What the service is told.
#[derive(Serialize)]
struct Question<'a> {
    room: Option<String>,
    sender: Option<String>,
    text: &'a str,
}

impl Plugin for AskOutside {
    type Settings = Settings;

    fn manifest() -> Manifest {
        // After others: what they keep back need not leave the house.
        Manifest::new("ask-outside", env!("CARGO_PKG_VERSION")).priority(10)
    }

    fn start(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(AskOutside { settings })
    }
}

impl Moderation for AskOutside {
    fn moderate(&mut self, message: &Message, _: State) -> Verdict {
        self.ask(message).unwrap_or_else(|error| {
            log::warn(format!("no answer of use: {error}"));
            match self.settings.when_unreachable {
                WhenUnreachable::Allow => Verdict::Allow,
                WhenUnreachable::Withhold => Verdict::withhold(
                    "messages can't be checked at the moment; try again in a while",
                ),
            }
        })
    }
}

impl AskOutside {
    fn ask(&self, message: &Message) -> Result<Verdict, Error> {
        let mut request = Request::post(&self.settings.url)
            .timeout(self.settings.timeout())
            .json(&Question {
                room: directory::room(message.room),
                sender: directory::name(message.sender),
                text: &message.text,
            })?;
        if let Some(token) = &self.settings.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send()?;
        if response.status != 200 {
            return Err(Error::Answer(format!("status {}", response.status)));
        }
        answer::verdict(response.json()?)
    }
}

chat_plugin::export!(AskOutside: moderation);
