//! `wordlist`: masks, withholds or discards messages that hold certain words and phrases.
//!
//! Words are found as people read them and not as they are typed: whatever their case and width, with marks on their
//! letters, with digits for letters (`h3ll0`), stretched (`heeeello`), or taken apart (`h.e.l.l.o`, `h e l l o`).

mod fold;
mod glance;
mod hangul;
mod list;
mod mask;
mod particle;
mod reading;
mod settings;
#[cfg(test)]
mod tests;

use chat_plugin::{Manifest, Message, Moderation, Plugin, State, Verdict};

use list::List;
use settings::{Action, Settings};

struct Wordlist {
    list: List,
    actions: Vec<Action>,
    mask: char,
}

impl Plugin for Wordlist {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("wordlist", env!("CARGO_PKG_VERSION"))
    }

    fn start(settings: Settings) -> Result<Self, String> {
        let checked = settings.check().map_err(|error| error.to_string())?;
        Ok(Wordlist {
            list: List::of(&checked.words).map_err(|error| error.to_string())?,
            actions: checked.actions,
            mask: checked.mask,
        })
    }
}

impl Moderation for Wordlist {
    /// The harshest action among the words found; of several reasons, that of the entry listed first.
    fn moderate(&mut self, message: &Message, _: State) -> Verdict {
        let found = self.list.find(&message.text);
        if found.is_empty() {
            return Verdict::Allow;
        }
        let mut withheld: Option<(usize, &str)> = None;
        let mut masked = Vec::new();
        for hit in found {
            match self.actions.get(hit.entry) {
                Some(Action::Discard) => return Verdict::Discard,
                Some(Action::Withhold(reason)) => {
                    if withheld.is_none_or(|(first, _)| hit.entry < first) {
                        withheld = Some((hit.entry, reason));
                    }
                }
                Some(Action::Mask) | None => masked.push(hit.from..hit.to),
            }
        }
        match withheld {
            Some((_, reason)) => Verdict::withhold(reason),
            None => Verdict::Revise(mask::over(&message.text, masked, self.mask)),
        }
    }
}

chat_plugin::export!(Wordlist: moderation);
