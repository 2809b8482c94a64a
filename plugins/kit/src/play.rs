//! One case under one cut: what a host would do, and what came of it.

use std::collections::BTreeMap;

use chat_plugin::native::NativePlugin;
use chat_plugin::{Item, Message, RoomId, Sequence};

use crate::answer::Answer;
use crate::case::{Action, BEGIN_MS, Case, Step};
use crate::contract;
use crate::cut::Cut;
use crate::subject::Subject;
use crate::world::World;

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// One for each step.
    pub(crate) answers: Vec<Answer>,
    /// What is remembered at the time of the last step.
    pub(crate) remembered: BTreeMap<(RoomId, String), Vec<u8>>,
}

/// Plays the case. An error is a plugin that does not start.
pub(crate) fn play(case: &Case, subject: &dyn Subject, cut: Cut) -> Result<Played, String> {
    let mut house = House {
        case,
        subject,
        world: World::of(case),
        instance: None,
    };
    house.start()?;
    house.bring_along()?;
    let mut answers = Vec::new();
    for call in cut.calls(&case.steps) {
        if cut == Cut::FreshInstances {
            house.instance = None;
        }
        answers.extend(house.call(call));
    }
    let end_ms = case.steps.last().map_or(BEGIN_MS, |step| step.time_ms);
    Ok(Played {
        answers,
        remembered: house.world.remembered(end_ms),
    })
}

struct House<'a> {
    case: &'a Case,
    subject: &'a dyn Subject,
    world: World,
    /// None after a failure.
    instance: Option<Box<dyn NativePlugin>>,
}

impl House<'_> {
    fn start(&mut self) -> Result<&mut dyn NativePlugin, String> {
        let mut instance = self.subject.instance(&self.world)?;
        self.world.begin(Vec::new());
        self.world.set_commands(instance.describe().commands);
        instance.start(&self.case.settings)?;
        if let Some(misuse) = self.world.take_misuse() {
            return Err(misuse);
        }
        Ok(self.instance.insert(instance).as_mut())
    }

    /// What is given in an older layout is brought along, as a host does before a room's first message.
    fn bring_along(&mut self) -> Result<(), String> {
        let (Some(from), Some(instance)) = (self.case.layout, self.instance.as_mut()) else {
            return Ok(());
        };
        let own = instance.layout();
        if from > own {
            return Err(format!(
                "what is given has layout {from}, and this version writes {own}"
            ));
        }
        if from == own {
            return Ok(());
        }
        for (room, memory) in self.world.memories() {
            let brought = instance.migrate(from, memory);
            let brought = brought
                .map_err(|why| why.to_string())?
                .map_err(|told| format!("it can't bring along what it remembers: {told}"))?;
            self.world.set_memory(room, brought)?;
        }
        self.world.take_misuse().map_or(Ok(()), Err)
    }

    /// A batch that fails runs again one by one on fresh instances, so that only the guilty step fails.
    fn call(&mut self, steps: &[Step]) -> Vec<Answer> {
        match self.attempt(steps) {
            Ok(answers) => answers,
            Err(why) if steps.len() == 1 => vec![Answer::Failed(why)],
            Err(_) => steps
                .chunks(1)
                .flat_map(|step| match self.attempt(step) {
                    Ok(answers) => answers,
                    Err(why) => vec![Answer::Failed(why)],
                })
                .collect(),
        }
    }

    fn attempt(&mut self, steps: &[Step]) -> Result<Vec<Answer>, String> {
        if self.instance.is_none() {
            self.start()?;
        }
        let Some(mut instance) = self.instance.take() else {
            return Err("the instance did not start".into());
        };
        let has_state = !steps
            .iter()
            .any(|step| matches!(step.action, Action::Format(_)));
        let at = steps.iter().map(|step| (step.room, step.time_ms));
        let before = self.world.begin(at.filter(|_| has_state).collect());
        let answers = ask(instance.as_mut(), &self.world, steps);
        let answers = match self.world.take_misuse() {
            Some(misuse) => Err(misuse),
            None => answers,
        };
        match answers {
            Ok(answers) if answers.len() == steps.len() => {
                self.instance = Some(instance);
                Ok(answers)
            }
            Ok(answers) => {
                self.world.undo(before);
                let (got, given) = (answers.len(), steps.len());
                Err(format!("it gave {got} answers to {given} messages"))
            }
            Err(why) => {
                self.world.undo(before);
                Err(why)
            }
        }
    }
}

