//! What a guest writes to stdout and stderr: the end of it, in bounded memory.
//!
//! It never blocks and never refuses: what does not fit pushes out what is older and is counted. The last lines go into
//! the fault when a call fails: guests write there why they panicked, or the end of a traceback.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How much is kept.
const KEPT_BYTES: usize = 4 * 1024;

/// How much of it is told: so many lines, and bytes of them.
const TOLD_LINES: usize = 10;
const TOLD_BYTES: usize = 2 * 1024;

/// How much a guest may hand over at once: bounds what the host allocates for it.
const PERMIT_BYTES: usize = 16 * 1024;

/// The end of what one instance wrote. Clones share it: WASI hands each of the guest's streams its own, and the host
/// reads it after the call; hence the lock, which is never contended.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Ring>>);

#[derive(Default)]
struct Ring {
    kept: VecDeque<u8>,
    dropped_bytes: u64,
}

impl Captured {
    fn take_in(&self, bytes: &[u8]) {
        let mut ring = self.0.lock();
        let tail = bytes
            .get(bytes.len().saturating_sub(KEPT_BYTES)..)
            .unwrap_or(bytes);
        let room = KEPT_BYTES - tail.len();
        let out = ring.kept.len().saturating_sub(room);
        ring.kept.drain(..out);
        ring.kept.extend(tail);
        ring.dropped_bytes += (out + bytes.len() - tail.len()) as u64;
    }

    /// Forgets what was kept: what earlier calls wrote says nothing of this one.
    pub(super) fn begin(&self) {
        self.0.lock().kept.clear();
    }

    /// The last lines that are not empty, newest last; empty where there is none. Of a panic with a long message, its
    /// beginning.
    pub(super) fn last_lines(&self) -> String {
        let ring = self.0.lock();
        let (front, back) = ring.kept.as_slices();
        let text = [front, back].concat();
        drop(ring);
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines.len().saturating_sub(TOLD_LINES);
        let panic = lines.iter().rposition(|line| is_panic(line));
        let from = panic.map_or(last, |panic| panic.min(last));
        let told = lines.get(from..).unwrap_or_default();
        let told = told.get(..TOLD_LINES).unwrap_or(told);
        bounded(told)
    }

    /// How many bytes were pushed out.
    pub(super) fn dropped_bytes(&self) -> u64 {
        self.0.lock().dropped_bytes
    }
}

/// Where a Rust panic begins: this line, the message, and a note about backtraces.
pub(super) fn is_panic(line: &str) -> bool {
    line.contains("panicked at")
}

/// As many of the last lines as fit, in order; where not even the last one does, its beginning.
fn bounded(lines: &[&str]) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut left = TOLD_BYTES;
    for line in lines.iter().rev() {
        let line: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if line.len() < left {
            left -= line.len() + 1;
            kept.push(line);
            continue;
        }
        if kept.is_empty() {
            let most = line.floor_char_boundary(left);
            kept.push(line.get(..most).unwrap_or_default().to_owned());
        }
        break;
    }
    kept.reverse();
    kept.join("\n")
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take_in(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this, and it is not linked.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> String {
        let captured = Captured::default();
        captured.take_in(bytes);
        captured.last_lines()
    }

    #[test]
    fn the_end_is_kept_and_the_rest_is_counted() {
        let captured = Captured::default();
        for _ in 0..100 {
            captured.take_in(&[b'x'; 1000]);
        }
        captured.take_in(b"\nthe last line\n");
        // What stands before it is longer than what is told.
        assert_eq!(captured.last_lines(), "the last line");
        assert_eq!(captured.dropped_bytes(), 100_015 - KEPT_BYTES as u64);
    }

    #[test]
    fn one_large_write_keeps_its_end() {
        assert_eq!(
            told(&[b"a".repeat(10_000), b"\nend".to_vec()].concat()),
            "end"
        );
    }

    #[test]
    fn ten_lines_are_told_as_they_stand_without_control_characters() {
        let many: String = (1..=20).map(|n| format!("  line\u{1b} {n}\n\n")).collect();
        let lines: Vec<String> = (11..=20).map(|n| format!("  line  {n}")).collect();
        assert_eq!(told(many.as_bytes()), lines.join("\n"));
    }

    #[test]
    fn of_one_line_that_is_too_long_the_beginning_is_told() {
        let long = "ä".repeat(1500);
        assert_eq!(told(long.as_bytes()), "ä".repeat(1024));
    }

    #[test]
    fn a_panic_with_a_long_message_is_told_from_its_beginning() {
        let long = "left\n".repeat(30);
        let said =
            told(format!("hello\nthread 'main' panicked at a.rs:1:2:\n{long}note: run").as_bytes());
        assert_eq!(
            said,
            format!(
                "thread 'main' panicked at a.rs:1:2:\n{}",
                "left\n".repeat(9)
            )
            .trim_end()
        );
    }

    #[test]
    fn what_an_earlier_call_wrote_is_forgotten() {
        let captured = Captured::default();
        captured.take_in(b"hello\n");
        captured.begin();
        assert_eq!(captured.last_lines(), "");
    }
}
