//! The newest log lines about each plugin, its own and the host's, for the operator who asks.
//!
//! A layer of the log beside the written one, with a level of its own: what a plugin says at `debug` is here, whatever
//! the log is set to. Bounded in plugins and lines; it quotes what plugins say, so it is for the owner alone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;

/// Lines kept of each plugin, and the plugins of which any are; the one that was silent for longest gives way.
const LINES: usize = 200;
const PLUGINS: usize = 64;
/// The longest line; what is longer is cut.
const LINE_BYTES: usize = 1024;
/// The most lines given at once.
const AT_ONCE: usize = 1000;

/// A line about a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Rises from line to line, over all plugins; the first is 1.
    pub number: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// Which plugin.
    pub plugin: String,
    /// The message and its fields.
    pub text: String,
}

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Diary(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    last: u64,
    of: BTreeMap<String, VecDeque<Line>>,
}

impl Diary {
    /// The newest lines after this number, at most `limit`, of one plugin or of all, the oldest first; and the number of
    /// the last line there is.
    #[must_use]
    pub fn after(&self, number: u64, plugin: Option<&str>, limit: usize) -> (Vec<Line>, u64) {
        let pages = self.0.lock();
        let mut lines: Vec<Line> = pages
            .of
            .iter()
            .filter(|(name, _)| plugin.is_none_or(|plugin| plugin == name.as_str()))
            .flat_map(|(_, lines)| lines.iter().filter(|line| line.number > number))
            .cloned()
            .collect();
        lines.sort_by_key(|line| line.number);
        let older = lines.len().saturating_sub(limit.min(AT_ONCE));
        (lines.split_off(older), pages.last)
    }

    /// The layer that writes it.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        let ours = ["plugin", "pipeline"].map(|room| {
            (
                format!("{}::{room}", env!("CARGO_CRATE_NAME")),
                LevelFilter::DEBUG,
            )
        });
        Scribe(self.clone()).with_filter(Targets::new().with_targets(ours))
    }

    fn write(&self, level: String, plugin: String, text: String) {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time_ms = time.map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        });
        let mut pages = self.0.lock();
        pages.last += 1;
        let line = Line {
            number: pages.last,
            time_ms,
            level,
            plugin: plugin.clone(),
            text,
        };
        if pages.of.len() >= PLUGINS && !pages.of.contains_key(&plugin) {
            let last = |lines: &VecDeque<Line>| lines.back().map_or(0, |line| line.number);
            let silent = pages.of.iter().min_by_key(|(_, lines)| last(lines));
            if let Some(silent) = silent.map(|(name, _)| name.clone()) {
                pages.of.remove(&silent);
            }
        }
        let lines = pages.of.entry(plugin).or_default();
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

struct Scribe(Diary);

impl<S: Subscriber> Layer<S> for Scribe {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Fields::default();
        event.record(&mut seen);
        if let Some(plugin) = seen.plugin {
            let level = event.metadata().level().as_str().to_ascii_lowercase();
            self.0.write(level, plugin, seen.message + &seen.others);
        }
    }
}

#[derive(Default)]
struct Fields {
    plugin: Option<String>,
    message: String,
    others: String,
}

impl Fields {
    fn add(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let text = value.to_string();
        match name {
            "plugin" => self.plugin = Some(text),
            "message" => self.message = cut(text),
            _ if self.others.len() + text.len() < LINE_BYTES => {
                let _ = write!(self.others, " {name}={text}");
            }
            _ => {}
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LINE_BYTES));
    text
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "plugin" | "message" => self.add(field.name(), format_args!("{value}")),
            name => self.add(name, format_args!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn written(write: impl FnOnce()) -> Diary {
        let diary = Diary::default();
        let subscriber = tracing_subscriber::registry().with(diary.layer());
        tracing::subscriber::with_default(subscriber, write);
        diary
    }

    /// As the host's own modules write.
    macro_rules! line {
        ($plugin:expr, $($rest:tt)*) => {
            tracing::debug!(target: "chat_host::plugin::lines", plugin = $plugin, $($rest)*)
        };
    }

    #[test]
    fn lines_about_plugins_are_kept_with_their_fields_and_no_others() {
        let diary = written(|| {
            line!("flood", took_ms = 7, why = "so", "replaced");
            line!(tracing::field::display("poll"), "asked");
            tracing::debug!(target: "chat_host::plugin", "about none");
            tracing::error!(target: "elsewhere", plugin = "flood", "not ours");
        });
        let (lines, last) = diary.after(0, None, 10);
        assert_eq!(last, 2);
        let texts: Vec<_> = lines
            .iter()
            .map(|line| (&*line.plugin, &*line.text))
            .collect();
        assert_eq!(
            texts,
            [
                ("flood", "replaced took_ms=7 why=\"so\""),
                ("poll", "asked")
            ]
        );
        assert_eq!(lines[0].level, "debug");
        assert_eq!(diary.after(lines[0].number, None, 10).0, lines[1..]);
        assert_eq!(diary.after(0, Some("poll"), 10).0, lines[1..]);
        assert_eq!(diary.after(0, None, 1).0, lines[1..]);
    }

    #[test]
    fn a_flood_pushes_out_what_is_older() {
        let diary = written(|| {
            for number in 0..LINES + 10 {
                line!("flood", "{number} {}", "é".repeat(LINE_BYTES));
            }
            for number in 0..PLUGINS {
                line!(&*format!("plugin-{number}"), "here");
            }
        });
        let pages = diary.0.lock();
        assert_eq!(pages.of.len(), PLUGINS);
        assert!(!pages.of.contains_key("flood"), "it was silent for longest");
        drop(pages);
        let diary = written(|| {
            for number in 0..LINES + 10 {
                line!("flood", "{number} {}", "é".repeat(LINE_BYTES));
            }
        });
        let (lines, _) = diary.after(0, Some("flood"), usize::MAX);
        assert_eq!(lines.len(), LINES);
        assert!(lines[0].text.starts_with("10 "));
        assert!(lines.iter().all(|line| line.text.len() <= LINE_BYTES));
    }
}
