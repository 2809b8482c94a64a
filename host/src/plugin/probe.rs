//! Tries a version before it may serve: one harmless call of each role, on an instance that is then thrown away.
//!
//! Timers are not tried: a plugin may rely on being called only with timers that it set.

use std::sync::Arc;
use std::time::Duration;

use super::guest::Guest;
use super::{Calls, Fault, FormatItem, Instance, Manifest, Message, TextBody};

const TEXT: &str = "Hello, is anybody here?";

/// # Errors
/// The first role's fault.
pub(super) fn probe(mut guest: Guest, manifest: &Manifest) -> Result<(), Fault> {
    guest.serve(Arc::new(Nobody));
    let message = Message {
        room: 1,
        sender: 1,
        sequence: 1,
        time_ms: 1_700_000_000_000,
        text: TEXT.into(),
    };
    let item = FormatItem {
        room: 1,
        sender: 1,
        body: TextBody::Plain(TEXT.into()),
    };
    if manifest.roles.moderation {
        guest.moderate(std::slice::from_ref(&message))?;
    }
    if let Some(command) = manifest.commands.first() {
        // Either answer will do: most commands want arguments.
        let _ = guest.run(&command.name, "", &message)?;
    }
    if manifest.roles.formatting {
        guest.format(std::slice::from_ref(&item))?;
    }
    if manifest.roles.review {
        guest.review(std::slice::from_ref(&item))?;
    }
    Ok(())
}

/// Whom a version asks while it is tried: an empty room that forgets everything.
struct Nobody;

impl Calls for Nobody {
    fn state_get(&self, _plugin: &str, _at: u32, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn state_put(
        &self,
        _plugin: &str,
        _at: u32,
        _key: &str,
        _value: Option<Vec<u8>>,
        _ttl: Option<Duration>,
    ) -> Result<(), String> {
        Ok(())
    }

    fn state_add(
        &self,
        _plugin: &str,
        _at: u32,
        _key: &str,
        by: i64,
        _ttl: Option<Duration>,
    ) -> Result<i64, String> {
        Ok(by)
    }

    fn person_name(&self, _person: u64) -> String {
        String::new()
    }

    fn room_name(&self, _room: u64) -> String {
        String::new()
    }

    fn members(&self, _room: u64, _limit: u32) -> Vec<u64> {
        Vec::new()
    }

    fn commands(&self) -> Vec<(String, String, String)> {
        Vec::new()
    }
}
