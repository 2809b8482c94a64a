//! The layers: a flag beats a variable beats the file beats the default, key by key.
//!
//! Every value that is given is judged, also one that another layer beats: what is wrong today in a file would be in
//! force tomorrow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Config;
use super::file::{self, Settings};
use super::flags::Flags;
use super::keys::{self, Key};
use super::problem::{Problem, Problems, Source};
use super::variables::Variables;

/// Settings in force, and where each came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// What is set in the tables of single plugins, by dotted names.
    pub single: BTreeMap<String, (toml::Value, Source)>,
    sources: BTreeMap<&'static str, Source>,
}

impl Resolved {
    /// Where the value of this key came from.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::Default)
    }
}

/// Lays the sources over each other. Reads the settings file that a flag or `CHAT_HOST_CONFIG` names.
///
/// # Errors
/// Everything that is wrong in any of them.
pub fn resolve(flags: &Flags, variables: &Variables) -> Result<Resolved, Problems> {
    let file = flags
        .config
        .clone()
        .or_else(|| variables.get("CHAT_HOST_CONFIG").map(PathBuf::from));
    let settings = match file.as_deref().map(file::read) {
        None => Settings::default(),
        Some(Ok(settings)) => settings,
        Some(Err(problem)) => Settings {
            problems: vec![problem],
            ..Settings::default()
        },
    };

    let mut layers = Layers::new(variables.data_home());
    layers.file(settings);
    layers.problems.extend(variables.unknown());
    for (key, name, value) in variables.settings() {
        layers.put(key, value, Source::Variable(name));
    }
    for (name, value) in &flags.values {
        if let Some(key) = keys::find(name) {
            layers.put(key, value, Source::Flag(format!("--{}", key.flag())));
        }
    }
    layers.finish()
}

/// Judges a file alone; what it sets.
///
/// # Errors
/// Everything that is wrong in it.
pub fn check(path: &Path) -> Result<Resolved, Problems> {
    let settings = file::read(path).map_err(|problem| Problems(vec![problem]))?;
    // Where data goes does not matter for the file.
    let mut layers = Layers::new(Some(PathBuf::from(".")));
    layers.file(settings);
    layers.finish()
}

struct Layers {
    resolved: Resolved,
    problems: Vec<Problem>,
}

impl Layers {
    fn new(data: Option<PathBuf>) -> Self {
        Self {
            resolved: Resolved {
                config: Config::new(data.unwrap_or_default()),
                single: BTreeMap::new(),
                sources: BTreeMap::new(),
            },
            problems: Vec::new(),
        }
    }

    fn file(&mut self, settings: Settings) {
        self.problems.extend(settings.problems);
        for (key, text, at) in settings.values {
            self.put(key, &text, at);
        }
        self.resolved.config.plugin_settings = settings.plugins;
        self.resolved.single = settings.single;
    }

    fn put(&mut self, key: &'static Key, text: &str, at: Source) {
        let put = key
            .rule
            .check(text)
            .and_then(|text| (key.put)(&mut self.resolved.config, &text));
        if put.is_some() {
            self.resolved.sources.insert(key.name, at);
        } else {
            self.problems.push(Problem::Value {
                at,
                key: key.name.to_owned(),
                value: format!("{text:?}"),
                allowed: key.rule.allowed(),
            });
        }
    }

