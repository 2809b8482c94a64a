//! What stands for the host natively.

use std::cell::RefCell;
use std::rc::Rc;

use crate::http::{Error, Request, Response};
use crate::log::Level;
use crate::{Command, PersonId, RoomId};

/// The imports of a plugin, for one instance. `at` is the position in the batch of the message that asks.
pub trait Host {
    /// What is under `key`, if anything is.
    fn state_get(&mut self, at: u32, key: &str) -> Option<Vec<u8>>;

    /// Puts a value; none removes. Without `ttl_ms` it is kept.
    ///
    /// # Errors
    /// A text that names the limit it would break.
    fn state_put(
        &mut self,
        at: u32,
        key: &str,
        value: Option<&[u8]>,
        ttl_ms: Option<u64>,
    ) -> Result<(), String>;

    /// Adds to a counter: 8 bytes, little-endian, signed, from 0.
    ///
    /// # Errors
    /// A text that says what is there instead, or that the sum does not fit.
    fn state_add(
        &mut self,
        at: u32,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, String>;

    /// Empty where there is no such person.
    fn name(&mut self, person: PersonId) -> String;

    /// Empty where there is no such room.
    fn room(&mut self, room: RoomId) -> String;

    /// Who is in a room now, in no order; at most `limit` and at most 1,000.
    fn members(&mut self, room: RoomId, limit: u32) -> Vec<PersonId>;

    /// Every command of every loaded plugin, by name.
    fn commands(&mut self) -> Vec<Command>;

    /// Answers a request to a service outside. A host that says nothing of it has none.
    ///
    /// # Errors
    /// Why there is no answer.
    fn http(&mut self, _request: Request) -> Result<Response, Error> {
        Err(Error::Unreachable("there are no services here".into()))
    }

    /// Takes a line of the plugin's log.
    fn log(&mut self, level: Level, text: &str);

    /// Milliseconds since 1970-01-01 UTC.
    fn now_ms(&mut self) -> u64;

    /// 64 random bits; a simulation's come from its seed.
    fn random_u64(&mut self) -> u64;
}

/// A host that its owner and the plugin on the same thread both hold.
pub type SharedHost = Rc<RefCell<dyn Host>>;

thread_local! {
    static INSTALLED: RefCell<Option<SharedHost>> = const { RefCell::new(None) };
}

/// Runs `call` with `host` as what plugins on this thread reach, and puts back what was there before, also after a
/// panic. The host must not be borrowed meanwhile.
pub fn with_host<R>(host: SharedHost, call: impl FnOnce() -> R) -> R {
    let _scope = Scope {
        before: INSTALLED.replace(Some(host)),
    };
    call()
}

/// Asks the installed host, if there is one.
pub(crate) fn installed<R>(ask: impl FnOnce(&mut (dyn Host + 'static)) -> R) -> Option<R> {
    let host = INSTALLED.with_borrow(Clone::clone)?;
    let answer = ask(&mut *host.borrow_mut());
    Some(answer)
}

struct Scope {
    before: Option<SharedHost>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        INSTALLED.set(self.before.take());
    }
}
