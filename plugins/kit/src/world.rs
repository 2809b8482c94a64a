//! The host in memory that cases are played on: rooms that remember and forget, people, timers, a clock that stands still.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_plugin::log::Level;
use chat_plugin::native::Host;
use chat_plugin::{Command, Effect, Memory, PersonId, Remembered, RoomId, Timer};

use crate::case::{BEGIN_MS, Case};
use crate::contract;
use crate::file::Entry;

/// What a plugin reaches in one case. Clones are the same world.
#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<Inner>>);

#[derive(Debug, Clone)]
struct Inner {
    kept: Kept,
    people: Vec<String>,
    rooms: Vec<String>,
    commands: Vec<Command>,
    /// Where and when the messages of the call at hand are; none outside of calls that have state.
    call: Vec<(RoomId, u64)>,
    /// The first thing that the interface does not allow.
    misused: Option<String>,
}

/// What a failed call must not change.
#[derive(Debug, Clone, Default)]
struct Kept {
    /// By room and key, with when it is forgotten.
    state: BTreeMap<(RoomId, String), (Vec<u8>, Option<u64>)>,
    /// By room and key, with when it is due.
    timers: BTreeMap<(RoomId, String), (u64, Timer)>,
    seed: u64,
}

/// A state to come back to.
#[derive(Debug)]
pub(crate) struct Before(Kept);

impl World {
    pub(crate) fn of(case: &Case) -> Self {
        let state = case.given.iter().filter_map(|(at, entry)| {
            let bytes = match entry {
                Entry::Json(value) => value.to_string().into_bytes(),
                Entry::Counter(count) => count.to_le_bytes().into(),
                Entry::Absent => return None,
            };
            Some((at.clone(), (bytes, None)))
        });
        World(Arc::new(Mutex::new(Inner {
            kept: Kept {
                state: state.collect(),
                timers: BTreeMap::new(),
                seed: case.seed,
            },
            people: case.people.clone(),
            rooms: case.rooms.clone(),
            commands: Vec::new(),
            call: Vec::new(),
            misused: None,
        })))
    }

    pub(crate) fn set_commands(&self, mut commands: Vec<Command>) {
        commands.sort();
        self.inner().commands = commands;
    }

    /// The next call is about these messages.
    pub(crate) fn begin(&self, call: Vec<(RoomId, u64)>) -> Before {
        let mut inner = self.inner();
        inner.call = call;
        Before(inner.kept.clone())
    }

    /// The call failed: what it wrote never was.
    pub(crate) fn undo(&self, before: Before) {
        self.inner().kept = before.0;
    }

    /// What the plugin did since the last time that the interface does not allow.
    pub(crate) fn take_misuse(&self) -> Option<String> {
        self.inner().misused.take()
    }

    /// Sets and cancels timers as the effects say.
    pub(crate) fn take_effects(&self, room: RoomId, time_ms: u64, effects: &[Effect]) {
        let timers = &mut self.inner().kept.timers;
        for effect in effects {
            match effect {
                Effect::Schedule(timer) => {
                    let delay_ms = u64::try_from(timer.delay.as_millis()).unwrap_or(u64::MAX);
                    let due_ms = time_ms.saturating_add(delay_ms);
                    timers.insert((room, timer.key.clone()), (due_ms, timer.clone()));
                }
                Effect::Cancel(key) => {
                    timers.remove(&(room, key.clone()));
                }
                _ => {}
            }
        }
    }

    /// Takes the timer `key`, which must be due.
    pub(crate) fn take_due(&self, room: RoomId, key: &str, time_ms: u64) -> Result<Timer, String> {
        let timers = &mut self.inner().kept.timers;
        let at = (room, key.to_owned());
        match timers.get(&at) {
            None => Err(format!("no timer `{key}` is set in this room")),
            Some((due_ms, _)) if *due_ms > time_ms => Err(format!(
                "the timer `{key}` is due {} ms after the case's begin, and this is {} ms after it",
                due_ms.saturating_sub(BEGIN_MS),
                time_ms.saturating_sub(BEGIN_MS)
            )),
            Some(_) => timers
                .remove(&at)
                .map(|(_, timer)| timer)
                .ok_or_else(|| "the timer is gone".into()),
        }
    }

