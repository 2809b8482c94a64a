//! The journal of the simulation: one for all hosts, durable where it says so, and faulty wherever its contract lets it.
//!
//! What was appended waits until it is synced; a loss of power takes what waits, and may leave a piece of it. What is
//! synced is never lost, is seen by all, and is kept here for the checker also after it was trimmed.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use chat_host::journal::{AppendError, Appending, Entry, Journal, Log, ReadError};
use chat_host::state::ids::{Offset, Partition};
use chat_host::state::memory::MemoryStore;
use chat_host::state::store::{Batch, Direction, Entries, Store};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{Dice, Trouble};

pub type Place = (Partition, Log);

/// A defect that a test plants; `usize` is the host.
pub enum Plant {
    /// What becomes of a record as it lands.
    Landing(Landing),
    /// What a host gets that reads a record.
    Reading(Reading),
}

type Landing = Box<dyn FnMut(Place, usize, Bytes) -> Vec<Bytes> + Send>;
type Reading = Box<dyn FnMut(Place, usize, &Entry) -> Bytes + Send>;

/// What all hosts share.
pub struct Disk(Mutex<Inner>);

struct Inner {
    dice: Dice,
    trouble: Trouble,
    is_down: bool,
    /// Nothing is asked any more, and what is late never comes.
    is_closed: bool,
    logs: BTreeMap<Place, SimLog>,
    /// How far behind a host reads a partition's outcomes.
    lags: BTreeMap<(usize, Partition), Duration>,
    state: MemoryStore,
    plant: Option<Plant>,
    /// All that landed, as one number.
    trace: u64,
}

#[derive(Default)]
struct SimLog {
    records: BTreeMap<Offset, (Bytes, Option<Instant>)>,
    next: Offset,
    oldest: Offset,
    waiting: Vec<Waker>,
    /// Appended and not yet synced, in order.
    pending: VecDeque<Write>,
    all: Vec<Entry>,
}

struct Write {
    host: usize,
    at: Instant,
    records: Vec<Bytes>,
    /// How many of the records get there.
    landing: usize,
    /// What its writer is told, and how long after it is there.
    told: (Result<(), AppendError>, Duration),
    tell: oneshot::Sender<Result<(), AppendError>>,
}

fn unknown(what: &str) -> Result<(), AppendError> {
    Err(AppendError::Unknown(what.into()))
}

