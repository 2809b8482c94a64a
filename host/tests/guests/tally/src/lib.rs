//! A plugin that numbers the messages of each room, and remembers what each person said last: members see whether its
//! memory was lost, or changed twice. `do:panic` in a message is one that it fails at, after it has numbered it.
#![allow(missing_docs)] // Test data.

use std::time::Duration;

use chat_plugin::{
    Call, Commands, Effect, Manifest, Message, Moderation, NoSettings, Plugin, RoomId, State,
    Timer, Timers, Verdict,
};

struct Tally;

impl Plugin for Tally {
    type Settings = NoSettings;

    fn manifest() -> Manifest {
        Manifest::new("tally", "1.0.0")
            .command("later", "", "Sets a timer of an hour")
            .command(
                "fill",
                "ENTRIES BYTES",
                "Remembers so many values of so many bytes",
            )
    }

    fn start(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Moderation for Tally {
    fn moderate(&mut self, message: &Message, state: State) -> Verdict {
        if message.text.starts_with('/') {
            return Verdict::Allow;
        }
        let number = match state.add("all", 1) {
            Ok(number) => number,
            Err(error) => return Verdict::withhold(error.to_string()),
        };
        let last = format!("last/{}", message.sender.0);
        if let Err(error) = state.put(&last, &message.text) {
            return Verdict::withhold(error.to_string());
        }
        assert!(!message.text.contains("do:panic"), "as I was told");
        Verdict::revise(format!("{} #{number}", message.text))
    }
}

impl Commands for Tally {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        if call.name == "later" {
            let hour = Duration::from_secs(3600);
            return Ok(vec![Effect::Schedule(Timer::new("later", hour))]);
        }
        let (entries, bytes) = call.arguments.split_once(' ').ok_or("ENTRIES BYTES")?;
        let entries: u32 = entries.parse().map_err(|_| "ENTRIES is a number")?;
        let bytes: usize = bytes.parse().map_err(|_| "BYTES is a number")?;
        for number in 0..entries {
            let put = call
                .state
                .put(&format!("fill/{number}"), &"x".repeat(bytes));
            put.map_err(|error| error.to_string())?;
        }
        Ok(vec![])
    }
}

impl Timers for Tally {
    fn fired(&mut self, _: RoomId, _: &Timer, _: State) -> Vec<Effect> {
        vec![Effect::notice("it is later")]
    }
}

chat_plugin::export!(Tally: moderation, commands, timers);
