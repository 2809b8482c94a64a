//! What a value may be: one rule a key, for flags, variables and files alike.
//!
//! A rule reads text and gives its canonical form, so that what comes after need not know units or spellings.

use std::net::SocketAddr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::Retain;
use super::grant::{self, Grant};
use super::units;
use crate::plugin::Reach;

/// Less would forget what people are still reading; whoever writes it means another unit.
const SHORTEST_AGE: Duration = Duration::from_secs(1);
/// As above. A segment of a log is not smaller.
const SMALLEST_SIZE: u64 = 1 << 20;

/// The word for "not set" of keys that have no value by default, so that a flag can take back what a file sets.
pub const NONE: &str = "none";

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// A whole number within both bounds.
    Number(i64, i64),
    /// A size within both bounds, in bytes.
    Bytes(u64, u64),
    /// A duration within both bounds.
    Time(Duration, Duration),
    /// An IP address and a port.
    Address,
    /// As above, or `none`.
    OptionalAddress,
    /// A folder.
    Folder,
    /// As above, or `none`.
    OptionalFolder,
    /// Yes or no.
    Switch,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Names of plugins with commas between them.
    Names,
    /// Hosts with commas between them.
    Hosts,
    /// Patterns of rooms' names with commas between them, one at least.
    Rooms,
    /// An age, a size, or both.
    Retain,
    /// A level or the directives of `RUST_LOG`.
    Level,
}

impl Rule {
    /// The canonical form of `text`; none where the rule does not allow it.
    #[must_use]
    pub fn check(self, text: &str) -> Option<String> {
        let text = text.trim();
        match self {
            Self::Number(low, high) => {
                let number: i64 = text.replace('_', "").parse().ok()?;
                (low..=high).contains(&number).then(|| number.to_string())
            }
            Self::Bytes(low, high) => {
                let bytes = units::parse_bytes(text)?;
                (low..=high).contains(&bytes).then(|| bytes.to_string())
            }
            Self::Time(low, high) => {
                let time = units::parse_duration(text)?;
                (low..=high)
                    .contains(&time)
                    .then(|| units::show_duration(time))
            }
            Self::OptionalAddress | Self::OptionalFolder if text == NONE => Some(NONE.to_owned()),
            Self::Address | Self::OptionalAddress => {
                Some(text.parse::<SocketAddr>().ok()?.to_string())
            }
            // `~` is the shell's, which leaves it alone in `--data=~/x`; a folder of that name would surprise.
            Self::Folder | Self::OptionalFolder => {
                (!text.is_empty() && !text.starts_with('~')).then(|| text.to_owned())
            }
            Self::Switch => match text {
                "true" | "1" => Some("true".to_owned()),
                "false" | "0" => Some("false".to_owned()),
                _ => None,
            },
            Self::OneOf(words) => words.contains(&text).then(|| text.to_owned()),
            Self::Names => parse_names(text).map(|names| names.join(",")),
            Self::Hosts => parse_hosts(text),
            Self::Rooms => {
                let patterns: Vec<String> =
                    text.split(',').map(|one| one.trim().to_owned()).collect();
                Reach::parse(&patterns).ok().map(|_| patterns.join(","))
            }
            Self::Retain => parse_retain(text).map(show_retain),
            Self::Level => {
                let words = !text.is_empty() && EnvFilter::try_new(text).is_ok();
                // EnvFilter takes any single word for the name of a module, so a slip would silence everything.
                let level = text.contains(['=', ',', ':'])
                    || ["off", "error", "warn", "info", "debug", "trace"].contains(&text);
                (words && level).then(|| text.to_owned())
            }
        }
    }

    /// What is allowed, for a person who wrote something else.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Number(low, high) => format!("a whole number from {low} to {high}"),
            Self::Bytes(low, high) => format!(
                "a size from {} to {}, such as {}",
                units::show_bytes(low),
                units::show_bytes(high),
                units::show_bytes(high)
            ),
            Self::Time(low, high) => format!(
                "a duration from {} to {}, such as 200ms, 10s or 1h30m",
                units::show_duration(low),
                units::show_duration(high)
            ),
            Self::Address => {
                "an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081".to_owned()
            }
            Self::OptionalAddress => {
                "an IP address and a port, such as 127.0.0.1:9090, or `none`".to_owned()
            }
            Self::Folder => "a folder, without `~`: write its whole path".to_owned(),
            Self::OptionalFolder => {
                "a folder, without `~`: write its whole path; or `none`".to_owned()
            }
            Self::Switch => "true or false".to_owned(),
            Self::OneOf(words) => words.join(" or "),
            Self::Names => "names of plugins, such as wordlist,basics".to_owned(),
            Self::Hosts => grant::ALLOWED.to_owned(),
            Self::Rooms => {
                "one or more patterns of rooms' names, such as [\"lobby\", \"team-*\", \"!team-quiet\"]"
                    .to_owned()
            }
            Self::Retain => format!(
                "an age, a size or both, such as 90d,10GiB: an age in s, m, h or d, from {} on, and a size in {}, from {} on",
                units::show_duration(SHORTEST_AGE),
                units::SIZE_UNITS,
                units::show_bytes(SMALLEST_SIZE)
            ),
            Self::Level => {
                "off, error, warn, info, debug, trace, or directives such as info,chat_host=debug"
                    .to_owned()
            }
        }
    }
}

