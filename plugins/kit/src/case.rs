//! Cases ready to be played: what a file says, checked, with numbers for names.

use std::collections::BTreeMap;
use std::path::Path;

use chat_plugin::{Body, Effect, PersonId, RoomId, Timer, Verdict};
use toml::Spanned;

use crate::answer::Answer;
use crate::file::{self, Entry, Expect, File, FileError, Rooms, Text};

/// When every case begins: 2026-01-01 00:00:00 UTC. The world's clock shows it throughout.
pub(crate) const BEGIN_MS: u64 = 1_767_225_600_000;

/// The cases of a file.
#[derive(Debug)]
pub struct CaseFile {
    pub(crate) cases: Vec<Case>,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) settings: String,
    /// The text with which the plugin refuses the settings, where it should.
    pub(crate) refused: Option<String>,
    pub(crate) seed: u64,
    pub(crate) people: Vec<String>,
    pub(crate) rooms: Vec<String>,
    pub(crate) given: BTreeMap<(RoomId, String), Entry>,
    /// In which layout that is written, where it is an older one.
    pub(crate) layout: Option<u32>,
    pub(crate) steps: Vec<Step>,
    pub(crate) left: BTreeMap<(RoomId, String), Entry>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) room: RoomId,
    pub(crate) sender: PersonId,
    pub(crate) time_ms: u64,
    pub(crate) action: Action,
    pub(crate) expected: Answer,
}

#[derive(Debug)]
pub(crate) enum Action {
    Send(String),
    Command {
        text: String,
        name: String,
        arguments: String,
    },
    Timer(String),
    Format(Body),
    Review(Body),
}

impl CaseFile {
    /// The cases of the file at `path`.
    ///
    /// # Errors
    /// Where it can't be read, and as [`CaseFile::parse`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(path).map_err(|error| FileError::Read {
            path: path.display().to_string(),
            error,
        })?;
        CaseFile::parse(&text)
    }

    /// The cases that `text` holds.
    ///
    /// # Errors
    /// Where it is not TOML, has keys that cases don't have, or makes no sense; with the line.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let file: File = toml::from_str(text)?;
        let reading = Reading {
            text,
            people: &file.people,
            rooms: &file.rooms,
        };
        if file.case.is_empty() {
            return Err(reading.wrong(0, "the file has no `[[case]]`"));
        }
        let settings = serde_json::Value::from(file.settings).to_string();
        let cases = file.case.into_iter();
        let cases = cases.map(|case| reading.case(case, &settings));
        Ok(CaseFile {
            cases: cases.collect::<Result<_, _>>()?,
        })
    }
}

/// What is needed to make sense of a file.
struct Reading<'a> {
    text: &'a str,
    people: &'a [String],
    rooms: &'a [String],
}

