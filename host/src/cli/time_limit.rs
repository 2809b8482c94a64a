//! `--timeout` of the client's commands.

use std::time::Duration;

use crate::config::units::parse_duration;

/// Reads a duration as the settings have it.
///
/// # Errors
/// In words, what is wrong with it.
pub fn time_limit(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            format!("{text} has no unit; write {text}s")
        } else {
            "allowed is a duration such as 500ms, 10s or 1m30s".to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_is_told_what_is_missing() {
        assert_eq!(time_limit("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time_limit("5"), Err("5 has no unit; write 5s".to_owned()));
        for bad in ["", "-1s", "soon", "5 parsecs"] {
            assert!(time_limit(bad).unwrap_err().contains("1m30s"), "{bad}");
        }
    }
}
