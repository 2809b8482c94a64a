//! Code spans: as many backticks as opened one close it.

use crate::steps;

/// Where the runs of backticks of a text are, by length.
pub(crate) struct Ticks {
    /// Length and position, in that order, so that all of one length lie together.
    runs: Vec<(usize, usize)>,
}

impl Ticks {
    pub(crate) fn of(text: &str) -> Self {
        let mut runs = Vec::new();
        let mut length = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte == b'`' {
                length += 1;
            } else if length > 0 {
                runs.push((length, at - length));
                length = 0;
            }
        }
        if length > 0 {
            runs.push((length, text.len() - length));
        }
        steps::count(text.len());
        runs.sort_unstable();
        Ticks { runs }
    }

    /// Where the first run of exactly `length` backticks at or after `from` is.
    pub(crate) fn closing(&self, length: usize, from: usize) -> Option<usize> {
        steps::count(1);
        let next = self.runs.partition_point(|run| *run < (length, from));
        match self.runs.get(next) {
            Some((found, at)) if *found == length => Some(*at),
            _ => None,
        }
    }
}

/// What is shown of a span: one space at either side makes room for backticks and is not shown.
pub(crate) fn shown(span: &str) -> &str {
    span.strip_prefix(' ')
        .and_then(|span| span.strip_suffix(' '))
        .filter(|inner| !inner.trim().is_empty())
        .unwrap_or(span)
}
