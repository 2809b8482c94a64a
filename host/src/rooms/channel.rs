//! A channel: what a reader follows. A room's events, or one person's private events in one partition.
//!
//! Holds the ring and who waits for it; readers hold a cursor each, and nobody holds a queue for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

use super::ring::{Ring, Taken};
use super::wakers::{Place, Wakers};
use crate::proto::v1::{self, server_frame::Frame};
use crate::state::frame::framed;
use crate::state::ids::{Partition, PersonId, RoomId, Sequence};
use crate::state::keys;

/// Names that a members' frame lists.
const NAMES: usize = 200;

/// What a channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A room's events.
    Room(RoomId),
    /// A person's private events in a partition.
    Private(Partition, PersonId),
}

impl Source {
    /// Where its events are in the store: those with numbers in `from..to`.
    #[must_use]
    pub fn range(self, from: Sequence, to: Sequence) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Room(room) => (keys::event(room, from), keys::event(room, to)),
            Self::Private(partition, person) => (
                keys::private(partition, person, from),
                keys::private(partition, person, to),
            ),
        }
    }
}

/// See the module.
pub struct Channel {
    source: Source,
    name: String,
    inner: Mutex<Inner>,
    /// Moves with each publication and each change of who is there, so that readers can look without the lock.
    version: AtomicU64,
}

struct Inner {
    ring: Ring,
    waiting: Wakers,
    /// Who is here, with how many sessions: a view.
    members: BTreeMap<String, (PersonId, usize)>,
    count: usize,
    changed: bool,
    /// The newest members' frame, and its number.
    presence: (u64, Bytes),
}

/// What a reader finds.
pub struct Found {
    /// Events.
    pub taken: Taken,
    /// The members' frame, where it is newer than the one that was seen.
    pub presence: Option<(u64, Bytes)>,
    /// The channel's version, to be compared at the next look.
    pub version: u64,
}

impl Channel {
    /// A channel whose newest event is `head`.
    #[must_use]
    pub fn new(source: Source, name: String, head: Sequence) -> Self {
        Self {
            source,
            name,
            inner: Mutex::new(Inner {
                ring: Ring::after(head),
                waiting: Wakers::default(),
                members: BTreeMap::new(),
                count: 0,
                changed: false,
                presence: (0, Bytes::new()),
            }),
            version: AtomicU64::new(1),
        }
    }

    /// What it carries.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The room's name; empty for private events.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Moves with each change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The newest event's number.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.inner.lock().ring.head()
    }

    /// Adds events with dense numbers and wakes all who wait.
    pub fn publish(&self, first: Sequence, events: &[Bytes]) {
        let waiting = {
            let mut inner = self.inner.lock();
            inner.ring.publish(first, events);
            self.version.fetch_add(1, Ordering::AcqRel);
            inner.waiting.take()
        };
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// What there is from `next` on. Where there is nothing, `waker` is woken at the next change; `place` is the reader's,
    /// who must [`Channel::stop_waiting`] when it goes.
    #[must_use]
    pub fn look(
        &self,
        next: Sequence,
        presence_seen: u64,
        place: &mut Option<Place>,
        waker: &Waker,
    ) -> Found {
        let mut inner = self.inner.lock();
        let taken = inner.ring.take(next);
        let presence = (inner.presence.0 > presence_seen)
            .then(|| (inner.presence.0, inner.presence.1.clone()));
        if taken == Taken::Nothing && presence.is_none() {
            *place = Some(inner.waiting.wait(*place, waker));
        }
        Found {
            taken,
            presence,
            version: self.version(),
        }
    }

    /// The reader in this place has gone.
    pub fn stop_waiting(&self, place: Place) {
        self.inner.lock().waiting.leave(place);
    }

    /// How many readers wait, and how many places are kept for them.
    #[cfg(test)]
    pub fn waiting(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.waiting.waiting(), inner.waiting.places())
    }

    /// Somebody enters; refused where `limit` sessions are here.
    ///
    /// # Errors
    /// How many are here.
    pub fn enter(&self, name: &str, person: PersonId, limit: usize) -> Result<(), usize> {
        let mut inner = self.inner.lock();
        if inner.count >= limit {
            return Err(inner.count);
        }
        inner.count += 1;
        let sessions = &mut inner
            .members
            .entry(name.to_owned())
            .or_insert((person, 0))
            .1;
        *sessions += 1;
        let new = *sessions == 1;
        inner.changed |= new;
        Ok(())
    }

    /// Somebody leaves.
    pub fn leave(&self, name: &str) {
        let mut inner = self.inner.lock();
        inner.count = inner.count.saturating_sub(1);
        if let Some((_, sessions)) = inner.members.get_mut(name) {
            *sessions = sessions.saturating_sub(1);
            if *sessions == 0 {
                inner.members.remove(name);
                inner.changed = true;
            }
        }
    }

    /// Who is here, by name, after `after`; and how many people there are.
    #[must_use]
    pub fn members(&self, after: &str, limit: usize) -> (Vec<(String, PersonId)>, usize) {
        let inner = self.inner.lock();
        let names = inner
            .members
            .range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            .take(limit)
            .map(|(name, (person, _))| (name.clone(), *person))
            .collect();
        (names, inner.members.len())
    }

    /// Who is here, as a frame shows it.
    #[must_use]
    pub fn members_frame(&self) -> v1::Members {
        let (names, count) = self.members("", NAMES);
        v1::Members {
            room: self.name.clone(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            names: names.into_iter().map(|(name, _)| name).collect(),
        }
    }

    /// Tells all members who is here, if that has changed since the last time.
    pub fn announce(&self) {
        if !std::mem::take(&mut self.inner.lock().changed) {
            return;
        }
        let frame = framed(Frame::Members(self.members_frame()));
        let waiting = {
            let mut inner = self.inner.lock();
            inner.presence = (inner.presence.0 + 1, frame);
            self.version.fetch_add(1, Ordering::AcqRel);
            inner.waiting.take()
        };
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// The number of the newest members' frame.
    #[must_use]
    pub fn presence_version(&self) -> u64 {
        self.inner.lock().presence.0
    }
}
