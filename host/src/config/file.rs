//! A settings file: TOML in, keys and values with their lines out.
//!
//! Knows where things are written; what a value may be is the key's rule. A path in a file is relative to the file, so
//! that it means the same wherever the server is started.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::PluginConfig;
use super::keys::{self, Key, SINGLE};
use super::problem::{Problem, Source};
use super::rule::Rule;

/// What a file says.
#[derive(Debug, Default)]
pub struct Settings {
    /// Keys with their values as text, and where.
    pub values: Vec<(&'static Key, String, Source)>,
    /// The tables of single plugins.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// The values of these tables, by their dotted names.
    pub single: BTreeMap<String, (toml::Value, Source)>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Reads a file from disk.
///
/// # Errors
/// [`Problem::Unreadable`].
pub fn read(path: &Path) -> Result<Settings, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| Problem::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    Ok(parse(path, &text))
}

/// Reads a file's text. Judges names and values, and gathers all that is wrong.
#[must_use]
pub fn parse(path: &Path, text: &str) -> Settings {
    let mut reader = Reader {
        path,
        text,
        found: Settings::default(),
    };
    match (DeTable::parse(text), text.parse::<toml::Table>()) {
        (Ok(spanned), Ok(plain)) => reader.root(spanned.get_ref(), &plain),
        (Err(error), _) | (_, Err(error)) => {
            let byte = error.span().map_or(0, |span| span.start);
            let at = reader.at(byte);
            let message = error.message().trim().replace('\n', ", ");
            let problem = if reader.extends_plugins(byte, &message) {
                Problem::PluginsTwice { at }
            } else {
                Problem::Syntax { at, message }
            };
            reader.found.problems.push(problem);
        }
    }
    reader.found
}

/// Reads the text of `NAME.toml`, the file beside `NAME.wasm`: what `[plugins.NAME]` holds.
///
/// # Errors
/// All that is wrong, in words.
pub fn parse_single(path: &Path, plugin: &str, text: &str) -> Result<PluginConfig, String> {
    let mut reader = Reader {
        path,
        text,
        found: Settings::default(),
    };
    let mut config = PluginConfig::default();
    match (DeTable::parse(text), text.parse::<toml::Table>()) {
        (Ok(spanned), Ok(plain)) => {
            for entry in in_order(spanned.get_ref()) {
                let plain = plain.get(entry.0.get_ref().as_ref());
                reader.single(plugin, &mut config, entry, plain);
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            let at = reader.at(error.span().map_or(0, |span| span.start));
            let message = error.message().trim().replace('\n', ", ");
            reader.found.problems.push(Problem::Syntax { at, message });
        }
    }
    let problems: Vec<String> = reader
        .found
        .problems
        .iter()
        .map(Problem::to_string)
        .collect();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems.join("; "))
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    found: Settings,
}

/// A name and a value with their places.
type Entry<'t, 'i> = (
    &'t Spanned<std::borrow::Cow<'i, str>>,
    &'t Spanned<DeValue<'i>>,
);

impl Reader<'_> {
    fn root(&mut self, table: &DeTable<'_>, plain: &toml::Table) {
        for entry in in_order(table) {
            let name = entry.0.get_ref().as_ref();
            match entry.1.get_ref() {
                DeValue::Table(section) if name == "plugins" => {
                    self.plugins(section, plain.get("plugins"));
                }
                DeValue::Table(section) if is_section(name) => {
                    for inner in in_order(section) {
                        self.setting(&format!("{name}.{}", inner.0.get_ref()), inner);
                    }
                }
                _ => self.setting(name, entry),
            }
        }
    }

    fn setting(&mut self, name: &str, entry: Entry<'_, '_>) {
        // `plugins = "DIR"` and `[plugins.NAME]` exclude each other in one file, hence a second name for the folder.
        let key = match name {
            "plugin.folder" => keys::find("plugins"),
            other => keys::find(other),
        };
        let Some(key) = key else {
            if is_section(name) {
                return self.no_table(name, entry, &format!("a table, begun with [{name}]"));
            }
            let names =
                keys::all()
                    .map(|key| key.name)
                    .chain(["plugin.folder", "limits", "plugin"]);
            return self.unknown(name, keys::nearest(name, names), entry);
        };
        let at = self.at(entry.0.span().start);
        if self
            .found
            .values
            .iter()
            .any(|(there, ..)| there.name == key.name)
        {
            let key = key.name.to_owned();
            return self.found.problems.push(Problem::Twice { at, key });
        }
        let text = as_text(entry.1.get_ref(), key.rule);
        let Some(text) = text.filter(|text| key.rule.check(text).is_some()) else {
            return self.misshapen(name, key.rule, entry);
        };
        self.found
            .values
            .push((key, self.anchored(text, key.rule), at));
    }