/// The names in a list; none where one of them can't be a plugin's.
pub(super) fn parse_names(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|name| {
            let name = name.trim();
            (!name.is_empty() && !name.contains(['/', '\\']) && !name.contains(char::is_control))
                .then(|| name.to_owned())
        })
        .collect()
}

/// The hosts in a list, each in its one form; none where one of them is none.
fn parse_hosts(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some(String::new());
    }
    let hosts: Option<Vec<String>> = text
        .split(',')
        .map(|host| Some(host.parse::<Grant>().ok()?.to_string()))
        .collect();
    hosts.map(|hosts| hosts.join(","))
}

/// Reads `90d,10GiB`, in any order; what is not said stays at its default. Units are needed: `10` as bytes would have
/// forgotten nearly everything.
pub(super) fn parse_retain(text: &str) -> Option<Retain> {
    let (mut age, mut bytes) = (None, None);
    for part in text.split(',').map(str::trim) {
        if let (Some(time), None) = (units::parse_duration(part), age) {
            age = Some(time);
        } else if let (Some(size), None) = (units::parse_bytes_with_unit(part), bytes) {
            bytes = Some(size);
        } else {
            return None;
        }
    }
    let default = Retain::default();
    let retain = Retain {
        age: age.unwrap_or(default.age),
        bytes: bytes.unwrap_or(default.bytes),
    };
    (retain.age >= SHORTEST_AGE && retain.bytes >= SMALLEST_SIZE).then_some(retain)
}

/// Writes what [`parse_retain`] reads.
pub(super) fn show_retain(retain: Retain) -> String {
    format!(
        "{},{}",
        units::show_duration(retain.age),
        units::show_bytes(retain.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_gives_the_canonical_form() {
        assert_eq!(
            Rule::Number(1, 64).check(" 1_6 ").as_deref(),
            Some("16"),
            "an underscore separates digits"
        );
        assert_eq!(
            Rule::Bytes(1, 65_536).check("4KiB").as_deref(),
            Some("4096")
        );
        assert_eq!(
            Rule::Retain.check("1GB, 24h").as_deref(),
            Some("1d,1GB"),
            "either order"
        );
        assert_eq!(Rule::Retain.check("7d").as_deref(), Some("7d,10GiB"));
        assert_eq!(Rule::Retain.check("60s,1MiB").as_deref(), Some("1m,1MiB"));
        for unit in ["KiB", "MiB", "GiB", "TiB", "KB", "MB", "GB", "TB"] {
            assert!(
                Rule::Retain.check(&format!("4096{unit}")).is_some(),
                "{unit}"
            );
            assert!(Rule::Retain.allowed().contains(unit), "{unit}");
        }
        assert_eq!(Rule::Names.check("a, b").as_deref(), Some("a,b"));
        assert_eq!(Rule::OptionalAddress.check("none").as_deref(), Some("none"));
    }

    #[test]
    fn a_rule_refuses_what_it_does_not_allow() {
        for (rule, text) in [
            (Rule::Number(1, 64), "65"),
            (Rule::Number(1, 64), "0"),
            (Rule::Bytes(1, 65_536), "65537"),
            (Rule::Address, "none"),
            (Rule::Address, "8081"),
            (Rule::Switch, "yes please"),
            (Rule::Retain, "7d,8d"),
            (Rule::Retain, "0"),
            (Rule::Retain, "10"),
            (Rule::Retain, "90d,10"),
            (Rule::Retain, "90d,1073741824"),
            (Rule::Retain, "90d,1023KiB"),
            (Rule::Retain, "999ms"),
            (Rule::Folder, "~/chat"),
            (Rule::Names, "a,,b"),
            (Rule::Names, "../a"),
            (Rule::Level, "loud"),
            (Rule::Folder, " "),
        ] {
            assert_eq!(rule.check(text), None, "{rule:?} {text:?}");
        }
    }
}
