//! Checks answers against the interface: a plugin that breaks it has failed, whatever it meant.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Effect, Fault, KEY_BYTES, MEMORY_BYTES, MEMORY_ENTRIES, Remembered, Run, Target, Timer,
    VALUE_BYTES, Verdict,
};

const REASON_BYTES: usize = 512;
const USAGE_BYTES: usize = 1024;
const TOPIC_BYTES: usize = 256;
const EFFECTS: usize = 32;
const RUNS: usize = 256;
const URL_BYTES: usize = 2048;
const TIMER_KEY_BYTES: usize = 128;
const TIMER_DATA_BYTES: usize = 4096;
const TIMER_DELAY: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How many times the message limit a laid out body may be.
const LAID_OUT: usize = 4;

/// Whether a text has no control characters but newline and tab.
pub(super) fn only_text(text: &str) -> bool {
    // Nearly all text has no byte below space, and no C1 control, which begins with 0xC2.
    text.bytes()
        .all(|b| (b >= 0x20 && b != 0x7F && b != 0xC2) || b == b'\n' || b == b'\t')
        || text
            .chars()
            .all(|c| !c.is_control() || c == '\n' || c == '\t')
}

/// As many answers as there were messages.
pub(super) fn count(answers: usize, messages: usize) -> Result<(), Fault> {
    if answers == messages {
        return Ok(());
    }
    Err(Fault::answer(&format!(
        "it gave {answers} answers to {messages} messages"
    )))
}

/// Moderation's verdicts.
pub(super) fn verdicts(answers: &[Verdict], message_bytes: usize) -> Result<(), Fault> {
    answers.iter().try_for_each(|verdict| match verdict {
        Verdict::Allow | Verdict::Discard => Ok(()),
        Verdict::Revise(text) => text_of(text, "a revised text", 1, message_bytes),
        Verdict::Withhold(reason) => text_of(reason, "a reason", 0, REASON_BYTES),
    })
}

/// Review's verdicts: like moderation's, but none revises.
pub(super) fn judgements(answers: &[Verdict]) -> Result<(), Fault> {
    if answers
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Revise(_)))
    {
        return Err(Fault::answer("it revised, and review may not"));
    }
    verdicts(answers, 0)
}

/// What a command says to its sender instead of doing anything.
pub(super) fn usage(text: &str) -> Result<(), Fault> {
    text_of(text, "an error text", 0, USAGE_BYTES)
}

/// What a command or a timer does.
pub(super) fn effects(effects: &[Effect], message_bytes: usize, timer: bool) -> Result<(), Fault> {
    if effects.len() > EFFECTS {
        return Err(Fault::answer(&format!(
            "it gave {} effects, and at most {EFFECTS} are allowed",
            effects.len()
        )));
    }
    effects.iter().try_for_each(|effect| match effect {
        Effect::Say(text) | Effect::Act(text) | Effect::Notice(text) => {
            text_of(text, "a text", 1, message_bytes)
        }
        Effect::Reply(_) if timer => Err(Fault::answer(
            "it replied from a timer, which has no sender",
        )),
        Effect::Reply(text) => text_of(text, "a reply", 1, message_bytes),
        Effect::Whisper { to, text } => {
            text_of(to, "a name", 0, message_bytes)?;
            text_of(text, "a whisper", 1, message_bytes)
        }
        Effect::Topic(topic) => text_of(topic, "a topic", 0, TOPIC_BYTES),
        Effect::Mute { .. } => Ok(()),
        Effect::Schedule(timer) => schedule(timer),
        Effect::Cancel(key) => text_of(key, "a timer's key", 0, TIMER_KEY_BYTES),
    })
}

fn schedule(timer: &Timer) -> Result<(), Fault> {
    text_of(&timer.key, "a timer's key", 0, TIMER_KEY_BYTES)?;
    if timer.data.len() > TIMER_DATA_BYTES {
        return Err(Fault::answer(&format!(
            "a timer's data has {} bytes, and at most {TIMER_DATA_BYTES} are allowed",
            timer.data.len()
        )));
    }
    if timer.delay > TIMER_DELAY {
        return Err(Fault::answer("a timer's delay is longer than 366 days"));
    }
    Ok(())
}

