//! `poll`: asks the room a question and counts the answers.
//!
//! `/poll Question | A | B`, `/vote 2`, `/results`, `/poll end`. One poll a room, one vote a person, which can be
//! changed. Shows state in a room: a vote and the tally are written with the message that votes, or not at all, so they
//! never disagree. The poll and its votes are forgotten at one moment, when the poll ends.

mod question;
mod tally;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chat_plugin::{
    Call, Commands, Counter, Effect, Manifest, PersonId, Plugin, State, StateError, Value,
    directory,
};
use serde::{Deserialize, Serialize};

use question::Question;

/// The poll of a room.
const POLL: Value<Poll> = Value::new("poll");
/// How many polls the room has had; numbers them.
const POLLS: Counter = Counter::new("polls");
/// What a person voted for, from 0, and in which poll.
const VOTE: Value<Vote> = Value::new("vote");

const USAGE: &str = "usage: /poll QUESTION | A | B, e.g. /poll Tea or coffee? | tea | coffee";
const NONE: &str = "there is no poll; ask one with /poll QUESTION | A | B";

/// What the operator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How long a poll runs.
    hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { hours: 24 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Poll {
    number: i64,
    by: u64,
    ends_ms: u64,
    question: Question,
    /// Votes for each option, in their order.
    tally: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Vote {
    /// The poll's number: a later one may have begun since.
    poll: i64,
    option: usize,
}

struct Polls {
    lasting: Duration,
}

impl Plugin for Polls {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("poll", env!("CARGO_PKG_VERSION"))
            .command(
                "poll",
                "QUESTION | A | B",
                "Asks the room; `end` ends your poll",
            )
            .command("vote", "NUMBER", "Votes, or changes your vote")
            .command("results", "", "Shows how the votes stand")
    }

    fn start(settings: Settings) -> Result<Self, String> {
        let hours = settings.hours;
        if !(1..=720).contains(&hours) {
            return Err(format!("`hours` is {hours}; make it 1 to 720"));
        }
        Ok(Polls {
            lasting: Duration::from_secs(u64::from(hours) * 3_600),
        })
    }
}

impl Commands for Polls {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        // What another version wrote counts as no poll.
        let poll = POLL.get(call.state).ok().flatten();
        match (call.name, poll) {
            ("poll", poll) if call.arguments.eq_ignore_ascii_case("end") => end(call, poll),
            ("poll", Some(poll)) if PersonId(poll.by) != call.by.sender => Err(poll.is_running()),
            ("poll", _) => self.ask(call),
            ("vote", Some(poll)) => vote(call, poll),
            ("results", Some(poll)) => Ok(vec![Effect::notice(poll.shown())]),
            ("vote" | "results", None) => Err(NONE.into()),
            (other, _) => Err(format!("poll has no command `/{other}`; try /help")),
        }
    }
}

chat_plugin::export!(Polls: commands);

impl Polls {
    fn ask(&self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        if call.arguments.is_empty() {
            return Err(USAGE.into());
        }
        let question: Question = call.arguments.parse()?;
        let now_ms = call.by.time_ms;
        let lasts_ms = u64::try_from(self.lasting.as_millis()).unwrap_or(u64::MAX);
        let poll = Poll {
            number: POLLS.add(call.state, 1).map_err(refused)?,
            by: call.by.sender.0,
            ends_ms: now_ms.saturating_add(lasts_ms),
            tally: vec![0; question.options.len()],
            question,
        };
        poll.keep(call.state, now_ms).map_err(refused)?;
        let asked = poll.question.asked();
        Ok(vec![Effect::notice(format!(
            "{asked}\nVote with /vote NUMBER; /results shows how it stands"
        ))])
    }
}

fn end(call: Call<'_>, poll: Option<Poll>) -> Result<Vec<Effect>, String> {
    let poll = poll.ok_or(NONE)?;
    if PersonId(poll.by) != call.by.sender {
        return Err(poll.is_running());
    }
    POLL.remove(call.state).map_err(refused)?;
    Ok(vec![Effect::notice(format!(
        "The poll is over.\n{}",
        poll.shown()
    ))])
}

fn vote(call: Call<'_>, mut poll: Poll) -> Result<Vec<Effect>, String> {
    let count = poll.question.options.len();
    let wrong = || format!("usage: /vote NUMBER, from 1 to {count}");
    let number: usize = call.arguments.parse().map_err(|_| wrong())?;
    let option = number.checked_sub(1).ok_or_else(wrong)?;
    let name = poll.question.options.get(option).ok_or_else(wrong)?.clone();
    let place = VOTE.of(call.by.sender).lasting(poll.left(call.by.time_ms));
    let before = place.get(call.state).ok().flatten();
    let before = before.filter(|vote| vote.poll == poll.number);
    if before.as_ref().is_some_and(|vote| vote.option == option) {
        return Ok(vec![Effect::reply(format!(
            "your vote is {number}. {name} already"
        ))]);
    }
    if let Some(votes) = before.and_then(|vote| poll.tally.get_mut(vote.option)) {
        *votes = votes.saturating_sub(1);
    }
    if let Some(votes) = poll.tally.get_mut(option) {
        *votes = votes.saturating_add(1);
    }
    let vote = Vote {
        poll: poll.number,
        option,
    };
    place.put(call.state, &vote).map_err(refused)?;
    poll.keep(call.state, call.by.time_ms).map_err(refused)?;
    Ok(vec![Effect::reply(format!(
        "you voted for {number}. {name}\n{}",
        poll.shown()
    ))])
}

impl Poll {
    fn left(&self, now_ms: u64) -> Duration {
        Duration::from_millis(self.ends_ms.saturating_sub(now_ms))
    }

    fn keep(&self, state: State, now_ms: u64) -> Result<(), StateError> {
        POLL.lasting(self.left(now_ms)).put(state, self)
    }

    fn shown(&self) -> String {
        tally::shown(&self.question, &self.tally)
    }

    fn is_running(&self) -> String {
        let by = directory::name(PersonId(self.by));
        let by = by.as_deref().unwrap_or("another person");
        format!("the poll of {by} is running: {}", self.question.text)
    }
}

fn refused(error: StateError) -> String {
    format!("the poll can't be kept: {error}")
}
