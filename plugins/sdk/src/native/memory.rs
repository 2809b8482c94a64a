//! A host in memory, for unit tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::Host;
use crate::http::{Error, Request, Response};
use crate::log::Level;
use crate::{Command, PersonId, RoomId};

/// A host whose one room remembers everything, with time and randomness set by the test. It forgets nothing by itself:
/// `ttl_ms` is taken and ignored, and so is `at`; `chat-plugin-kit` has a host with rooms that forgets.
/// Any 8 bytes are a counter.
#[derive(Debug, Default)]
pub struct MemoryHost {
    /// What the plugin put.
    pub state: BTreeMap<String, Vec<u8>>,
    /// The people's names.
    pub names: BTreeMap<PersonId, String>,
    /// The rooms' names.
    pub rooms: BTreeMap<RoomId, String>,
    /// The commands of all plugins.
    pub commands: Vec<Command>,
    /// What the plugin logged.
    pub logged: Vec<(Level, String)>,
    /// What services will answer, one after the other; then nobody is there any more.
    pub answers: VecDeque<Result<Response, Error>>,
    /// What the plugin asked of services.
    pub asked: Vec<Request>,
    /// The time, in milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
    /// Where the random numbers begin.
    pub seed: u64,
}

impl MemoryHost {
    /// An empty host, to hand to [`super::with_host`] and to look into afterwards.
    #[must_use]
    pub fn shared() -> Rc<RefCell<Self>> {
        Rc::default()
    }
}

impl Host for MemoryHost {
    fn state_get(&mut self, _at: u32, key: &str) -> Option<Vec<u8>> {
        self.state.get(key).cloned()
    }

    fn state_put(
        &mut self,
        _at: u32,
        key: &str,
        value: Option<&[u8]>,
        _ttl_ms: Option<u64>,
    ) -> Result<(), String> {
        match value {
            Some(value) => self.state.insert(key.into(), value.into()),
            None => self.state.remove(key),
        };
        Ok(())
    }

    fn state_add(
        &mut self,
        _at: u32,
        key: &str,
        by: i64,
        _ttl_ms: Option<u64>,
    ) -> Result<i64, String> {
        let before = match self.state.get(key) {
            None => 0,
            Some(bytes) => <[u8; 8]>::try_from(bytes.as_slice())
                .map(i64::from_le_bytes)
                .map_err(|_| format!("`{key}` is not a counter"))?,
        };
        let sum = before
            .checked_add(by)
            .ok_or_else(|| format!("the counter `{key}` would not fit into 64 bits"))?;
        self.state.insert(key.into(), sum.to_le_bytes().into());
        Ok(sum)
    }

    fn name(&mut self, person: PersonId) -> String {
        self.names.get(&person).cloned().unwrap_or_default()
    }

    fn room(&mut self, room: RoomId) -> String {
        self.rooms.get(&room).cloned().unwrap_or_default()
    }

    fn members(&mut self, _room: RoomId, limit: u32) -> Vec<PersonId> {
        let limit = usize::try_from(limit.min(1_000)).unwrap_or_default();
        self.names.keys().copied().take(limit).collect()
    }

    fn commands(&mut self) -> Vec<Command> {
        self.commands.clone()
    }

    fn http(&mut self, request: Request) -> Result<Response, Error> {
        self.asked.push(request);
        let nobody = || Err(Error::Unreachable("no answer is left".into()));
        self.answers.pop_front().unwrap_or_else(nobody)
    }

    fn log(&mut self, level: Level, text: &str) {
        self.logged.push((level, text.into()));
    }

    fn now_ms(&mut self) -> u64 {
        self.now_ms
    }

    /// SplitMix64: small, well mixed, and the same for the same seed.
    fn random_u64(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