/// One laid out body.
pub(super) fn runs(runs: &[Run], message_bytes: usize) -> Result<(), Fault> {
    if runs.len() > RUNS {
        return Err(Fault::answer(&format!(
            "it laid a body out in {} runs, and at most {RUNS} are allowed",
            runs.len()
        )));
    }
    let bytes: usize = runs.iter().map(|run| run.text.len()).sum();
    let most = message_bytes.saturating_mul(LAID_OUT);
    if bytes > most {
        return Err(Fault::answer(&format!(
            "it laid a body out in {bytes} bytes, and at most {most} are allowed"
        )));
    }
    runs.iter().try_for_each(|run| {
        text_of(&run.text, "a run", 0, most)?;
        match &run.target {
            Target::Url(address) => url(address),
            Target::None | Target::Mention => Ok(()),
        }
    })
}

fn url(address: &str) -> Result<(), Fault> {
    text_of(address, "an address", 1, URL_BYTES)?;
    let absolute = ["http://", "https://", "mailto:"].iter().any(|scheme| {
        let (start, rest) = address.split_at_checked(scheme.len()).unwrap_or(("", ""));
        start.eq_ignore_ascii_case(scheme) && !rest.is_empty()
    });
    if !absolute || address.contains(char::is_whitespace) {
        return Err(Fault::answer(
            "an address is not an absolute http, https or mailto one",
        ));
    }
    Ok(())
}

/// A layout of one that has `migration`.
pub(super) fn layout(layout: u32) -> Result<(), Fault> {
    if layout == 0 {
        return Err(Fault::answer(
            "it migrates to layout 0, which is that of versions without layouts; the first one is 1",
        ));
    }
    Ok(())
}

/// What is to be remembered after a migration.
pub(super) fn memory(entries: &[Remembered]) -> Result<(), Fault> {
    if entries.len() as u64 > MEMORY_ENTRIES {
        return Err(Fault::answer(&format!(
            "it migrates to {} entries, and at most {MEMORY_ENTRIES} are allowed in a room",
            entries.len()
        )));
    }
    let mut keys = BTreeSet::new();
    let mut bytes = 0;
    for entry in entries {
        let (key, value) = (entry.key.len(), entry.value.len());
        bytes += (key + value) as u64;
        if key == 0 || key > KEY_BYTES {
            return Err(Fault::answer(&format!(
                "it migrates to a key of {key} bytes, and 1 to {KEY_BYTES} are allowed"
            )));
        }
        if value > VALUE_BYTES {
            return Err(Fault::answer(&format!(
                "it migrates to a value of {value} bytes, and at most {VALUE_BYTES} are allowed"
            )));
        }
        if !keys.insert(&entry.key) {
            return Err(Fault::answer(&format!(
                "it migrates to the key `{}` twice",
                entry.key
            )));
        }
    }
    if bytes > MEMORY_BYTES {
        return Err(Fault::answer(&format!(
            "it migrates to {bytes} bytes, and at most {MEMORY_BYTES} are allowed in a room"
        )));
    }
    Ok(())
}

