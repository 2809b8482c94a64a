//! `basics`: the commands that people expect of any chat.
//!
//! `/me`, `/roll`, `/shrug`, `/topic`, `/whisper` and `/help`. Has no settings and no state.

mod dice;
mod help;

use chat_plugin::{Call, Commands, Effect, Manifest, NoSettings, Plugin, directory, random_u64};

use dice::Dice;

/// The interface's bound on a room's topic.
const TOPIC_BYTES: usize = 256;

struct Basics;

impl Plugin for Basics {
    type Settings = NoSettings;

    fn manifest() -> Manifest {
        Manifest::new("basics", env!("CARGO_PKG_VERSION"))
            .command("help", "[COMMAND]", "Lists the commands, or explains one")
            .command("me", "ACTION", "Says what you do")
            .command(
                "roll",
                "[NdM+K]",
                "Rolls N dice of M sides and adds K; 1d6 alone",
            )
            .command("shrug", "[TEXT]", "Says it with a shrug")
            .command("topic", "TEXT", "Sets the room's topic")
            .command("whisper", "NAME TEXT", "Tells one person only")
    }

    fn start(_: NoSettings) -> Result<Self, String> {
        Ok(Basics)
    }
}

impl Commands for Basics {
    fn run(&mut self, call: Call<'_>) -> Result<Vec<Effect>, String> {
        match call.name {
            "help" => help::answer(directory::commands(), call.arguments),
            "me" => me(call.arguments),
            "roll" => roll(call.arguments),
            "shrug" => Ok(vec![shrug(call.arguments)]),
            "topic" => topic(call.arguments),
            "whisper" => whisper(call.arguments),
            other => Err(format!("basics has no command `/{other}`; try /help")),
        }
    }
}

chat_plugin::export!(Basics: commands);

fn me(action: &str) -> Result<Vec<Effect>, String> {
    if action.is_empty() {
        return Err("usage: /me ACTION, e.g. /me waves".into());
    }
    Ok(vec![Effect::act(action)])
}

fn roll(arguments: &str) -> Result<Vec<Effect>, String> {
    let dice: Dice = arguments
        .parse()
        .map_err(|error: dice::Refused| error.to_string())?;
    Ok(vec![Effect::act(dice.roll(random_u64))])
}

fn shrug(text: &str) -> Effect {
    const SHRUG: &str = r"¯\_(ツ)_/¯";
    match text {
        "" => Effect::say(SHRUG),
        text => Effect::say(format!("{text} {SHRUG}")),
    }
}

fn topic(text: &str) -> Result<Vec<Effect>, String> {
    // A topic is one line, whatever it was pasted from.
    let topic = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if topic.is_empty() {
        return Err("usage: /topic TEXT".into());
    }
    if topic.len() > TOPIC_BYTES {
        let length = topic.len();
        return Err(format!(
            "this topic is {length} bytes long; make it at most {TOPIC_BYTES}"
        ));
    }
    Ok(vec![Effect::topic(topic)])
}

fn whisper(arguments: &str) -> Result<Vec<Effect>, String> {
    const USAGE: &str = "usage: /whisper NAME TEXT, e.g. /whisper ann see you at noon";
    let (name, text) = arguments.split_once(char::is_whitespace).ok_or(USAGE)?;
    // People write `@ann` wherever they name somebody.
    let name = name.strip_prefix('@').unwrap_or(name);
    let text = text.trim();
    if name.is_empty() || text.is_empty() {
        return Err(USAGE.into());
    }
    Ok(vec![Effect::whisper(name, text)])
}

#[cfg(test)]
mod tests {
    use chat_plugin::native::{MemoryHost, with_host};
    use chat_plugin::{Command, Message};

    use super::*;

    /// What `/name arguments` does where dice come from seed 0 and two plugins list three commands.
    fn give(name: &str, arguments: &str) -> Result<Vec<Effect>, String> {
        let host = MemoryHost::shared();
        host.borrow_mut().commands = vec![
            command("me", "ACTION", "Says what you do"),
            command("poll", "QUESTION", "Asks the room"),
            command("roll", "", "Rolls"),
        ];
        with_host(host, || {
            let mut plugin = native();
            plugin.start("{}").expect("basics takes no settings");
            plugin
                .run(name, arguments, &Message::of("/…"))
                .expect("basics does not fail")
        })
    }

    fn command(name: &str, usage: &str, summary: &str) -> Command {
        Command {
            name: name.into(),
            usage: usage.into(),
            summary: summary.into(),
        }
    }

    #[test]
    fn the_cases_pass() {
        chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
    }

    #[test]
    fn every_listed_command_is_answered() {
        for command in native().describe().commands {
            let answer = give(&command.name, "1d6 x");
            let unknown = format!("basics has no command `/{}`; try /help", command.name);
            assert_ne!(answer, Err(unknown));
        }
    }

    #[test]
    fn me_says_what_the_sender_does() {
        assert_eq!(give("me", "waves"), Ok(vec![Effect::act("waves")]));
        assert!(give("me", "").is_err());
    }

    #[test]
    fn a_shrug_follows_the_text() {
        assert_eq!(give("shrug", ""), Ok(vec![Effect::say(r"¯\_(ツ)_/¯")]));
        assert_eq!(give("shrug", "ok"), Ok(vec![Effect::say(r"ok ¯\_(ツ)_/¯")]));
    }

    #[test]
    fn a_topic_is_one_line_of_bounded_length() {
        assert_eq!(give("topic", "a\n b"), Ok(vec![Effect::topic("a b")]));
        assert!(give("topic", "").is_err());
        assert!(give("topic", &"x".repeat(256)).is_ok());
        let error = give("topic", &"x".repeat(257)).unwrap_err();
        assert_eq!(error, "this topic is 257 bytes long; make it at most 256");
    }

    #[test]
    fn a_whisper_needs_a_name_and_a_text() {
        let whisper = Ok(vec![Effect::whisper("ann", "see you")]);
        assert_eq!(give("whisper", "ann  see you"), whisper);
        assert_eq!(give("whisper", "@ann see you"), whisper);
        for wrong in ["", "ann", "@ hello"] {
            assert!(give("whisper", wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_roll_is_told_to_all() {
        let effects = give("roll", "2d6+1").unwrap();
        let [Effect::Act(text)] = effects.as_slice() else {
            panic!("not one act: {effects:?}");
        };
        assert!(text.starts_with("rolls 2d6+1: "), "{text}");
    }

    #[test]
    fn help_lists_every_command_of_every_plugin() {
        let expected =
            "/me ACTION – Says what you do\n/poll QUESTION – Asks the room\n/roll – Rolls";
        assert_eq!(give("help", ""), Ok(vec![Effect::reply(expected)]));
        let poll = Effect::reply("/poll QUESTION – Asks the room");
        assert_eq!(give("help", "/poll"), Ok(vec![poll.clone()]));
        assert_eq!(give("help", "POLL"), Ok(vec![poll]));
        let error = give("help", "pol").unwrap_err();
        assert_eq!(error, "there is no command `/pol`; /help lists all");
    }

    #[test]
    fn settings_are_refused() {
        let error = native().start(r#"{"dice": 7}"#).unwrap_err();
        assert!(error.contains("unknown field `dice`"), "{error}");
    }
}