    fn finish(mut self) -> Result<Resolved, Problems> {
        let config = &self.resolved.config;
        if config.data.as_os_str().is_empty() && !config.memory {
            self.problems.push(Problem::NoData);
        }
        if self.problems.is_empty() {
            Ok(self.resolved)
        } else {
            Err(Problems(self.problems))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsString;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let pairs = pairs.iter().chain(&[("HOME", "/home/ada")]);
        Variables::of(pairs.map(|(name, value)| (OsString::from(name), OsString::from(value))))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn wrong(flags: &Flags, pairs: &[(&str, &str)]) -> Vec<String> {
        resolve(flags, &variables(pairs))
            .unwrap_err()
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn without_any_source_the_defaults_hold() {
        let resolved = resolve(&Flags::default(), &variables(&[])).unwrap();
        let data = PathBuf::from("/home/ada/.local/share/chat-host");
        assert_eq!(resolved.config, Config::new(data));
        assert_eq!(resolved.source("listen"), Source::Default);
    }

    #[test]
    fn data_goes_to_the_data_home_and_needs_one_unless_kept_in_memory() {
        let at = variables(&[("XDG_DATA_HOME", "/srv/ada")]);
        let resolved = resolve(&Flags::default(), &at).unwrap();
        assert_eq!(resolved.config.data, PathBuf::from("/srv/ada/chat-host"));
        let homeless = Variables::default();
        assert!(resolve(&Flags::default(), &homeless).is_err());
        let memory = Flags {
            values: vec![("memory", "true".to_owned())],
            ..Flags::default()
        };
        assert!(resolve(&memory, &homeless).is_ok());
    }

    #[test]
    fn rust_log_is_the_log_level_unless_ours_is_set() {
        let resolved = resolve(&Flags::default(), &variables(&[("RUST_LOG", "debug")])).unwrap();
        assert_eq!(resolved.config.log_level, "debug");
        let both = [("RUST_LOG", "debug"), ("CHAT_HOST_LOG_LEVEL", "warn")];
        let resolved = resolve(&Flags::default(), &variables(&both)).unwrap();
        assert_eq!(resolved.config.log_level, "warn");
    }

    #[test]
    fn an_unknown_variable_is_an_error_but_those_of_tools_and_kubernetes_are_not() {
        assert_eq!(
            wrong(
                &Flags::default(),
                &[("CHAT_HOST_LISTN", "x"), ("CHAT_HOST_PONY", "x")]
            ),
            [
                "there is no variable CHAT_HOST_LISTN; did you mean `CHAT_HOST_LISTEN`?",
                "there is no variable CHAT_HOST_PONY",
            ]
        );
        let tools = [
            ("CHAT_HOST_SOAK", "1"),
            ("CHAT_HOST_SKIPPED", "1"),
            ("CHAT_HOST_KILLS", "1"),
            ("CHAT_HOST_TEST_ANY", "1"),
            ("CHAT_HOST_PLUGINS", "/plugins"),
            ("CHAT_HOST_SERVICE_HOST", "10.0.0.1"),
            ("CHAT_HOST_PORT_8081_TCP_ADDR", "10.0.0.1"),
            ("CHAT_HOST_LISTEN", ""),
        ];
        let resolved = resolve(&Flags::default(), &variables(&tools)).unwrap();
        assert_eq!(resolved.config.plugins, Some(PathBuf::from("/plugins")));
        assert_eq!(resolved.source("listen"), Source::Default);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let file = file("partitions = 65\nlisten = \"here\"\n");
        let flags = Flags {
            config: Some(file.path().to_owned()),
            values: vec![("drain", "soon".to_owned())],
        };
        let name = file.path().display();
        assert_eq!(
            wrong(&flags, &[("CHAT_HOST_LIMITS_MESSAGE_BYTES", "1GiB")]),
            [
                format!("{name}:1: `partitions` is 65; allowed is a whole number from 1 to 64"),
                format!(
                    "{name}:2: `listen` is \"here\"; allowed is an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081"
                ),
                "variable CHAT_HOST_LIMITS_MESSAGE_BYTES: `limits.message_bytes` is \"1GiB\"; allowed is a size from 1B to 64KiB, such as 64KiB".to_owned(),
                "flag --drain: `drain` is \"soon\"; allowed is a duration from 0s to 1h, such as 200ms, 10s or 1h30m".to_owned(),
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let flags = Flags {
            config: Some(PathBuf::from("/nowhere/chat.toml")),
            values: Vec::new(),
        };
        let wrong = wrong(&flags, &[]);
        assert!(wrong[0].contains("/nowhere/chat.toml"), "{wrong:?}");
    }

    proptest! {
        #[test]
        fn the_strongest_layer_that_speaks_is_in_force(
            flag in proptest::option::of(1_u32..=64),
            variable in proptest::option::of(1_u32..=64),
            in_file in proptest::option::of(1_u32..=64),
        ) {
            let file = file(&in_file.map(|n| format!("partitions = {n}")).unwrap_or_default());
            let flags = Flags {
                config: Some(file.path().to_owned()),
                values: flag.map(|n| ("partitions", n.to_string())).into_iter().collect(),
            };
            let value = variable.map(|n| n.to_string()).unwrap_or_default();
            let resolved = resolve(&flags, &variables(&[("CHAT_HOST_PARTITIONS", &value)])).unwrap();
            let default = Config::new(PathBuf::new()).partitions;
            prop_assert_eq!(resolved.config.partitions, flag.or(variable).or(in_file).unwrap_or(default));
            let expected = match (flag, variable, in_file) {
                (Some(_), _, _) => Source::Flag("--partitions".to_owned()),
                (_, Some(_), _) => Source::Variable("CHAT_HOST_PARTITIONS".to_owned()),
                (_, _, Some(_)) => Source::File(file.path().to_owned(), 1),
                _ => Source::Default,
            };
            prop_assert_eq!(resolved.source("partitions"), expected);
        }
    }
}