    /// All that is remembered, by room.
    pub(crate) fn memories(&self) -> BTreeMap<RoomId, Memory> {
        let inner = self.inner();
        let mut memories: BTreeMap<RoomId, Memory> = BTreeMap::new();
        for ((room, key), (value, expires_ms)) in &inner.kept.state {
            let entry = Remembered {
                value: value.clone(),
                expires_ms: *expires_ms,
            };
            memories
                .entry(*room)
                .or_default()
                .insert(key.clone(), entry);
        }
        memories
    }

    /// From now on this is remembered in a room. An error names a bound that is broken.
    pub(crate) fn set_memory(&self, room: RoomId, memory: Memory) -> Result<(), String> {
        let mut inner = self.inner();
        inner.kept.state.retain(|(of, _), _| *of != room);
        for (key, entry) in memory {
            contract::entry(&key, &entry.value)?;
            let value = (entry.value, entry.expires_ms);
            inner.kept.state.insert((room, key), value);
        }
        Ok(())
    }

    /// All that is remembered at that time.
    pub(crate) fn remembered(&self, time_ms: u64) -> BTreeMap<(RoomId, String), Vec<u8>> {
        let inner = self.inner();
        let state = inner.kept.state.iter();
        state
            .filter(|(_, (_, forgotten_ms))| forgotten_ms.is_none_or(|at| at > time_ms))
            .map(|(at, (bytes, _))| (at.clone(), bytes.clone()))
            .collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A plugin that panicked is judged by its failure; what it left behind is undone.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn at(&mut self, at: u32) -> Result<(RoomId, u64), String> {
        let found = usize::try_from(at).ok().and_then(|at| self.call.get(at));
        found.copied().ok_or_else(|| {
            let misuse = "it asked for state outside of a call that has state (`describe`, `start` and `format` have none)";
            self.misused.get_or_insert_with(|| misuse.into());
            misuse.into()
        })
    }

    fn read(&self, room: RoomId, time_ms: u64, key: &str) -> Option<Vec<u8>> {
        let (bytes, forgotten_ms) = self.kept.state.get(&(room, key.to_owned()))?;
        forgotten_ms
            .is_none_or(|at| at > time_ms)
            .then(|| bytes.clone())
    }
}

impl Host for World {
    fn state_get(&mut self, at: u32, key: &str) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        let (room, time_ms) = inner.at(at).ok()?;
        inner.read(room, time_ms, key)
    }

    fn state_put(
        &mut self,
        at: u32,
        key: &str,
        value: Option<&[u8]>,
        ttl_ms: Option<u64>,
    ) -> Result<(), String> {
        let mut inner = self.inner();
        let (room, time_ms) = inner.at(at)?;
        contract::entry(key, value.unwrap_or_default())?;
        let place = (room, key.to_owned());
        match value {
            None => inner.kept.state.remove(&place),
            Some(value) => {
                let forgotten_ms = ttl_ms.map(|ttl_ms| time_ms.saturating_add(ttl_ms));
                inner.kept.state.insert(place, (value.into(), forgotten_ms))
            }
        };
        Ok(())
    }

    fn state_add(
        &mut self,
        at: u32,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, String> {
        let before = self.state_get(at, key);
        let before = match before.as_deref().map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) => i64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(format!("the entry `{key}` is not a counter")),
        };
        let sum = before
            .checked_add(by)
            .ok_or_else(|| format!("the counter `{key}` would overflow"))?;
        self.state_put(at, key, Some(&sum.to_le_bytes()), ttl_ms)?;
        Ok(sum)
    }

    fn name(&mut self, person: PersonId) -> String {
        numbered(&self.inner().people, person.0)
    }

    fn room(&mut self, room: RoomId) -> String {
        numbered(&self.inner().rooms, room.0)
    }

    /// Everybody is in every room.
    fn members(&mut self, _: RoomId, limit: u32) -> Vec<PersonId> {
        let limit = usize::try_from(limit.min(1_000)).unwrap_or_default();
        let people = self.inner().people.len();
        (1_u64..).map(PersonId).take(people.min(limit)).collect()
    }

    fn commands(&mut self) -> Vec<Command> {
        self.inner().commands.clone()
    }

    fn log(&mut self, _: Level, _: &str) {}

    fn now_ms(&mut self) -> u64 {
        BEGIN_MS
    }

    /// SplitMix64: small, well mixed, and the same for the same seed.
    fn random_u64(&mut self) -> u64 {
        let seed = &mut self.inner().kept.seed;
        *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

fn numbered(names: &[String], number: u64) -> String {
    let at = number
        .checked_sub(1)
        .and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| names.get(at)).cloned().unwrap_or_default()
}
