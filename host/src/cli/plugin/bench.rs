//! `chat-host plugin bench`: what a message costs, in processor time.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::time::{ClockId, clock_gettime};

use super::super::exit::{Exit, complain};
use super::Subject;
use super::words::{size, time};
use crate::plugin::{Alone, Fault, FormatItem, Instance, Message, Room, TextBody};

/// How long each figure is measured.
const MEASURE: Duration = Duration::from_millis(500);
/// Messages in one call.
const BATCHES: [usize; 3] = [1, 16, 64];

/// What `chat-host plugin bench` is given.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    subject: Subject,
    /// The message; for a plugin with commands, `/name` and what follows
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "did anybody see the *build* fail this morning? https://example.org/log"
    )]
    text: String,
}

pub(super) fn run(args: &BenchArgs) -> ExitCode {
    let alone = match args.subject.load() {
        Ok(alone) => alone,
        Err(code) => return code,
    };
    match report(&alone, &args.text) {
        Ok(text) => super::super::print(&text),
        Err(fault) => {
            complain(&format!(
                "the plugin `{}` fails: {fault}",
                alone.facts().manifest.name
            ));
            Exit::Refused.into()
        }
    }
}

fn report(alone: &Alone, text: &str) -> Result<String, Fault> {
    let facts = alone.facts();
    let manifest = &facts.manifest;
    // Of nobody: what it would ask of services is answered at once that none is there.
    let room = Arc::new(Room::new("lobby", "alice", manifest));
    let batches = if facts.asks {
        &BATCHES[..1]
    } else {
        &BATCHES[..]
    };
    let mut out = format!(
        "{} {}: processor time a message\n  {:<10} {:>10} {:>10} {:>10}   {:>10}  of {} allowed\n",
        manifest.name,
        manifest.version,
        "role",
        "alone",
        "of 16",
        "of 64",
        "longest",
        time(facts.deadline),
    );
    let message = Message {
        room: 1,
        sender: 1,
        sequence: 1,
        time_ms: 1_700_000_000_000,
        text: text.to_owned(),
    };
    let item = FormatItem {
        room: 1,
        sender: 1,
        body: TextBody::Plain(text.to_owned()),
    };
    let mut row = |role: &str,
                   batches: &[usize],
                   call: &mut dyn FnMut(&mut dyn Instance, usize) -> Result<(), Fault>|
     -> Result<(), Fault> {
        let mut cells = Vec::new();
        let mut longest = Duration::ZERO;
        for &batch in batches {
            let mut instance = alone.instance(&room)?;
            let measured = measure(|| call(instance.as_mut(), batch))?;
            longest = longest.max(measured.longest / u32::try_from(batch).unwrap_or(1));
            cells.push(time(measured.each / u32::try_from(batch).unwrap_or(1)));
        }
        cells.resize(BATCHES.len(), "–".into());
        out.push_str(&format!("  {role:<10}"));
        for cell in cells {
            out.push_str(&format!(" {cell:>10}"));
        }
        let share = longest.as_secs_f64() / facts.deadline.as_secs_f64() * 100.0;
        out.push_str(&format!("   {:>10}  {share:.1} %\n", time(longest)));
        Ok(())
    };
    if manifest.roles.moderation {
        row("moderation", batches, &mut |instance, batch| {
            instance.moderate(&vec![message.clone(); batch]).map(drop)
        })?;
    }
    if let Some(command) = manifest.commands.first() {
        let (name, arguments) = text
            .strip_prefix('/')
            .map(|line| line.split_once(' ').unwrap_or((line, "")))
            .unwrap_or((&command.name, ""));
        row("commands", &BATCHES[..1], &mut |instance, _| {
            instance.run(name, arguments, &message).map(drop)
        })?;
    }
    if manifest.roles.formatting {
        row("formatting", batches, &mut |instance, batch| {
            instance.format(&vec![item.clone(); batch]).map(drop)
        })?;
    }
    if manifest.roles.review {
        row("review", batches, &mut |instance, batch| {
            instance.review(&vec![item.clone(); batch]).map(drop)
        })?;
    }
    out.push_str(&format!(
        "  memory     {} at rest, of {} allowed\n",
        size(facts.memory_bytes as u64),
        size(facts.memory_limit as u64)
    ));
    Ok(out)
}

struct Measured {
    /// Processor time of a call, on average.
    each: Duration,
    /// The longest call on the clock: what the deadline sees.
    longest: Duration,
}

/// Calls for a while. The first calls warm the caches, and do not count.
fn measure(mut call: impl FnMut() -> Result<(), Fault>) -> Result<Measured, Fault> {
    for _ in 0..100 {
        call()?;
    }
    let (began, busy) = (Instant::now(), processor_time());
    let (mut calls, mut longest) = (0u32, Duration::ZERO);
    while began.elapsed() < MEASURE {
        let one = Instant::now();
        call()?;
        longest = longest.max(one.elapsed());
        calls += 1;
    }
    Ok(Measured {
        each: processor_time().saturating_sub(busy) / calls.max(1),
        longest,
    })
}

/// How long this thread has had a processor: others run on this machine, too.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
