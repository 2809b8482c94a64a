//! `flood`: keeps people from sending too fast, or the same again and again.
//!
//! Who does is muted, each time for twice as long, and told why and until when. Shows state with expiry: what is known
//! of a sender is a few numbers, which the host forgets by itself when they mean nothing any more. Time is the time of
//! the messages, never the clock's, so that a message that is decided again is decided alike.

mod sender;
mod settings;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use chat_plugin::{Manifest, Message, Moderation, Packed, Plugin, State, Verdict, log};

use sender::Sender;
use settings::{Rules, Settings};

const SENDER: Packed = Packed::new("sender");

struct Flood {
    rules: Rules,
}

impl Plugin for Flood {
    type Settings = Settings;

    fn manifest() -> Manifest {
        // Before others, so that they need not look at what is withheld anyway.
        Manifest::new("flood", env!("CARGO_PKG_VERSION")).priority(-10)
    }

    fn start(settings: Settings) -> Result<Self, String> {
        Ok(Flood {
            rules: settings.check()?,
        })
    }
}

impl Moderation for Flood {
    fn moderate(&mut self, message: &Message, state: State) -> Verdict {
        let place = SENDER.of(message.sender);
        // What another version wrote is taken for nothing: a sender is then new.
        let packed = place.get(state);
        let mut sender = packed
            .and_then(|packed| Sender::unpack(&packed))
            .unwrap_or_default();
        let now_ms = message.time_ms;
        if let Some(reason) = sender.muted(now_ms, &self.rules) {
            return Verdict::Withhold(reason);
        }
        let stopped = sender.sends(now_ms, text::mark(&message.text), &self.rules);
        let lasting = Duration::from_millis(sender.matters_for_ms(now_ms, &self.rules));
        if let Err(error) = place.lasting(lasting).put(state, &sender.pack()) {
            // The room has more senders than the host keeps entries for. They are not to suffer for it.
            log::warn(error.to_string());
        }
        match stopped {
            Some(reason) => Verdict::Withhold(reason),
            None => Verdict::Allow,
        }
    }
}

chat_plugin::export!(Flood: moderation);