/// Calls the role that the steps, which are all of one kind, are for.
fn ask(
    instance: &mut dyn NativePlugin,
    world: &World,
    steps: &[Step],
) -> Result<Vec<Answer>, String> {
    let Some(first) = steps.first() else {
        return Ok(Vec::new());
    };
    match &first.action {
        Action::Send(_) => {
            let batch: Vec<Message> = steps.iter().map(message).collect();
            let verdicts = instance.moderate(&batch).map_err(|why| why.to_string())?;
            verdicts.iter().try_for_each(contract::verdict)?;
            Ok(verdicts.into_iter().map(Answer::Verdict).collect())
        }
        Action::Review(_) => {
            let batch: Vec<Item> = steps.iter().filter_map(item).collect();
            let judged = instance.review(&batch).map_err(|why| why.to_string())?;
            let answers: Vec<Answer> = judged.into_iter().map(Into::into).collect();
            answers.iter().try_for_each(|answer| match answer {
                Answer::Verdict(verdict) => contract::verdict(verdict),
                _ => Ok(()),
            })?;
            Ok(answers)
        }
        Action::Format(_) => {
            let batch: Vec<Item> = steps.iter().filter_map(item).collect();
            let laid_out = instance.format(&batch).map_err(|why| why.to_string())?;
            laid_out
                .iter()
                .flatten()
                .try_for_each(|runs| contract::runs(runs))?;
            Ok(laid_out.into_iter().map(Answer::Runs).collect())
        }
        Action::Command {
            name, arguments, ..
        } => {
            let listed = instance.describe().commands;
            if !listed.iter().any(|command| command.name == *name) {
                return Err(format!("its manifest lists no command `{name}`"));
            }
            let done = instance.run(name, arguments, &message(first));
            match done.map_err(|why| why.to_string())? {
                Ok(effects) => {
                    contract::effects(&effects, true)?;
                    world.take_effects(first.room, first.time_ms, &effects);
                    Ok(vec![Answer::Effects(effects)])
                }
                Err(usage) => {
                    contract::usage(&usage)?;
                    Ok(vec![Answer::Usage(usage)])
                }
            }
        }
        Action::Timer(key) => {
            let due = world.take_due(first.room, key, first.time_ms)?;
            let effects = instance.fired(first.room, &due);
            let effects = effects.map_err(|why| why.to_string())?;
            contract::effects(&effects, false)?;
            world.take_effects(first.room, first.time_ms, &effects);
            Ok(vec![Answer::Effects(effects)])
        }
    }
}

fn message(step: &Step) -> Message {
    let text = match &step.action {
        Action::Send(text) | Action::Command { text, .. } => text.clone(),
        Action::Timer(_) | Action::Format(_) | Action::Review(_) => String::new(),
    };
    Message {
        room: step.room,
        sender: step.sender,
        // Rises, and has holes, as a log's do.
        sequence: Sequence(u64::try_from(step.line).unwrap_or_default()),
        time_ms: step.time_ms,
        text,
    }
}

fn item(step: &Step) -> Option<Item> {
    match &step.action {
        Action::Format(body) | Action::Review(body) => Some(Item {
            room: step.room,
            sender: step.sender,
            body: body.clone(),
        }),
        Action::Send(_) | Action::Command { .. } | Action::Timer(_) => None,
    }
}
