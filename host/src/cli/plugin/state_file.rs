//! What an export of a plugin's memory looks like: a line of JSON that says whose it is, then for each room a line about
//! the room and a line an entry.
//!
//! The lines say how many of others follow, so that a file that was cut off is told from a whole one.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::client::clock::rfc3339;
use crate::control::plugin_state::{Contents, Entry};

/// About so many bytes go into a piece of an import.
const PIECE_BYTES: usize = 128 * 1024;
/// What an entry takes beside its key and value, or nearly.
const ENTRY_BYTES: usize = 64;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    plugin: String,
    host: String,
    time: String,
    /// How many follow.
    rooms: usize,
}

/// The line about a room.
#[derive(Debug, Serialize, Deserialize)]
struct RoomLine {
    room: String,
    layout: u32,
    /// How many follow.
    entries: usize,
    // Where in the log this was so: for people.
    #[serde(default)]
    partition: u16,
    #[serde(default)]
    outcome: u64,
    #[serde(default)]
    time: String,
}

/// What is to be remembered in a room.
#[derive(Debug)]
pub(super) struct OfRoom {
    pub(super) room: String,
    pub(super) layout: u32,
    entries: Vec<Entry>,
}

impl Head {
    /// For an export that is made now.
    pub(super) fn now(plugin: &str, rooms: usize) -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            plugin: plugin.to_owned(),
            host: env!("CARGO_PKG_VERSION").into(),
            time: rfc3339(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            rooms,
        }
    }
}

/// An export under way. A file that does not come to its end is removed.
pub(super) struct Writer {
    to: Box<dyn Write>,
    unfinished: Option<PathBuf>,
}

impl Writer {
    pub(super) fn new(file: Option<&PathBuf>, head: &Head) -> Result<Self, String> {
        let to: Box<dyn Write> = match file {
            Some(path) => {
                // What people said may be in it.
                let made = std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path);
                let file = made.map_err(|error| match error.kind() {
                    std::io::ErrorKind::AlreadyExists => format!(
                        "{} exists already; name a file that does not",
                        path.display()
                    ),
                    _ => format!("{} can't be written: {error}", path.display()),
                })?;
                Box::new(BufWriter::new(file))
            }
            None => Box::new(BufWriter::new(std::io::stdout())),
        };
        let unfinished = file.cloned();
        let mut writer = Self { to, unfinished };
        writer.line(head)?;
        Ok(writer)
    }

    pub(super) fn room(&mut self, room: &str, contents: Contents) -> Result<(), String> {
        self.line(&RoomLine {
            room: room.to_owned(),
            layout: contents.layout,
            entries: contents.entries.len(),
            partition: contents.partition,
            outcome: contents.outcome,
            time: rfc3339(contents.time_ms),
        })?;
        contents
            .entries
            .iter()
            .try_for_each(|entry| self.line(entry))
    }

    pub(super) fn end(mut self) -> Result<(), String> {
        let flushed = self.to.flush();
        flushed.map_err(|error| format!("the export can't be written: {error}"))?;
        self.unfinished = None;
        Ok(())
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), String> {
        let text = serde_json::to_string(line).map_err(|error| error.to_string())?;
        writeln!(self.to, "{text}").map_err(|error| format!("the export can't be written: {error}"))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(path) = &self.unfinished {
            std::fs::remove_file(path).ok();
        }
    }
}