fn text_of(text: &str, what: &str, least: usize, most: usize) -> Result<(), Fault> {
    if text.len() < least {
        return Err(Fault::answer(&format!("{what} is empty")));
    }
    if text.len() > most {
        return Err(Fault::answer(&format!(
            "{what} has {} bytes, and at most {most} are allowed",
            text.len()
        )));
    }
    if !only_text(text) {
        return Err(Fault::answer(&format!("{what} has control characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Style;

    fn run(target: Target) -> Run {
        Run {
            text: "there".into(),
            style: Style::default(),
            target,
        }
    }

    #[test]
    fn text_has_no_control_characters_but_newline_and_tab() {
        assert!(only_text("a\tb\nc — d ü ☕"));
        assert!(only_text("non-breaking\u{a0}space"));
        assert!(!only_text("a\rb"));
        assert!(!only_text("a\u{7f}"));
        assert!(!only_text("next\u{85}line"));
    }

    #[test]
    fn addresses_lead_to_the_web_or_to_a_mailbox() {
        for good in [
            "https://example.org/a?b#c",
            "HTTP://x",
            "mailto:a@example.org",
        ] {
            assert_eq!(
                runs(&[run(Target::Url(good.into()))], 4096),
                Ok(()),
                "{good}"
            );
        }
        for bad in [
            "javascript:x()",
            "//example.org",
            "https://",
            "",
            "ftp://x",
            "http://a b",
        ] {
            assert!(
                runs(&[run(Target::Url(bad.into()))], 4096).is_err(),
                "{bad}"
            );
        }
        let long = format!("https://{}", "x".repeat(URL_BYTES));
        assert!(runs(&[run(Target::Url(long))], 4096).is_err());
    }

    #[test]
    fn a_body_has_at_most_256_runs_and_four_times_the_message_limit() {
        assert_eq!(runs(&vec![run(Target::None); 256], 4096), Ok(()));
        assert!(runs(&vec![run(Target::None); 257], 4096).is_err());
        assert_eq!(runs(&vec![run(Target::None); 4], 5), Ok(()));
        assert!(runs(&vec![run(Target::None); 5], 5).is_err());
    }

    #[test]
    fn effects_are_few_and_bounded() {
        assert_eq!(
            effects(&vec![Effect::Say("x".into()); 32], 10, false),
            Ok(())
        );
        assert!(effects(&vec![Effect::Say("x".into()); 33], 10, false).is_err());
        assert!(effects(&[Effect::Say("x".repeat(11))], 10, false).is_err());
        assert!(effects(&[Effect::Say(String::new())], 10, false).is_err());
        assert!(effects(&[Effect::Topic("x".repeat(257))], 10, false).is_err());
        assert_eq!(effects(&[Effect::Reply("x".into())], 10, false), Ok(()));
        assert!(effects(&[Effect::Reply("x".into())], 10, true).is_err());
        let timer = |key: usize, days: u64, data: usize| {
            Effect::Schedule(Timer {
                key: "k".repeat(key),
                delay: Duration::from_secs(days * 86_400),
                data: vec![0; data],
            })
        };
        assert_eq!(effects(&[timer(128, 366, 4096)], 10, false), Ok(()));
        for broken in [timer(129, 1, 1), timer(1, 367, 1), timer(1, 1, 4097)] {
            assert!(effects(&[broken], 10, false).is_err());
        }
    }

    #[test]
    fn a_migration_keeps_the_bounds_of_a_memory() {
        let entry = |key: String, bytes: usize| Remembered {
            key,
            value: vec![0; bytes],
            expires_ms: None,
        };
        let many = |count: usize, bytes: usize| -> Vec<Remembered> {
            (0..count).map(|n| entry(n.to_string(), bytes)).collect()
        };
        assert_eq!(memory(&many(10_000, 10)), Ok(()));
        assert_eq!(memory(&many(63, 65_536)), Ok(()));
        for broken in [
            many(10_001, 1),
            many(64, 65_536),
            many(1, 65_537),
            vec![entry(String::new(), 1)],
            vec![entry("k".repeat(257), 1)],
            vec![entry("k".into(), 1), entry("k".into(), 1)],
        ] {
            assert!(memory(&broken).is_err(), "{} entries", broken.len());
        }
        assert_eq!(layout(1), Ok(()));
        assert!(layout(0).is_err());
    }

    #[test]
    fn review_may_not_revise() {
        assert!(judgements(&[Verdict::Allow, Verdict::Revise("x".into())]).is_err());
        assert_eq!(
            judgements(&[Verdict::Withhold("why".into()), Verdict::Discard]),
            Ok(())
        );
    }

    #[test]
    fn a_revision_is_bounded_like_a_message() {
        assert_eq!(verdicts(&[Verdict::Revise("x".repeat(10))], 10), Ok(()));
        assert!(verdicts(&[Verdict::Revise("x".repeat(11))], 10).is_err());
        assert!(verdicts(&[Verdict::Revise(String::new())], 10).is_err());
        assert!(verdicts(&[Verdict::Withhold("x".repeat(513))], 1000).is_err());
    }
}