    fn plugins(&mut self, table: &DeTable<'_>, plain: Option<&toml::Value>) {
        for (plugin, value) in in_order(table) {
            let plugin = plugin.get_ref().as_ref();
            let mut config = PluginConfig::default();
            let DeValue::Table(section) = value.get_ref() else {
                let at = self.at(value.span().start);
                self.found.problems.push(Problem::Value {
                    at,
                    key: format!("plugins.{plugin}"),
                    value: self.written(value),
                    allowed: "a table; the folder of the plugins is `folder` in `[plugin]`"
                        .to_owned(),
                });
                continue;
            };
            for entry in in_order(section) {
                let plain = plain.and_then(|all| all.get(plugin)?.get(entry.0.get_ref().as_ref()));
                self.single(plugin, &mut config, entry, plain);
            }
            self.found.plugins.insert(plugin.to_owned(), config);
        }
    }

    fn single(
        &mut self,
        plugin: &str,
        config: &mut PluginConfig,
        entry: Entry<'_, '_>,
        plain: Option<&toml::Value>,
    ) {
        let name = entry.0.get_ref().replace('_', "-");
        let dotted = format!("plugins.{}.{name}", quoted(plugin));
        let at = self.at(entry.0.span().start);
        if let ("settings", Some(toml::Value::Table(settings))) = (name.as_str(), plain) {
            config.settings.clone_from(settings);
            for (setting, value) in settings {
                let dotted = format!("{dotted}.{}", quoted(setting));
                self.found
                    .single
                    .insert(dotted, (value.clone(), at.clone()));
            }
            return;
        }
        let Some(key) = SINGLE.iter().find(|key| key.name == name) else {
            if name == "settings" {
                return self.no_table(&dotted, entry, "a table");
            }
            let names = SINGLE.iter().map(|key| key.name).chain(["settings"]);
            // What is no key of ours is most likely one of the plugin's.
            let near = keys::nearest(&name, names).map(|near| format!("plugins.{plugin}.{near}"));
            let nearest = near.or_else(|| Some(format!("plugins.{plugin}.settings.{name}")));
            return self.unknown(&dotted, nearest.as_deref(), entry);
        };
        let canonical = as_text(entry.1.get_ref(), key.rule).and_then(|text| key.rule.check(&text));
        match (canonical, plain) {
            _ if self.found.single.contains_key(&dotted) => {
                self.found.problems.push(Problem::Twice { at, key: dotted });
            }
            (Some(text), Some(plain)) if (key.put)(config, &text).is_some() => {
                self.found.single.insert(dotted, (plain.clone(), at));
            }
            _ => self.misshapen(&dotted, key.rule, entry),
        }
    }

    fn unknown(&mut self, name: &str, nearest: Option<&str>, entry: Entry<'_, '_>) {
        let at = self.at(entry.0.span().start);
        self.found.problems.push(Problem::UnknownKey {
            at,
            name: name.to_owned(),
            nearest: nearest.map(str::to_owned),
        });
    }

    fn misshapen(&mut self, name: &str, rule: Rule, entry: Entry<'_, '_>) {
        // Of a list, what is wrong in it.
        let culprit = match (entry.1.get_ref(), rule) {
            (DeValue::Array(items), Rule::Hosts) => items.iter().find(|item| {
                let host = item.get_ref().as_str();
                host.is_none_or(|host| host.contains(',') || rule.check(host).is_none())
            }),
            _ => None,
        };
        let at = match culprit {
            Some(culprit) => self.at(culprit.span().start),
            None => self.at(entry.0.span().start),
        };
        self.found.problems.push(Problem::Value {
            at,
            key: name.to_owned(),
            value: self.written(culprit.unwrap_or(entry.1)),
            allowed: expected(entry.1.get_ref(), rule),
        });
    }

    fn no_table(&mut self, name: &str, entry: Entry<'_, '_>, allowed: &str) {
        let at = self.at(entry.0.span().start);
        self.found.problems.push(Problem::Value {
            at,
            key: name.to_owned(),
            value: self.written(entry.1),
            allowed: allowed.to_owned(),
        });
    }

    /// Whether the parser stumbled over a plugin's table beside `plugins = "DIR"`: TOML allows one of both.
    fn extends_plugins(&self, byte: usize, message: &str) -> bool {
        let start = self
            .text
            .get(..byte)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |newline| newline + 1);
        let line = self.text.get(start..).unwrap_or_default().trim_start();
        message.contains("cannot extend value")
            && line
                .trim_start_matches(['[', ' ', '\t'])
                .starts_with("plugins")
    }

    /// The value as it stands in the file, its first line.
    fn written(&self, value: &Spanned<DeValue<'_>>) -> String {
        let text = self.text.get(value.span()).unwrap_or_default();
        match text.split_once('\n') {
            Some((first, _)) => format!("{first} …"),
            None => text.to_owned(),
        }
    }

    fn anchored(&self, text: String, rule: Rule) -> String {
        let base = self
            .path
            .parent()
            .filter(|base| !base.as_os_str().is_empty());
        match (rule, base) {
            (Rule::Folder | Rule::OptionalFolder, Some(base))
                if rule
                    .check(&text)
                    .is_some_and(|text| text != super::rule::NONE) =>
            {
                base.join(text).to_string_lossy().into_owned()
            }
            _ => text,
        }
    }

    fn at(&self, byte: usize) -> Source {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Source::File(self.path.to_owned(), line)
    }
}

