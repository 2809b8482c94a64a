//! 5. It is delivered: rooms tail the outcome log, keep its history, and hand each event to the members here.
//!
//! Knows the outcome log, the store and channels; never calls the pipeline, and does not know who writes the log.

pub mod channel;
pub mod cursor;
mod dead_letters;
pub mod history;
mod memories;
mod rebuild;
pub mod ring;
mod tail;
pub mod waiting;
pub mod wakers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::channel::{Channel, Source};
pub use self::dead_letters::LetterId;
pub use self::memories::{Contents, Memory};
pub use self::tail::{Tail, TailObserver};
use self::waiting::Waiting;
use crate::pipeline::Directory;
use crate::proto::log::v1::{NameState, PartitionState, RoomState};
use crate::state::ids::{Partition, PersonId, RoomId, Sequence};
use crate::state::keys;
use crate::state::name::{PersonName, RoomName};
use crate::state::store::{Store, StoreError};
use crate::state::view::View;

/// How often members are told who is there.
const ANNOUNCE: Duration = Duration::from_secs(1);

/// All rooms of this host.
pub struct Rooms {
    partitions: u16,
    store: Arc<dyn Store>,
    /// Channels that somebody follows; the rest are in the store alone.
    channels: Mutex<BTreeMap<Source, Weak<Channel>>>,
    /// Where each partition's tail has come to.
    folded: Vec<watch::Sender<Arc<PartitionState>>>,
    waiting: Waiting,
    /// A tail can't fold on: part of what is decided is not delivered here.
    standing_still: AtomicBool,
}

impl Rooms {
    /// The rooms in a store.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn open(store: Arc<dyn Store>, partitions: u16) -> Result<Self, StoreError> {
        let mut folded = Vec::new();
        for partition in (0..partitions).map(Partition) {
            let view = View::of(store.clone());
            let fold = crate::state::fold::Fold::load(partition, &view)?;
            folded.push(watch::Sender::new(Arc::new(fold.state().clone())));
        }
        Ok(Self {
            partitions,
            store,
            channels: Mutex::default(),
            folded,
            waiting: Waiting::default(),
            standing_still: AtomicBool::new(false),
        })
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Senders who wait for what becomes of their messages.
    #[must_use]
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Where a partition's tail is.
    #[must_use]
    pub fn folded(&self, partition: Partition) -> Option<watch::Receiver<Arc<PartitionState>>> {
        Some(self.folded.get(usize::from(partition.0))?.subscribe())
    }

    /// A partition's sender of its position, for its tail.
    pub(crate) fn position(
        &self,
        partition: Partition,
    ) -> Option<&watch::Sender<Arc<PartitionState>>> {
        self.folded.get(usize::from(partition.0))
    }

    /// Whether every partition is followed. One that stands still does so until the host is started again.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.standing_still.load(Ordering::Relaxed)
    }

    /// A partition's tail can't fold on.
    pub(crate) fn stand_still(&self) {
        self.standing_still.store(true, Ordering::Relaxed);
    }

    /// Where a room's messages go.
    #[must_use]
    pub fn partition_of_room(&self, name: &RoomName) -> Partition {
        Partition::of(name.as_str(), self.partitions)
    }

    /// Where a name is claimed.
    #[must_use]
    pub fn partition_of_name(&self, name: &PersonName) -> Partition {
        Partition::of(&name.key(), self.partitions)
    }

    /// A room by name.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn room(&self, name: &RoomName) -> Result<Option<RoomState>, StoreError> {
        let view = View::of(self.store.clone());
        let partition = self.partition_of_room(name);
        match view.get(&keys::room_by_name(partition, name.as_str()))? {
            Some(id) => view.read(&keys::room(RoomId(keys::number_at(&id, 0)))),
            None => Ok(None),
        }
    }

    /// Who holds a name.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn name(&self, name: &PersonName) -> Result<Option<NameState>, StoreError> {
        let view = View::of(self.store.clone());
        view.read(&keys::name(self.partition_of_name(name), &name.key()))
    }

    /// How many rooms there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.folded
            .iter()
            .map(|folded| u64::from(folded.borrow().rooms))
            .sum()
    }

    /// The channel of a room, shared by all who follow it.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn room_channel(&self, room: RoomId) -> Result<Arc<Channel>, StoreError> {
        self.channel(Source::Room(room), |view| {
            let state: Option<RoomState> = view.read(&keys::room(room))?;
            let state = state.unwrap_or_default();
            Ok((state.name, Sequence(state.head)))
        })
    }

    /// The channel of a person's private events in a partition.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn private_channel(
        &self,
        partition: Partition,
        person: PersonId,
    ) -> Result<Arc<Channel>, StoreError> {
        self.channel(Source::Private(partition, person), |view| {
            let head = view.get(&keys::private_head(partition, person))?;
            let head = head.map_or(0, |bytes| keys::number_at(&bytes, 0));
            Ok((String::new(), Sequence(head)))
        })
    }

    /// The channel where somebody follows it already.
    #[must_use]
    pub fn open_channel(&self, source: Source) -> Option<Arc<Channel>> {
        self.channels.lock().get(&source)?.upgrade()
    }

    fn channel(
        &self,
        source: Source,
        load: impl FnOnce(&View) -> Result<(String, Sequence), StoreError>,
    ) -> Result<Arc<Channel>, StoreError> {
        // The lock is held over the load: a publication in between would be missed. (The tail applies to the store
        // before it publishes, so what it publishes later is either in the head that was read, or comes through.)
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(&source).and_then(Weak::upgrade) {
            return Ok(channel);
        }
        let (name, head) = load(&View::of(self.store.clone()))?;
        let channel = Arc::new(Channel::new(source, name, head));
        channels.insert(source, Arc::downgrade(&channel));
        Ok(channel)
    }

    /// Tells members who is there, about once a second, until `drain`; forgets channels that nobody follows.
    pub async fn announce(&self, drain: CancellationToken) {
        let mut ticks = tokio::time::interval(ANNOUNCE);
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let followed: Vec<Arc<Channel>> = {
                let mut channels = self.channels.lock();
                channels.retain(|_, channel| channel.strong_count() > 0);
                channels.values().filter_map(Weak::upgrade).collect()
            };
            for channel in followed {
                if matches!(channel.source(), Source::Room(_)) {
                    channel.announce();
                }
            }
        }
    }
}

impl Directory for Rooms {
    fn members(&self, room: u64, limit: usize) -> Vec<PersonId> {
        self.open_channel(Source::Room(RoomId(room)))
            .map(|channel| channel.members("", limit).0)
            .unwrap_or_default()
            .into_iter()
            .map(|(_, person)| person)
            .collect()
    }
}