impl Disk {
    pub fn new(dice: Dice, partitions: u16, trouble: Trouble, plant: Option<Plant>) -> Arc<Self> {
        let logs = (0..partitions)
            .flat_map(|p| Log::ALL.map(|log| ((Partition(p), log), SimLog::default())))
            .collect();
        Arc::new(Self(Mutex::new(Inner {
            dice,
            trouble,
            is_down: false,
            is_closed: false,
            logs,
            lags: BTreeMap::new(),
            state: MemoryStore::default(),
            plant,
            trace: 0xcbf2_9ce4_8422_2325,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// As one host sees it.
    pub fn handle(self: &Arc<Self>, host: usize) -> Arc<SimJournal> {
        Arc::new(SimJournal {
            disk: self.clone(),
            host,
        })
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
    }

    /// Adds to the trace what somebody saw.
    pub fn note(&self, what: &[u8]) {
        self.lock().note(what);
    }

    pub fn trace(&self) -> u64 {
        self.lock().trace
    }

    /// Everything that ever landed, trimmed or not.
    pub fn all(&self, place: Place) -> Vec<Entry> {
        self.lock().logs[&place].all.clone()
    }

    pub fn end(&self, place: Place) -> Offset {
        self.lock().logs[&place].next
    }

    pub fn oldest(&self, place: Place) -> Offset {
        self.lock().logs[&place].oldest
    }

    /// Forgets the end of a log, which nothing that keeps the contract does.
    pub fn cut(&self, place: Place, from: Offset) {
        let mut inner = self.lock();
        let log = inner.logs.get_mut(&place).unwrap();
        log.records.split_off(&from);
        log.all.retain(|entry| entry.offset < from);
        log.next = from;
    }

    pub fn set_lag(&self, host: usize, partition: Partition, lag: Duration) {
        let mut inner = self.lock();
        inner.lags.insert((host, partition), lag);
        inner.wake_all();
    }

    /// The power fails: of what waits, the beginning may survive.
    pub fn lose_power(self: &Arc<Self>) {
        let mut told = Vec::new();
        {
            let mut inner = self.lock();
            inner.is_down = true;
            let places: Vec<Place> = inner.logs.keys().copied().collect();
            for place in places {
                let pending = std::mem::take(&mut inner.logs.get_mut(&place).unwrap().pending);
                let mut surviving = inner.dice.index(pending.len() + 1);
                for write in pending {
                    let landing = match surviving {
                        0 => 0,
                        // The last one that survives is torn.
                        1 => inner.dice.index(write.landing + 1),
                        _ => write.landing,
                    };
                    surviving = surviving.saturating_sub(1);
                    let landed = &write.records[..landing.min(write.records.len())];
                    inner.land(place, write.host, landed);
                    told.push(write.tell);
                }
            }
            inner.wake_all();
        }
        for tell in told {
            tell.send(unknown("the power failed")).ok();
        }
    }

    /// Takes no more requests.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    pub fn restore_power(&self) {
        let mut inner = self.lock();
        inner.is_down = false;
        inner.wake_all();
    }

    fn append(
        self: &Arc<Self>,
        host: usize,
        place: Place,
        records: Vec<Bytes>,
    ) -> Result<Appending, AppendError> {
        let (tell, appending) = oneshot::channel();
        let mut inner = self.lock();
        let trouble = inner.trouble;
        let is_closed = inner.is_closed && place.1 == Log::Ingress;
        if inner.is_down || is_closed || inner.dice.chance(trouble.refused) {
            return Err(AppendError::Refused("it is down".into()));
        }
        let now = Instant::now();
        let mut wait = inner.dice.millis(0, 4);
        if inner.dice.chance(trouble.slow) {
            wait = inner.dice.millis(50, 20_000);
        }
        let mut told = (Ok(()), Duration::ZERO);
        if inner.dice.chance(trouble.slow) {
            // Durable long before its writer hears of it; past a minute a gateway no longer relies on it.
            told.1 = inner.dice.millis(5, 80_000);
        }
        let mut landing = records.len();
        if inner.dice.chance(trouble.lost) {
            (landing, told) = (0, (unknown("lost"), wait));
        } else if inner.dice.chance(trouble.torn) {
            landing = inner.dice.index(records.len() + 1);
            told = (unknown("torn"), wait);
        } else if inner.dice.chance(trouble.unknown) {
            told = (unknown("timed out"), inner.dice.millis(0, 3_000));
        } else if inner.dice.chance(trouble.late) {
            landing = 0;
            told = (unknown("timed out"), wait);
            let after = inner.dice.pick(&[100, 1_000, 5_000, 20_000, 4_000_000]);
            let after = inner.dice.millis(1, after);
            self.land_later(host, place, records.clone(), after);
        } else if inner.dice.chance(trouble.doubled) {
            let after = inner.dice.pick(&[5, 500, 10_000]);
            let after = wait + inner.dice.millis(0, after);
            self.land_later(host, place, records.clone(), after);
        }
        let log = inner.logs.get_mut(&place).unwrap();
        let at = (now + wait).max(log.pending.back().map_or(now, |last| last.at));
        log.pending.push_back(Write {
            host,
            at,
            records,
            landing,
            told,
            tell,
        });
        drop(inner);
        let disk = self.clone();
        tokio::spawn(async move {
            sleep_until(at).await;
            disk.sync(place);
        });
        Ok(appending)
    }

    fn land_later(
        self: &Arc<Self>,
        host: usize,
        place: Place,
        records: Vec<Bytes>,
        after: Duration,
    ) {
        let disk = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            let mut inner = disk.lock();
            if !inner.is_down && (place.1 == Log::Outcomes || !inner.is_closed) {
                inner.land(place, host, &records);
            }
        });
    }

    /// Makes durable what is due.
    fn sync(&self, place: Place) {
        let mut told = Vec::new();
        {
            let mut inner = self.lock();
            let now = Instant::now();
            loop {
                let log = inner.logs.get_mut(&place).unwrap();
                if log.pending.front().is_none_or(|write| write.at > now) {
                    break;
                }
                let write = log.pending.pop_front().unwrap();
                inner.land(place, write.host, &write.records[..write.landing]);
                told.push((write.tell, write.told));
            }
        }
        for (tell, (result, after)) in told {
            if after.is_zero() {
                tell.send(result).ok();
            } else {
                tokio::spawn(async move {
                    sleep(after).await;
                    tell.send(result).ok();
                });
            }
        }
    }

    fn poll_read(
        self: &Arc<Self>,
        host: usize,
        place: Place,
        from: Offset,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<Entry>, ReadError>> {
        let mut inner = self.lock();
        if inner.is_down {
            return Poll::Ready(Err(ReadError::Unavailable("it is down".into())));
        }
        let lag = match place.1 {
            Log::Outcomes => inner.lags.get(&(host, place.0)).copied(),
            Log::Ingress => None,
        };
        let now = Instant::now();
        let log = inner.logs.get_mut(&place).unwrap();
        if from < log.oldest || from > log.next {
            return Poll::Ready(Err(ReadError::OutOfRange {
                asked: from,
                oldest: log.oldest,
                end: log.next,
            }));
        }
        let mut entries = Vec::new();
        let mut size = 0;
        let mut wait = None;
        for (offset, (record, since)) in log.records.range(from..) {
            if size >= bytes {
                break;
            }
            if let (Some(lag), Some(since)) = (lag, since)
                && *since + lag > now
            {
                wait = Some(*since + lag);
                break;
            }
            size += record.len().max(1);
            entries.push(Entry {
                offset: *offset,
                bytes: record.clone(),
            });
        }
        if !entries.is_empty() {
            if let Some(Plant::Reading(plant)) = inner.plant.as_mut() {
                for entry in &mut entries {
                    entry.bytes = plant(place, host, entry);
                }
            }
            return Poll::Ready(Ok(entries));
        }
        match wait {
            Some(until) => {
                let waker = cx.waker().clone();
                tokio::spawn(async move {
                    sleep_until(until).await;
                    waker.wake();
                });
            }
            None if log.waiting.iter().any(|w| w.will_wake(cx.waker())) => {}
            None => log.waiting.push(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Inner {
    fn land(&mut self, place: Place, host: usize, records: &[Bytes]) {
        for record in records {
            let landing = match self.plant.as_mut() {
                Some(Plant::Landing(plant)) => plant(place, host, record.clone()),
                _ => vec![record.clone()],
            };
            for record in landing {
                if self.dice.chance(self.trouble.hole) {
                    let skipped = self.dice.between(1, 3);
                    self.logs.get_mut(&place).unwrap().next.0 += skipped;
                }
                self.note(&record);
                let log = self.logs.get_mut(&place).unwrap();
                let offset = log.next;
                log.next = offset.next();
                log.all.push(Entry {
                    offset,
                    bytes: record.clone(),
                });
                log.records.insert(offset, (record, Some(Instant::now())));
            }
        }
        let log = self.logs.get_mut(&place).unwrap();
        for waker in std::mem::take(&mut log.waiting) {
            waker.wake();
        }
    }

    fn note(&mut self, what: &[u8]) {
        for byte in what {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn wake_all(&mut self) {
        for log in self.logs.values_mut() {
            for waker in std::mem::take(&mut log.waiting) {
                waker.wake();
            }
        }
    }
}

/// One host's way to the journal.
pub struct SimJournal {
    disk: Arc<Disk>,
    host: usize,
}

impl SimJournal {
    async fn put_state_later(&self, batch: Batch) -> Result<(), AppendError> {
        let (wait, fate) = {
            let mut inner = self.disk.lock();
            if inner.is_down {
                return Err(AppendError::Refused("it is down".into()));
            }
            let often = inner.trouble.checkpoint;
            let fate = inner.dice.chance(often).then(|| inner.dice.index(2));
            (inner.dice.millis(0, 30), fate)
        };
        match fate {
            None => {}
            Some(0) => {
                sleep(wait).await;
                return unknown("lost");
            }
            // A checkpoint that gets there long after its writer gave it up.
            Some(_) => {
                let disk = self.disk.clone();
                tokio::spawn(async move {
                    sleep(wait * 500).await;
                    let state = disk.lock().state.clone();
                    state.apply(batch).unwrap();
                });
                return unknown("timed out");
            }
        }
        sleep(wait).await;
        let state = self.disk.lock().state.clone();
        state.apply(batch).unwrap();
        Ok(())
    }
}

impl Journal for SimJournal {
    fn partitions(&self) -> u16 {
        let count = self.disk.lock().logs.len() / Log::ALL.len();
        u16::try_from(count).unwrap()
    }

    fn append(
        &self,
        partition: Partition,
        log: Log,
        records: Vec<Bytes>,
    ) -> Result<Appending, AppendError> {
        self.disk.append(self.host, (partition, log), records)
    }

    fn read(
        &self,
        partition: Partition,
        log: Log,
        from: Offset,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, ReadError>> {
        Box::pin(poll_fn(move |cx| {
            self.disk
                .poll_read(self.host, (partition, log), from, bytes, cx)
        }))
    }

    fn end(&self, partition: Partition, log: Log) -> Offset {
        self.disk.end((partition, log))
    }

    fn oldest(&self, partition: Partition, log: Log) -> Offset {
        self.disk.oldest((partition, log))
    }

    fn trim(&self, partition: Partition, log: Log, below: Offset) {
        let mut inner = self.disk.lock();
        let log = inner.logs.get_mut(&(partition, log)).unwrap();
        log.records = log.records.split_off(&below);
        log.oldest = log.oldest.max(below);
    }

    fn put_state(&self, batch: Batch) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(self.put_state_later(batch))
    }

    fn state(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, ReadError> {
        let inner = self.disk.lock();
        if inner.is_down {
            return Err(ReadError::Unavailable("it is down".into()));
        }
        let state: &dyn Store = &inner.state;
        Ok(state.range(from, to, limit, Direction::Forward).unwrap())
    }

    fn is_writable(&self) -> bool {
        !self.disk.lock().is_down
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