/// Reads an export of this plugin's memory.
///
/// # Errors
/// Which line is wrong, and how.
pub(super) fn read(plugin: &str, text: &str) -> Result<Vec<OfRoom>, String> {
    let mut lines = (1..).zip(text.lines());
    let head: Head = next(&mut lines, "the line that says whose memory this is")?.1;
    if head.plugin != plugin {
        return Err(format!(
            "it is what `{}` remembered, and not `{plugin}`; if that is meant, change the name in line 1",
            head.plugin
        ));
    }
    let mut rooms = Vec::new();
    let mut named = BTreeSet::new();
    for _ in 0..head.rooms {
        let (number, line): (usize, RoomLine) = next(&mut lines, "the line about a room")?;
        if !named.insert(line.room.clone()) {
            return Err(format!("line {number}: #{} is there twice", line.room));
        }
        let mut keys = BTreeSet::new();
        let mut entries = Vec::new();
        for _ in 0..line.entries {
            let (number, entry): (usize, Entry) = next(&mut lines, "an entry")?;
            if entry.value.bytes().is_none() {
                return Err(format!("line {number}: the value is not Base64"));
            }
            if !keys.insert(entry.key.clone()) {
                let key = &entry.key;
                return Err(format!("line {number}: the key `{key}` is there twice"));
            }
            entries.push(entry);
        }
        rooms.push(OfRoom {
            room: line.room,
            layout: line.layout,
            entries,
        });
    }
    match lines.next() {
        Some((number, _)) => Err(format!(
            "line {number}: there is more than the lines before it say"
        )),
        None => Ok(rooms),
    }
}

fn next<'a, T: serde::de::DeserializeOwned>(
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    what: &str,
) -> Result<(usize, T), String> {
    let (number, line) = lines
        .next()
        .ok_or_else(|| format!("it ends too early: {what} is missing"))?;
    let read = serde_json::from_str(line);
    let read = read.map_err(|error| format!("line {number} is not {what}: {error}"))?;
    Ok((number, read))
}

impl OfRoom {
    /// Cut so that each fits into a record; at least one.
    pub(super) fn pieces(self) -> Vec<Vec<Entry>> {
        let mut pieces = Vec::new();
        let (mut piece, mut bytes) = (Vec::new(), 0);
        for entry in self.entries {
            let value = entry.value.bytes().map_or(0, |value| value.len());
            let size = entry.key.len() + value + ENTRY_BYTES;
            if bytes + size > PIECE_BYTES && !piece.is_empty() {
                pieces.push(std::mem::take(&mut piece));
                bytes = 0;
            }
            bytes += size;
            piece.push(entry);
        }
        pieces.push(piece);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"plugin":"flood","host":"0.1.0","time":"now","rooms":1}"#;
    const ROOM: &str = r#"{"room":"lobby","layout":2,"entries":2}"#;
    const ONE: &str = r#"{"key":"a","text":"x"}"#;
    const TWO: &str = r#"{"key":"b","counter":3,"expires_ms":7}"#;

    fn told(lines: &[&str]) -> String {
        read("flood", &lines.join("\n")).unwrap_err()
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let rooms = read("flood", &[HEAD, ROOM, ONE, TWO].join("\n")).unwrap();
        assert_eq!((rooms.len(), rooms[0].layout), (1, 2));
        assert_eq!(rooms[0].entries[1].expires_ms, 7);
        assert_eq!(rooms[0].entries[1].value.bytes().unwrap()[0], 3);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_line() {
        assert!(told(&[]).contains("ends too early"));
        assert!(told(&["nonsense"]).contains("line 1"));
        assert!(told(&[HEAD, ROOM, ONE]).contains("an entry is missing"));
        assert!(told(&[HEAD, ROOM, ONE, ONE]).contains("line 4: the key `a` is there twice"));
        assert!(told(&[HEAD, ROOM, ONE, TWO, TWO]).contains("line 5"));
        let broken = r#"{"key":"a","base64":"!"}"#;
        assert!(told(&[HEAD, ROOM, broken, TWO]).contains("line 3: the value is not Base64"));
        let other = HEAD.replace("flood", "poll");
        assert!(told(&[&other, ROOM, ONE, TWO]).contains("what `poll` remembered"));
    }

    #[test]
    fn pieces_fit_into_records() {
        let entry = |size: usize| Entry {
            key: "k".into(),
            value: crate::control::plugin_state::Value::Text("x".repeat(size)),
            expires_ms: 0,
        };
        let of = |sizes: &[usize]| {
            let room = OfRoom {
                room: "lobby".into(),
                layout: 0,
                entries: sizes.iter().map(|size| entry(*size)).collect(),
            };
            room.pieces().iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [0]);
        assert_eq!(of(&[60_000; 5]), [2, 2, 1]);
        assert_eq!(of(&[1, 200_000, 1]), [1, 1, 1]);
    }
}
