//! The next version of `tally`: what was under `all` is under `count`, and it tells how often it brought a room along.
//! Its settings choose how that fails.
#![allow(missing_docs)] // Test data.

use chat_plugin::{
    Call, Commands, Effect, Manifest, Memory, Message, Migration, Moderation, Plugin, RoomId,
    State, Timer, Timers, Verdict, log,
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    migration: String,
}

struct Tally(Settings);

impl Plugin for Tally {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("tally", "2.0.0").command("later", "", "Nothing any more")
    }

    fn start(settings: Settings) -> Result<Self, String> {
        Ok(Self(settings))
    }
}

impl Moderation for Tally {
    fn moderate(&mut self, message: &Message, state: State) -> Verdict {
        let (number, brought) = (state.add("count", 1), state.counter("brought"));
        match (number, brought) {
            (Ok(number), Ok(brought)) => {
                Verdict::revise(format!("{} ##{number} {brought}", message.text))
            }
            (number, brought) => Verdict::withhold(format!("{number:?} {brought:?}")),
        }
    }
}

// A version that lacks a role of the one before is not taken.
impl Commands for Tally {
    fn run(&mut self, _: Call<'_>) -> Result<Vec<Effect>, String> {
        Ok(vec![])
    }
}

impl Timers for Tally {
    fn fired(&mut self, _: RoomId, _: &Timer, _: State) -> Vec<Effect> {
        vec![]
    }
}

impl Migration for Tally {
    const LAYOUT: u32 = 1;

    fn migrate(&mut self, from: u32, memory: &mut Memory) -> Result<(), String> {
        log::info(format!("from layout {from}"));
        match &*self.0.migration {
            "refuse" => return Err("I do not like it".into()),
            "panic" => panic!("as I was told"),
            "loop" => loop {
                std::hint::black_box(0);
            },
            "large" => memory
                .put("large", &"x".repeat(70_000))
                .map_err(|e| e.to_string())?,
            "state" => drop(chat_plugin::directory::name(chat_plugin::PersonId(1))),
            _ => {}
        }
        memory.rename("all", "count");
        let brought = memory
            .counter("brought")
            .map_err(|error| error.to_string())?;
        memory.set_counter("brought", brought + 1);
        Ok(())
    }
}

chat_plugin::export!(Tally: moderation, commands, timers, migration);
