//! A plugin's settings as it is given them: secrets, which stand there by reference, put in.
//!
//! `key = { secret-file = "PATH" }` or `key = { secret-env = "NAME" }`. What is shown or logged is the reference.

use std::fs::File;
use std::io::Read;

use serde_json::Value;

/// The longest secret.
const BYTES: usize = 64 * 1024;

/// The settings as JSON, with every reference replaced by what it leads to.
///
/// # Errors
/// Which reference leads nowhere.
pub(super) fn resolved(settings: &toml::Table) -> Result<String, String> {
    let mut value = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    resolve(&mut value)?;
    Ok(value.to_string())
}

fn resolve(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(resolve),
        Value::Object(fields) => {
            if let Some(secret) = reference(fields)? {
                *value = Value::String(secret);
                return Ok(());
            }
            fields.values_mut().try_for_each(resolve)
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
