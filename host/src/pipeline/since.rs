//! Since when a record has been durable, as far as an owner knows: for its metrics.
//!
//! An owner that keeps up reads a record at once; one that is behind has seen the log's end beyond it before.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::state::ids::Offset;

/// Ends that are remembered; beyond that, what waits seems a little younger.
const ENDS: usize = 256;

/// Where the log ended at some moments, oldest first: what lay below was durable then.
#[derive(Default)]
pub struct Ends(VecDeque<(Offset, Instant)>);

impl Ends {
    /// Since when the record at `first`, which was just read, has been durable; the log ends at `end` now.
    pub fn durable_since(&mut self, first: Offset, end: Offset) -> Instant {
        let now = Instant::now();
        while self.0.front().is_some_and(|(end, _)| *end <= first) {
            self.0.pop_front();
        }
        let since = self.0.front().map_or(now, |(_, at)| *at);
        if self.0.len() < ENDS && self.0.back().is_none_or(|(last, _)| *last < end) {
            self.0.push_back((end, now));
        }
        since
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_as_old_as_the_end_that_was_seen_beyond_it() {
        let (mut ends, began) = (Ends::default(), Instant::now());
        assert_eq!(ends.durable_since(Offset(0), Offset(10)), began);
        advance(Duration::from_secs(1)).await;
        assert_eq!(ends.durable_since(Offset(5), Offset(20)), began);
        advance(Duration::from_secs(1)).await;
        let second = began + Duration::from_secs(1);
        assert_eq!(ends.durable_since(Offset(10), Offset(20)), second);
        assert_eq!(ends.durable_since(Offset(20), Offset(21)), Instant::now());
    }
}
