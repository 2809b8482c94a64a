//! Log lines on stderr: for people, with colour on a terminal, or one JSON object a line. Times are UTC.
//!
//! stdout is never logged to: it tells the address, and belongs to who started the server.

use std::fmt;
use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::diary::Diary;
use crate::config::LogFormat;

/// Libraries that are quiet where only a level is given.
const QUIET: &str = "fjall=warn,lsm_tree=warn,h2=warn,hyper=warn,hyper_util=warn,tonic=warn,wasmtime=warn,wasmtime_wasi_http=error,cranelift_codegen=warn,notify=warn";

/// Why log lines can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The level is neither a level nor directives.
    #[error("the log level `{level}` is not understood: {error}")]
    Level {
        /// As given.
        level: String,
        /// Why.
        error: tracing_subscriber::filter::ParseError,
    },
    /// Somebody in this process has set up log lines before.
    #[error("log lines are set up twice")]
    Twice,
}

/// Sets up the log lines of this process. `level` is a level or directives as in `RUST_LOG`; what concerns plugins goes
/// into the diary too.
///
/// # Errors
/// [`LogsError`]: nothing is set up then.
pub fn init(format: LogFormat, level: &str, diary: &Diary) -> Result<(), LogsError> {
    // https://no-color.org: set and not empty, whatever it says.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = std::io::stderr().is_terminal() && !plain;
    subscriber(format, level, colour, std::io::stderr)?
        .with(diary.layer())
        .try_init()
        .map_err(|_| LogsError::Twice)
}

fn subscriber<W>(
    format: LogFormat,
    level: &str,
    colour: bool,
    writer: W,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync, LogsError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // What libraries tell of their inner life helps nobody who did not ask for it.
    let directives = if level.contains('=') {
        level.to_owned()
    } else {
        format!("{level},{QUIET}")
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| LogsError::Level {
        level: level.to_owned(),
        error,
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(Utc)
        .with_ansi(colour);
    let lines = match format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

/// `2026-07-10T09:30:00.123Z`
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, level, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(plugin = "wordlist", took_ms = 7, "plugin replaced");
            tracing::debug!("a detail");
        });
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_an_object_with_its_fields() {
        let text = logged(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "plugin replaced");
        assert_eq!(line["plugin"], "wordlist");
        assert_eq!(line["took_ms"], 7);
        assert_eq!(line["level"], "INFO");
        let time: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(time <= jiff::Timestamp::now());
    }

    #[test]
    fn a_human_line_has_no_colour_where_none_is_wanted() {
        let text = logged(LogFormat::Human, "info");
        assert!(text.contains(" INFO "), "{text}");
        assert!(
            text.contains("plugin replaced plugin=\"wordlist\" took_ms=7"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_level_decides_what_is_written() {
        assert_eq!(logged(LogFormat::Human, "info").lines().count(), 1);
        assert_eq!(
            logged(LogFormat::Human, "off,chat_host=debug")
                .lines()
                .count(),
            2
        );
        assert_eq!(logged(LogFormat::Human, "warn"), "");
    }
}