/// The entries of a table as they stand in the file, so that faults are told in its order.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<Entry<'t, 'i>> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn is_section(name: &str) -> bool {
    keys::all().any(|key| {
        key.name
            .split_once('.')
            .is_some_and(|(section, _)| section == name)
    })
}

/// A name as it may stand in a dotted key.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

/// A value as a flag would give it; none where the key has values of another type. To a flag all is text: without this
/// `data = 3` would be a folder of that name.
fn as_text(value: &DeValue<'_>, rule: Rule) -> Option<String> {
    match (value, rule) {
        (DeValue::Integer(number), Rule::Number(..) | Rule::Bytes(..)) => {
            i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(|number| number.to_string())
        }
        (DeValue::Boolean(yes), Rule::Switch) => Some(yes.to_string()),
        (_, Rule::Number(..) | Rule::Switch) => None,
        (DeValue::String(text), _) => Some(text.to_string()),
        (DeValue::Array(items), Rule::Names | Rule::Hosts | Rule::Rooms) => {
            // A comma would make two of one.
            let whole = |name: &&str| !matches!(rule, Rule::Hosts) || !name.contains(',');
            let names: Option<Vec<&str>> = items
                .iter()
                .map(|item| item.get_ref().as_str().filter(whole))
                .collect();
            Some(names?.join(","))
        }
        _ => None,
    }
}