impl Reading<'_> {
    fn case(&self, case: file::Case, settings: &str) -> Result<Case, FileError> {
        let at = case.name.span().start;
        if case.refused.is_none() && case.layout.is_none() && case.steps.is_empty() {
            return Err(self.wrong(at, "the case has no `steps`"));
        }
        let mut steps: Vec<Step> = Vec::new();
        for step in case.steps {
            let before_ms = steps.last().map_or(BEGIN_MS, |step| step.time_ms);
            steps.push(self.step(step, before_ms)?);
        }
        let given = self.entries(case.given)?;
        if let Some((_, key)) = given
            .iter()
            .find_map(|(at, e)| (*e == Entry::Absent).then_some(at))
        {
            let what = format!("`{key}` is `absent` in `given`; leave it out there");
            return Err(self.wrong(at, &what));
        }
        Ok(Case {
            line: self.line(at),
            name: case.name.into_inner(),
            settings: match case.settings {
                Some(own) => serde_json::Value::from(own).to_string(),
                None => settings.to_owned(),
            },
            refused: case.refused,
            seed: case.seed,
            people: self.people.to_vec(),
            rooms: self.rooms.to_vec(),
            given,
            layout: case.layout,
            steps,
            left: self.entries(case.left)?,
        })
    }

    fn step(&self, step: Spanned<file::Step>, before_ms: u64) -> Result<Step, FileError> {
        let at = step.span().start;
        let step = step.into_inner();
        let room = match &step.room {
            Some(room) => self.room(room, at)?,
            None => RoomId(1),
        };
        let sender = match &step.from {
            Some(name) => self.person(name, at)?,
            None => PersonId(1),
        };
        let time_ms = match step.at {
            Some(span) => {
                let millis = u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
                BEGIN_MS.saturating_add(millis)
            }
            None => before_ms,
        };
        if time_ms < before_ms {
            return Err(self.wrong(
                at,
                "`at` is before the step before; it counts from the case's begin",
            ));
        }
        let mut actions = [
            step.send.map(Action::Send),
            step.command.map(command),
            step.timer.map(Action::Timer),
            step.format.map(|text| Action::Format(body(text))),
            step.review.map(|text| Action::Review(body(text))),
        ]
        .into_iter()
        .flatten();
        let (Some(action), None) = (actions.next(), actions.next()) else {
            let what = "a step has one of `send`, `command`, `timer`, `format` and `review`";
            return Err(self.wrong(at, what));
        };
        Ok(Step {
            line: self.line(at),
            room,
            sender,
            time_ms,
            expected: self.expected(step.expect, &action, at)?,
            action,
        })
    }

    fn expected(&self, expect: Expect, action: &Action, at: usize) -> Result<Answer, FileError> {
        let answer = match expect {
            Expect::Allow => Answer::Verdict(Verdict::Allow),
            Expect::Discard => Answer::Verdict(Verdict::Discard),
            Expect::Revise(text) => Answer::Verdict(Verdict::Revise(text)),
            Expect::Withhold(reason) => Answer::Verdict(Verdict::Withhold(reason)),
            Expect::Usage(text) => Answer::Usage(text),
            Expect::Unchanged => Answer::Runs(None),
            Expect::Runs(runs) => Answer::Runs(Some(runs.into_iter().map(Into::into).collect())),
            Expect::Effects(effects) => {
                let effects = effects.into_iter().map(|effect| self.effect(effect, at));
                Answer::Effects(effects.collect::<Result<_, _>>()?)
            }
        };
        let (possible, choices) = match action {
            Action::Send(_) => (
                matches!(answer, Answer::Verdict(_)),
                "`allow`, `revise`, `withhold` or `discard`",
            ),
            Action::Review(_) => (
                matches!(&answer, Answer::Verdict(verdict) if !matches!(verdict, Verdict::Revise(_))),
                "`allow`, `withhold` or `discard`",
            ),
            Action::Command { .. } => (
                matches!(answer, Answer::Effects(_) | Answer::Usage(_)),
                "`effects` or `usage`",
            ),
            Action::Timer(_) => (matches!(answer, Answer::Effects(_)), "`effects`"),
            Action::Format(_) => (matches!(answer, Answer::Runs(_)), "`runs` or `unchanged`"),
        };
        if !possible {
            let what = format!("what this step is answered can't be this; `expect` {choices}");
            return Err(self.wrong(at, &what));
        }
        Ok(answer)
    }

    fn effect(&self, effect: file::Effect, at: usize) -> Result<Effect, FileError> {
        Ok(match effect {
            file::Effect::Say(text) => Effect::Say(text),
            file::Effect::Act(text) => Effect::Act(text),
            file::Effect::Notice(text) => Effect::Notice(text),
            file::Effect::Whisper { to, text } => Effect::Whisper { to, text },
            file::Effect::Reply(text) => Effect::Reply(text),
            file::Effect::Topic(text) => Effect::Topic(text),
            file::Effect::Mute { person, lasting } => {
                Effect::mute(self.person(&person, at)?, lasting.0)
            }
            file::Effect::Schedule { key, delay, data } => {
                Effect::Schedule(Timer::new(key, delay.0).with(data))
            }
            file::Effect::Cancel(key) => Effect::Cancel(key),
        })
    }

    fn entries(&self, rooms: Rooms) -> Result<BTreeMap<(RoomId, String), Entry>, FileError> {
        let mut entries = BTreeMap::new();
        for (room, of_room) in rooms {
            let number = self.room(room.as_ref(), room.span().start)?;
            let of_room = of_room.into_iter();
            entries.extend(of_room.map(|(key, entry)| ((number, key), entry)));
        }
        Ok(entries)
    }

    fn room(&self, name: &str, at: usize) -> Result<RoomId, FileError> {
        let number = number(self.rooms, name).map(RoomId);
        number.ok_or_else(|| self.unknown("room", "rooms", name, self.rooms, at))
    }

    fn person(&self, name: &str, at: usize) -> Result<PersonId, FileError> {
        let number = number(self.people, name).map(PersonId);
        number.ok_or_else(|| self.unknown("person", "people", name, self.people, at))
    }

    fn unknown(&self, what: &str, key: &str, name: &str, known: &[String], at: usize) -> FileError {
        let known = known.join("`, `");
        let what = format!("there is no {what} `{name}`, but `{known}`; name others in `{key}`");
        self.wrong(at, &what)
    }

    fn wrong(&self, at: usize, what: &str) -> FileError {
        FileError::Sense {
            line: self.line(at),
            what: what.into(),
        }
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.bytes().take(at);
        before.filter(|byte| *byte == b'\n').count() + 1
    }
}

/// The first of a list has number 1.
fn number(names: &[String], name: &str) -> Option<u64> {
    let at = names.iter().position(|known| known == name)?;
    u64::try_from(at).ok()?.checked_add(1)
}

fn command(text: String) -> Action {
    let rest = text.strip_prefix('/').unwrap_or(&text);
    let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Action::Command {
        name: name.into(),
        arguments: arguments.trim().into(),
        text,
    }
}

fn body(text: Text) -> Body {
    match text {
        Text::Plain(text) => Body::Plain(text),
        Text::Styled(runs) => Body::Styled(runs.into_iter().map(Into::into).collect()),
    }
}
