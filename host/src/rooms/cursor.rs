//! A cursor: one reader's place in one channel. It takes all that is ready at each wake, and reads from the store while
//! it is behind.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;

use super::channel::Channel;
use super::ring::Taken;
use crate::state::ids::Sequence;
use crate::state::store::{Direction, Entries, Store, StoreError};

/// Events that are read from the store at once.
const PAGE: u64 = 256;

/// See the module.
pub struct Cursor {
    channel: Arc<Channel>,
    store: Arc<dyn Store>,
    next: Sequence,
    presence_seen: u64,
    /// The channel's version at the last look that found nothing, and who it will wake.
    idle_at: Option<(u64, Waker)>,
    reading: Option<BoxFuture<'static, Result<Entries, StoreError>>>,
    with_presence: bool,
}

/// What a cursor gives.
#[derive(Debug)]
pub enum Given {
    /// Frames, with how many events are in them.
    Frames(Bytes, u64),
    /// The events from this number on are no longer kept.
    Gone(Sequence),
    /// The store failed; look again later.
    Failed(StoreError),
}

impl Cursor {
    /// Reads from `next` on.
    #[must_use]
    pub fn new(
        channel: Arc<Channel>,
        store: Arc<dyn Store>,
        next: Sequence,
        with_presence: bool,
    ) -> Self {
        Self {
            presence_seen: channel.presence_version(),
            channel,
            store,
            next,
            idle_at: None,
            reading: None,
            with_presence,
        }
    }

    /// What it follows.
    #[must_use]
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// The next number it will give.
    #[must_use]
    pub fn next(&self) -> Sequence {
        self.next
    }

    /// Gives what is ready.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Given> {
        loop {
            if let Some(reading) = self.reading.as_mut() {
                let Poll::Ready(read) = reading.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.reading = None;
                return Poll::Ready(self.page(read));
            }
            // Woken for another channel of the same session: nothing to do here, and the waker is still registered.
            if let Some((version, waker)) = &self.idle_at
                && *version == self.channel.version()
                && waker.will_wake(cx.waker())
            {
                return Poll::Pending;
            }
            let seen = if self.with_presence {
                self.presence_seen
            } else {
                u64::MAX
            };
            let found = self.channel.look(self.next, seen, cx.waker());
            match found.taken {
                Taken::Frames(bytes, after) => {
                    self.idle_at = None;
                    let count = after.0 - self.next.0;
                    self.next = after;
                    return Poll::Ready(Given::Frames(bytes, count));
                }
                Taken::Behind => {
                    let to = Sequence(self.next.0.saturating_add(PAGE));
                    let (from, to) = self.channel.source().range(self.next, to);
                    let limit = usize::try_from(PAGE).unwrap_or(usize::MAX);
                    self.reading =
                        Some(self.store.range_later(from, to, limit, Direction::Forward));
                }
                Taken::Nothing => {
                    if let Some((version, frame)) = found.presence {
                        self.presence_seen = version;
                        return Poll::Ready(Given::Frames(frame, 0));
                    }
                    self.idle_at = Some((found.version, cx.waker().clone()));
                    return Poll::Pending;
                }
            }
        }
    }

    fn page(&mut self, read: Result<Entries, StoreError>) -> Given {
        let entries = match read {
            Ok(entries) => entries,
            Err(error) => return Given::Failed(error),
        };
        let mut frames = BytesMut::new();
        let mut count = 0;
        for (key, value) in entries {
            // Dense, or the beginning has been trimmed away.
            let number = crate::state::keys::number_at(&key, key.len().saturating_sub(8));
            if number != self.next.0 + count {
                break;
            }
            frames.extend_from_slice(&value);
            count += 1;
        }
        if count == 0 {
            return Given::Gone(self.next);
        }
        self.next = Sequence(self.next.0 + count);
        Given::Frames(frames.freeze(), count)
    }
}
