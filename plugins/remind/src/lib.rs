//! `remind`: reminds people of what they asked for, once.
//!
//! `/remind 10m tea`, `/reminders`, `/remind cancel 1`. Shows timers: each reminder is one, kept by the host, so it fires
//! once, also after a restart. Who asked is whispered to, for what somebody wants to remember is nobody else's business.

mod reminders;
mod span;
#[cfg(test)]
mod tests;

use chat_plugin::{
    Call, Commands, Counter, Effect, Manifest, PersonId, Plugin, RoomId, State, StateError, Timer,
    Timers, Value, directory, log,
};
use serde::{Deserialize, Serialize};

use reminders::{Reminder, Reminders};

/// A person's own.
const REMINDERS: Value<Reminders> = Value::new("reminders");
/// Those of all persons of a room. The host has 1,000 timers for a plugin in a room.
const ALL: Counter = Counter::new("all");
const ALL_MOST: i64 = 900;
const TEXT_BYTES: usize = 500;

const USAGE: &str = "usage: /remind TIME TEXT, e.g. /remind 1h30m tea; /remind cancel NUMBER";

/// What the operator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How many reminders a person may have in a room.
    per_person: u32,
    /// How far ahead they may be.
    days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            per_person: 10,
            days: 30,
        }
    }
}

/// What a timer fires with.
#[derive(Debug, Serialize, Deserialize)]
struct Due {
    person: u64,
    number: u32,
}

struct Remind {
    settings: Settings,
}

impl Plugin for Remind {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("remind", env!("CARGO_PKG_VERSION"))
            .command(
                "remind",
                "TIME TEXT",
                "Reminds you; `cancel NUMBER` does not",
            )
            .command("reminders", "", "Lists what you will be reminded of here")
    }

    fn start(settings: Settings) -> Result<Self, String> {
        let Settings { per_person, days } = settings;
        if !(1..=20).contains(&per_person) {
            return Err(format!("`per_person` is {per_person}; make it 1 to 20"));
        }
        if !(1..=366).contains(&days) {
            return Err(format!("`days` is {days}; make it 1 to 366"));
        }
        Ok(Remind { settings })
    }
}

impl Commands for Remind {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        let mut own = tidied(call).map_err(refused)?;
        let (first, rest) = match call.arguments.split_once(char::is_whitespace) {
            Some((first, rest)) => (first, rest.trim()),
            None => (call.arguments, ""),
        };
        match call.name {
            "reminders" => Ok(vec![Effect::reply(own.shown(call.by.time_ms))]),
            "remind" if first.eq_ignore_ascii_case("cancel") => cancel(call, own, rest),
            "remind" => self.set(call, &mut own, first, rest),
            other => Err(format!("remind has no command `/{other}`; try /help")),
        }
    }
}

impl Timers for Remind {
    fn fired(&mut self, _: RoomId, due: &Timer, state: State) -> Vec<Effect> {
        match told(due, state) {
            Ok(effects) => effects,
            Err(why) => {
                log::warn(format!("the reminder `{}` came to nothing: {why}", due.key));
                Vec::new()
            }
        }
    }
}

chat_plugin::export!(Remind: commands, timers);

impl Remind {
    fn set(
        &self,
        call: Call<'_>,
        own: &mut Reminders,
        after: &str,
        text: &str,
    ) -> Result<Vec<Effect>, String> {
        let Settings { per_person, days } = self.settings;
        let delay = span::parse(after, days)?.ok_or(USAGE)?;
        if text.is_empty() {
            return Err(USAGE.into());
        }
        if text.len() > TEXT_BYTES {
            let bytes = text.len();
            return Err(format!(
                "this text is {bytes} bytes long; make it at most {TEXT_BYTES}"
            ));
        }
        let Some(number) = own.free(per_person) else {
            return Err(format!(
                "you have {per_person} of {per_person} reminders here; /remind cancel NUMBER makes room"
            ));
        };
        if ALL.add(call.state, 1).map_err(refused)? > ALL_MOST {
            // Nothing was set, so nothing is counted.
            ALL.add(call.state, -1).map_err(refused)?;
            return Err(format!(
                "this room has {ALL_MOST} reminders, and no more are allowed; set it in another room"
            ));
        }
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        own.add(Reminder {
            number,
            due_ms: call.by.time_ms.saturating_add(delay_ms),
            text: text.into(),
        });
        keep(own, call.by.sender, call.state).map_err(refused)?;
        let due = Due {
            person: call.by.sender.0,
            number,
        };
        let data = serde_json::to_vec(&due).map_err(|error| error.to_string())?;
        Ok(vec![
            Effect::Schedule(Timer::new(key(call.by.sender, number), delay).with(data)),
            Effect::reply(format!(
                "I will remind you in {} (number {number})",
                span::shown(delay_ms)
            )),
        ])
    }
}

fn cancel(call: Call<'_>, mut own: Reminders, number: &str) -> Result<Vec<Effect>, String> {
    let wrong = "usage: /remind cancel NUMBER; /reminders lists yours";
    let number: u32 = number.parse().map_err(|_| wrong)?;
    let Some(reminder) = own.take(number) else {
        return Err(format!(
            "you have no reminder {number}; /reminders lists yours"
        ));
    };
    ALL.add(call.state, -1).map_err(refused)?;
    keep(&own, call.by.sender, call.state).map_err(refused)?;
    Ok(vec![
        Effect::cancel(key(call.by.sender, number)),
        Effect::reply(format!("I will not remind you of: {}", reminder.text)),
    ])
}

/// What a due timer tells. The reminder goes with it, so that it can't be told twice.
fn told(due: &Timer, state: State) -> Result<Vec<Effect>, String> {
    let Due { person, number } =
        serde_json::from_slice(&due.data).map_err(|error| error.to_string())?;
    let person = PersonId(person);
    let own = REMINDERS.of(person).get(state).map_err(refused)?;
    let mut own = own.unwrap_or_default();
    let reminder = own.take(number).ok_or("it is not there any more")?;
    ALL.add(state, -1).map_err(refused)?;
    keep(&own, person, state).map_err(refused)?;
    let name = directory::name(person).ok_or("its person is not there any more")?;
    Ok(vec![Effect::whisper(
        name,
        format!("reminder: {}", reminder.text),
    )])
}

/// The sender's reminders, without those whose timers were lost because they were due while this plugin was not loaded.
fn tidied(call: Call<'_>) -> Result<Reminders, StateError> {
    let mut own = REMINDERS
        .of(call.by.sender)
        .get(call.state)?
        .unwrap_or_default();
    let lost = own.take_lost(call.by.time_ms);
    if lost > 0 {
        ALL.add(call.state, -lost)?;
        keep(&own, call.by.sender, call.state)?;
    }
    Ok(own)
}

fn keep(own: &Reminders, person: PersonId, state: State) -> Result<(), StateError> {
    if own.is_empty() {
        REMINDERS.of(person).remove(state)
    } else {
        REMINDERS.of(person).put(state, own)
    }
}

fn key(person: PersonId, number: u32) -> String {
    format!("{}/{number}", person.0)
}

fn refused(error: StateError) -> String {
    format!("the reminders can't be kept: {error}")
}
