//! The keys: each setting's name, rule, meaning and place in [`Config`], once.
//!
//! Flags, variables, files, help texts and `chat-host config` are all made from this list, so that none of them can
//! know a key that another does not.

mod limits;
mod plugin;
mod server;
mod single;

use std::str::FromStr;

use serde_json::Value;

use super::Config;
use super::rule::Rule;

pub use single::{SINGLE, SingleKey};

/// What every variable begins with.
pub const PREFIX: &str = "CHAT_HOST_";

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// As in a file, with dots: `limits.message_bytes`.
    pub name: &'static str,
    /// What the value is called in the help text.
    pub placeholder: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What it may be.
    pub rule: Rule,
    /// Puts a value in its canonical form where it belongs; none: the rule let something through.
    pub put: fn(&mut Config, &str) -> Option<()>,
    /// What is in force.
    pub get: fn(&Config) -> Value,
}

impl Key {
    /// `limits-message-bytes`
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// `CHAT_HOST_LIMITS_MESSAGE_BYTES`
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// Every key, in the order in which they are shown.
pub fn all() -> impl Iterator<Item = &'static Key> {
    server::KEYS.iter().chain(limits::KEYS).chain(plugin::KEYS)
}

/// The key of this dotted name. `-` and `_` are the same.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    let name = name.replace('-', "_");
    all().find(|key| key.name == name)
}

/// The candidate that `name` was most likely meant to be; none where nothing is near. A candidate's last part counts
/// as well: who writes `message_bytes` means `limits.message_bytes`.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace('-', "_").to_lowercase();
    let wanted = plain(name);
    // A third of a word may be wrong. Of three letters two would be, and `foo` would be taken for `log`.
    let far = |a: &str, b: &str| {
        let far = strsim::damerau_levenshtein(a, b);
        (far <= 1.max(a.chars().count() / 3)).then_some(far)
    };
    candidates
        .filter_map(|candidate| {
            let whole = plain(candidate);
            let ((section, last), (its_section, its_last)) = (parts(&wanted), parts(&whole));
            // What a whole section shares would make anything in it look near.
            let far = if section == its_section {
                far(last, its_last)
            } else {
                far(&wanted, &whole)
                    .into_iter()
                    .chain(far(last, its_last).map(|far| far + 1))
                    .min()
            };
            Some((far?, candidate))
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

fn parts(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// Reads a value in its canonical form into its place.
fn set<T: FromStr>(place: &mut T, text: &str) -> Option<()> {
    *place = text.parse().ok()?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_a_key_shows_can_be_given_back_to_it() {
        let config = Config::new(PathBuf::from("/srv/chat"));
        for key in all() {
            let shown = match (key.get)(&config) {
                Value::String(text) => text,
                Value::Array(names) => names
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(","),
                other => other.to_string(),
            };
            let mut again = config.clone();
            let canonical = key
                .rule
                .check(&shown)
                .unwrap_or_else(|| panic!("`{}` refuses its own default {shown}", key.name));
            assert_eq!((key.put)(&mut again, &canonical), Some(()), "{}", key.name);
            assert_eq!(again, config, "{}", key.name);
        }
    }

    #[test]
    fn no_two_keys_share_a_flag_or_a_variable() {
        let mut flags: Vec<_> = all().map(Key::flag).collect();
        flags.sort();
        let count = flags.len();
        flags.dedup();
        assert_eq!(flags.len(), count);
        assert_eq!(
            find("limits.message-bytes").map(Key::variable).as_deref(),
            Some("CHAT_HOST_LIMITS_MESSAGE_BYTES")
        );
    }

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        let names = || all().map(|key| key.name);
        for (slip, meant) in [
            ("lisen", Some("listen")),
            ("message_bytes", Some("limits.message_bytes")),
            ("limits.mesage-bytes", Some("limits.message_bytes")),
            ("limit.rooms", Some("limits.rooms")),
            ("plugin.runing_ms", Some("plugin.running_ms")),
            ("frobnicate_the_thing", None),
            ("foo", None),
            ("limits.foo", None),
            ("limits.roms", Some("limits.rooms")),
        ] {
            assert_eq!(nearest(slip, names()), meant, "{slip}");
        }
    }
}
