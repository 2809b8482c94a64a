//! A cursor: one reader's place in one channel. It takes all that is ready at each wake, and reads from the store while
//! it is behind.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;

use super::channel::Channel;
use super::ring::Taken;
use super::wakers::Place;
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
    /// Where it waits, or has waited last.
    place: Option<Place>,
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
            place: None,
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
            let found = self
                .channel
                .look(self.next, seen, &mut self.place, cx.waker());
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

impl Drop for Cursor {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.channel.stop_waiting(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::channel::Source;
    use crate::state::ids::{Partition, PersonId, RoomId};
    use crate::state::memory::MemoryStore;

    fn reader(channel: &Arc<Channel>) -> Cursor {
        let store = Arc::new(MemoryStore::default());
        let mut cursor = Cursor::new(channel.clone(), store, channel.head().next(), true);
        let given = cursor.poll(&mut Context::from_waker(Waker::noop()));
        assert!(given.is_pending(), "{given:?}");
        cursor
    }

    /// A quiet room that people open and close for ever must not grow.
    #[test]
    fn readers_that_go_leave_nothing_behind() {
        for source in [
            Source::Room(RoomId(Partition(0).id(1))),
            Source::Private(Partition(0), PersonId(7)),
        ] {
            let channel = Arc::new(Channel::new(source, "quiet".into(), Sequence(0)));
            let stays = reader(&channel);
            for _ in 0..1000 {
                drop((reader(&channel), reader(&channel)));
            }
            assert_eq!(channel.waiting(), (1, 3), "{source:?}");
            drop(stays);
            assert_eq!(channel.waiting().0, 0, "{source:?}");
        }
    }

    #[test]
    fn a_reader_that_is_polled_again_and_again_waits_once() {
        let source = Source::Room(RoomId(Partition(0).id(1)));
        let channel = Arc::new(Channel::new(source, "lobby".into(), Sequence(0)));
        let mut reader = reader(&channel);
        for published in 1..=3 {
            channel.publish(Sequence(published), &[Bytes::from_static(b"event")]);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(
                reader.poll(&mut cx),
                Poll::Ready(Given::Frames(_, 1))
            ));
            // Another waker each time: the task has moved.
            let other = futures_util::task::noop_waker();
            for waker in [Waker::noop(), &other] {
                assert!(reader.poll(&mut Context::from_waker(waker)).is_pending());
            }
            assert_eq!(channel.waiting(), (1, 1));
        }
    }
}
