//! A plugin with a memory: numbers the messages of a room, shows the number to everybody, keeps back every seventh, and
//! says something later when asked to. So members see whether its state was lost, or changed twice. It fails at some
//! greetings, after it has numbered them: so dead letters are made, and it is in quarantine now and then.

use std::time::Duration;

use chat_plugin::{
    Call, Commands, Effect, Manifest, Message, Moderation, NoSettings, Plugin, RoomId, State,
    Timer, Timers, Verdict,
};

struct Counter;

impl Plugin for Counter {
    type Settings = NoSettings;

    fn manifest() -> Manifest {
        let mut manifest =
            Manifest::new("counter", "1.0.0").command("later", "WORD", "Says the word later");
        // After the others: what they keep back is not counted.
        manifest.priority = 10;
        manifest
    }

    fn start(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Moderation for Counter {
    fn moderate(&mut self, message: &Message, state: State) -> Verdict {
        if message.text.starts_with('/') {
            return Verdict::Allow;
        }
        let number = state.add("all", 1).unwrap();
        state
            .add_for(
                &format!("of-{}", message.sender.0),
                1,
                Duration::from_secs(5),
            )
            .unwrap();
        if message.text.starts_with("*hello*") && message.text.ends_with('7') {
            // As a panic, and without its words on stderr.
            std::panic::resume_unwind(Box::new("I do not like sevens"));
        }
        if number % 7 == 0 {
            Verdict::withhold(format!("kept back #{number}"))
        } else {
            Verdict::revise(format!("{} #{number}", message.text))
        }
    }
}

impl Commands for Counter {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        Ok(vec![Effect::Schedule(Timer::new(
            call.arguments,
            Duration::from_millis(1500),
        ))])
    }
}

impl Timers for Counter {
    fn fired(&mut self, _: RoomId, due: &Timer, state: State) -> Vec<Effect> {
        state.add("timers", 1).unwrap();
        vec![Effect::notice(format!("later {}", due.key))]
    }
}

chat_plugin::export!(Counter: moderation, commands, timers);
