//! A plugin's settings as it is given them: secrets, which stand there by reference, put in.
//!
//! `key = { secret-file = "PATH" }` or `key = { secret-env = "NAME" }`. What is shown or logged is the reference.

use std::fs::File;
use std::io::Read;

use serde_json::Value;

use super::Fault;

/// The longest secret.
const BYTES: usize = 64 * 1024;

/// Settings with every reference replaced by what it leads to.
#[derive(Default)]
pub(super) struct Resolved {
    /// A JSON object.
    pub(super) json: String,
    secrets: Vec<String>,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("settings")
    }
}

impl Resolved {
    /// A text of the plugin's, in which no secret is quoted.
    pub(super) fn masked(&self, text: &str) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| {
            let quoted = Value::String(secret.clone()).to_string();
            let quoted = quoted.trim_matches('"');
            text.replace(secret.as_str(), "***").replace(quoted, "***")
        })
    }

    /// A fault of a start, alike.
    pub(super) fn masked_fault(&self, fault: Fault) -> Fault {
        Fault {
            detail: self.masked(&fault.detail),
            last_words: self.masked(&fault.last_words),
            ..fault
        }
    }
}

/// The settings as a plugin is given them.
///
/// # Errors
/// Which reference leads nowhere.
pub(super) fn resolved(settings: &toml::Table) -> Result<Resolved, String> {
    let mut value = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    let mut secrets = Vec::new();
    resolve(&mut value, &mut secrets)?;
    // The longest first, so that one within another hides no part of it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    Ok(Resolved {
        json: value.to_string(),
        secrets,
    })
}

fn resolve(value: &mut Value, secrets: &mut Vec<String>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve(item, secrets)),
        Value::Object(fields) => {
            if let Some(secret) = reference(fields)? {
                secrets.push(secret.clone());
                *value = Value::String(secret);
                return Ok(());
            }
            fields
                .values_mut()
                .try_for_each(|field| resolve(field, secrets))
        }
        _ => Ok(()),
    }
}

/// The secret that a table of this one key stands for.
fn reference(fields: &serde_json::Map<String, Value>) -> Result<Option<String>, String> {
    let mut keys = fields.iter();
    let (Some((key, Value::String(place))), None) = (keys.next(), keys.next()) else {
        return Ok(None);
    };
    let secret = match key.as_str() {
        "secret-file" => read(place)
            .map_err(|error| format!("the secret in the file {place} can't be read: {error}"))?,
        "secret-env" => std::env::var(place)
            .map_err(|_| format!("the secret in the variable {place} is not set, or no text"))?,
        _ => return Ok(None),
    };
    if secret.len() > BYTES {
        return Err(format!("the secret in {place} has more than {BYTES} bytes"));
    }
    // A file ends with a newline that is no part of the secret.
    Ok(Some(secret.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads a file whole, unless it is none or has no end.
fn read(place: &str) -> std::io::Result<String> {
    // Asked before it is opened: to open a pipe waits for whoever writes.
    if !std::fs::metadata(place)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    let most = BYTES as u64 + 2;
    File::open(place)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_put_in_where_its_reference_stands() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "s3cret\n").unwrap();
        let text = format!(
            "a = 1\n[[hosts]]\nkey = {{ secret-file = {:?} }}\nother = {{ secret-file = 3 }}",
            file.display().to_string()
        );
        let given = resolved(&text.parse().unwrap()).unwrap();
        assert_eq!(given.masked("not s3cret at all"), "not *** at all");
        let given = given.json;
        assert_eq!(
            given,
            r#"{"a":1,"hosts":[{"key":"s3cret","other":{"secret-file":3}}]}"#
        );
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named() {
        for (text, named) in [
            ("k = { secret-file = '/nowhere' }", "/nowhere"),
            ("k = { secret-file = '/dev/zero' }", "not a file"),
            (
                "k = { secret-env = 'CHAT_HOST_NO_SUCH' }",
                "CHAT_HOST_NO_SUCH",
            ),
        ] {
            let words = resolved(&text.parse().unwrap()).unwrap_err();
            assert!(words.contains(named), "{words}");
        }
    }
}
