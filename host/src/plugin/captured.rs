//! What a guest writes to stdout and stderr: the end of it, in bounded memory.
//!
//! It never blocks and never refuses: what does not fit pushes out what is older and is counted. The last line goes
//! into the fault when the guest traps; a Rust guest writes there why it panicked.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How much is kept.
const KEPT_BYTES: usize = 4 * 1024;

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

    /// The last lines that are not empty, newest last, as one line of at most `most` bytes; empty where there is none.
    pub(super) fn last_words(&self, most: usize) -> String {
        let ring = self.0.lock();
        let (front, back) = ring.kept.as_slices();
        let text = [front, back].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        // A Rust panic is `thread … panicked at PLACE:`, the message, and a note about backtraces.
        let from = lines
            .iter()
            .rposition(|line| line.contains("panicked at"))
            .unwrap_or(lines.len().saturating_sub(1));
        let words = lines
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take(2)
            .copied();
        super::fault::one_line(&words.collect::<Vec<_>>().join(" "), most)
    }

    /// How many bytes were pushed out.
    pub(super) fn dropped_bytes(&self) -> u64 {
        self.0.lock().dropped_bytes
    }
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

    #[test]
    fn the_end_is_kept_and_the_rest_is_counted() {
        let captured = Captured::default();
        for _ in 0..100 {
            captured.take_in(&[b'x'; 1000]);
        }
        captured.take_in(b"\nthe last line\n");
        assert_eq!(captured.last_words(100), "the last line");
        assert_eq!(captured.dropped_bytes(), 100_015 - KEPT_BYTES as u64);
    }

    #[test]
    fn one_large_write_keeps_its_end() {
        let captured = Captured::default();
        captured.take_in(&[b"a".repeat(10_000), b"\nend".to_vec()].concat());
        assert_eq!(captured.last_words(100), "end");
    }

    #[test]
    fn a_panic_is_told_with_its_message() {
        let captured = Captured::default();
        captured
            .take_in(b"hello\nthread 'main' panicked at src/lib.rs:1:2:\nno way\nnote: run with\n");
        assert_eq!(
            captured.last_words(100),
            "thread 'main' panicked at src/lib.rs:1:2: no way"
        );
    }
}
