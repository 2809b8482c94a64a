//! What is in force and where it came from: for people as TOML with comments, for programs as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::keys;
use super::problem::Source;
use super::sources::Resolved;

/// A line a key: `limits.message_bytes = 4096  # default`. It is TOML, and can be used as a settings file.
#[must_use]
pub fn table(resolved: &Resolved) -> String {
    let rows = rows(resolved);
    let widest = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max();
    let names = widest(|row| &row.name).unwrap_or(0);
    // One long list must not push all comments off the screen.
    let values = widest(|row| &row.toml).unwrap_or(0).min(40);
    rows.iter().fold(String::new(), |mut text, row| {
        let Row {
            name, toml, source, ..
        } = row;
        let _ = writeln!(text, "{name:names$} = {toml:values$}  # {source}");
        text
    })
}

/// An object a key: its value and its source.
#[must_use]
pub fn json(resolved: &Resolved) -> Value {
    let rows = rows(resolved).into_iter().map(|row| {
        let source = match row.source {
            Source::Flag(flag) => json!({ "flag": flag }),
            Source::Variable(name) => json!({ "variable": name }),
            Source::File(path, line) => json!({ "file": path, "line": line }),
            Source::Default => json!("default"),
        };
        (row.name, json!({ "value": row.json, "source": source }))
    });
    Value::Object(rows.collect::<Map<String, Value>>())
}

/// A value without quotes, as it would be given to a flag.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

struct Row {
    name: String,
    toml: String,
    json: Value,
    source: Source,
}

fn rows(resolved: &Resolved) -> Vec<Row> {
    // As TOML `plugins` can't be a text and hold tables: see `file`.
    let name = |key: &'static str| match key {
        "plugins" if !resolved.config.plugin_settings.is_empty() => "plugin.folder",
        other => other,
    };
    let keys = keys::all().map(|key| {
        let json = (key.get)(&resolved.config);
        Row {
            name: name(key.name).to_owned(),
            // Texts, numbers, truths and lists of texts are the same in both languages.
            toml: json.to_string(),
            json,
            source: resolved.source(key.name),
        }
    });
    let single = resolved.single.iter().map(|(name, (value, source))| Row {
        name: name.clone(),
        toml: value.to_string(),
        json: serde_json::to_value(value).unwrap_or_default(),
        source: source.clone(),
    });
    keys.chain(single).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::Flags;
    use crate::config::sources::resolve;
    use crate::config::variables::Variables;

    fn resolved(text: &str) -> Resolved {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.toml");
        std::fs::write(&path, text).unwrap();
        let flags = Flags {
            config: Some(path),
            ..Flags::default()
        };
        resolve(&flags, &Variables::default()).unwrap()
    }

    const FILE: &str = r#"
        data = "/srv/chat"
        require = ["wordlist", "basics"]
        metrics = "127.0.0.1:9090"
        retain = "36h,500MB"
        limits.message_bytes = "8KiB"
        plugin.folder = "/srv/plugins"
        [plugins."odd name"]
        on-failure = "withhold"
        may-lose-roles = true
        settings = { words = ["a \"b\" c"], deep = { at = 1.5 } }
    "#;

    #[test]
    fn what_is_shown_can_be_used_as_a_settings_file() {
        let first = resolved(FILE);
        let again = resolved(&table(&first));
        assert_eq!(again.config, first.config);
    }

    #[test]
    fn each_value_is_shown_with_its_source() {
        let shown = table(&resolved(FILE));
        let line = |key: &str| {
            let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("drain"), "drain = \"10s\" # default");
        assert!(line("retain").starts_with("retain = \"1d12h,500MB\" # "));
        assert!(line("retain").ends_with("chat.toml:5"));
        let json = json(&resolved(FILE));
        assert_eq!(json["limits.message_bytes"]["value"], 8192);
        assert_eq!(json["limits.message_bytes"]["source"]["line"], 6);
        assert_eq!(json["drain"]["source"], "default");
    }
}