/// What a key allows, with its type where the value has another.
fn expected(value: &DeValue<'_>, rule: Rule) -> String {
    let allowed = rule.allowed();
    match (rule, value) {
        (Rule::Number(..) | Rule::Switch, DeValue::String(text)) if rule.check(text).is_some() => {
            format!("{allowed}, without quotes")
        }
        (Rule::Number(..) | Rule::Switch, _) | (_, DeValue::String(_)) => allowed,
        (Rule::Bytes(..), _) => format!("a whole number of bytes, or a text: {allowed}"),
        (Rule::Names | Rule::Hosts | Rule::Rooms, _) => format!("a list of texts: {allowed}"),
        _ => format!("a text, in quotes: {allowed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(Path::new("chat.toml"), text)
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_full_file_is_read() {
        let text = r#"
            listen = "0.0.0.0:80"
            memory = true
            require = ["wordlist", "basics"]
            retain = "7d,1GiB"
            [limits]
            message_bytes = "8KiB"
            rooms = 1_000
            [plugin]
            folder = "plugins"
            running-ms = 20
            [plugins.wordlist]
            on-failure = "allow"
            settings.words = ["rude"]
            settings.mode.strict = true
            http = ["API.example.com", "localhost:9000"]
            [plugins."odd name"]
            priority = -5
            memory_bytes = "32MiB"
        "#;
        let found = parse(Path::new("/etc/chat/chat.toml"), text);
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        let value = |name: &str| {
            found
                .values
                .iter()
                .find(|(key, ..)| key.name == name)
                .map(|(_, text, _)| text.as_str())
        };
        assert_eq!(value("require"), Some("wordlist,basics"));
        assert_eq!(value("plugins"), Some("/etc/chat/plugins"));
        assert_eq!(value("limits.rooms"), Some("1000"));
        assert_eq!(value("plugin.running_ms"), Some("20"));
        let wordlist = &found.plugins["wordlist"];
        assert_eq!(wordlist.on_failure, Some(crate::plugin::Policy::Allow));
        assert_eq!(wordlist.settings["mode"]["strict"].as_bool(), Some(true));
        assert_eq!(found.plugins["odd name"].priority, Some(-5));
        assert_eq!(found.plugins["odd name"].memory_bytes, Some(32 << 20));
        assert!(found.single.contains_key("plugins.\"odd name\".priority"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_its_neighbour() {
        assert_eq!(
            problems("lissten = \"x\"\n\n[limits]\nmesage_bytes = 5\n[limmits]\nrooms = 1\n"),
            [
                "chat.toml:1: there is no key `lissten`; did you mean `listen`?",
                "chat.toml:4: there is no key `limits.mesage_bytes`; did you mean `limits.message_bytes`?",
                "chat.toml:5: there is no key `limmits`; did you mean `limits`?",
            ]
        );
        assert_eq!(
            problems("[plugins.flood]\non-failur = \"allow\""),
            [
                "chat.toml:2: there is no key `plugins.flood.on-failur`; did you mean `plugins.flood.on-failure`?"
            ]
        );
    }

    #[test]
    fn a_value_of_another_shape_is_named_with_what_is_allowed() {
        assert_eq!(
            problems("partitions = 1.5\n[plugins]\nflood = 3\n"),
            [
                "chat.toml:1: `partitions` is 1.5; allowed is a whole number from 1 to 64",
                "chat.toml:3: `plugins.flood` is 3; allowed is a table; the folder of the plugins is `folder` in `[plugin]`",
            ]
        );
        assert_eq!(
            problems("[plugins.flood]\npriority = \"high\"\nsettings = 1"),
            [
                "chat.toml:2: `plugins.flood.priority` is \"high\"; allowed is a whole number from -1000000 to 1000000",
                "chat.toml:3: `plugins.flood.settings` is 1; allowed is a table",
            ]
        );
    }

    #[test]
    fn a_value_of_another_type_is_named_with_the_right_one() {
        for (text, told) in [
            ("memory = 1", "`memory` is 1; allowed is true or false"),
            (
                "memory = \"true\"",
                "`memory` is \"true\"; allowed is true or false, without quotes",
            ),
            (
                "data = 3",
                "`data` is 3; allowed is a text, in quotes: a folder",
            ),
            (
                "plugins = 3",
                "`plugins` is 3; allowed is a text, in quotes: a folder",
            ),
            (
                "plugin.folder = 3",
                "`plugin.folder` is 3; allowed is a text, in quotes: a folder",
            ),
            (
                "drain = 10",
                "`drain` is 10; allowed is a text, in quotes: a duration",
            ),
            (
                "retain = 5",
                "`retain` is 5; allowed is a text, in quotes: an age",
            ),
            (
                "require = [1]",
                "`require` is [1]; allowed is a list of texts",
            ),
            (
                "partitions = \"4\"",
                "`partitions` is \"4\"; allowed is a whole number from 1 to 64, without quotes",
            ),
            (
                "limits.message_bytes = true",
                "`limits.message_bytes` is true; allowed is a whole number of bytes, or a text",
            ),
            (
                "limits = 3",
                "`limits` is 3; allowed is a table, begun with [limits]",
            ),
            (
                "data = \"~/x\"",
                "`data` is \"~/x\"; allowed is a folder, without `~`",
            ),
            ("[foo]\na = 1", "there is no key `foo`"),
        ] {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(told), "{text}: {problems:?}");
            assert!(!problems[0].contains("mean"), "{text}: {problems:?}");
        }
    }

    #[test]
    fn a_folder_and_tables_under_one_name_are_told_apart() {
        for text in [
            "plugins = \"dir\"\n[plugins.wordlist]\npriority = 1",
            "plugins = \"dir\"\nplugins.wordlist.priority = 1",
        ] {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(
                problems[0].starts_with("chat.toml:2: ") && problems[0].contains("[plugin]"),
                "{problems:?}"
            );
        }
        let other = problems("log = \"json\"\n[log.x]\n");
        assert!(other[0].contains("cannot extend"), "{other:?}");
    }

    #[test]
    fn granted_hosts_are_read_and_one_that_is_none_is_named_with_its_line() {
        let text = "http = [\"API.example.com\", \"localhost:9000\"]";
        let path = Path::new("asker.toml");
        let config = parse_single(path, "asker", text).unwrap();
        let hosts = config.http.unwrap_or_default();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["api.example.com", "localhost:9000"]);
        let none = parse_single(path, "asker", "http = []").unwrap();
        assert_eq!(none.http, Some(Vec::new()));
        for (text, named) in [
            (
                "http = [\n  \"localhost\",\n  \"https://a.example\",\n]",
                "asker.toml:3: `plugins.asker.http` is \"https://a.example\"",
            ),
            ("http = [\"a,b\"]", "is \"a,b\""),
            ("http = [9000]", "is 9000"),
            ("http = true", "is true"),
        ] {
            let told = parse_single(path, "asker", text).unwrap_err();
            assert!(told.contains(named), "{text}: {told}");
            assert!(told.contains("localhost:9000"), "{text}: {told}");
        }
    }

    #[test]
    fn two_spellings_of_a_key_are_one_too_many() {
        assert_eq!(
            problems("[limits]\nsend_burst = 1\nsend-burst = 2"),
            ["chat.toml:3: `limits.send_burst` is there already; leave one of both"]
        );
    }

    #[test]
    fn what_is_no_toml_is_named_with_its_line() {
        let problems = problems("listen = \"a\"\ndata = \n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("chat.toml:2: "), "{problems:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text: String) {
            let _ = parse(Path::new("chat.toml"), &text);
        }
    }
}
