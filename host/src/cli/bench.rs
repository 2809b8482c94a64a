//! `chat-host bench`: loads a server, verifies what it delivers, and says what it cost.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::exit::{Exit, complain};
use crate::bench::{
    self, Broken, Counts, Options, OptionsError, OwnServer, Rate, Report, RunError, Target,
};

/// A week.
const MOST_SECONDS: u64 = 604_800;

/// Load a server over the real protocol and verify every delivery: numbers, latencies, and a verdict
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// The server; without it one is started on a temporary folder, as a process of its own. The rooms and names of the
    /// run stay on the server that is named here
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Plugins for the server that is started
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    plugins: Option<PathBuf>,
    /// The server's process, for its cost; found by its port where it is on this machine
    #[arg(long, value_name = "PID", requires = "server")]
    server_pid: Option<u32>,
    /// Members in all, at most 20,000; each is in one room
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        allow_negative_numbers = true
    )]
    members: usize,
    /// Rooms, filled with members in turn
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    rooms: usize,
    /// Sessions that send
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    senders: usize,
    /// Messages a second in all; `max`: as fast as they are seen; 0: connections only
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = parse_rate, allow_negative_numbers = true)]
    rate: Asked,
    /// With `--rate max`: messages of a sender that may be unseen
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    window: usize,
    /// The measured time
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    seconds: u64,
    /// Load before it, which is verified and not measured
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u64).range(..=MOST_SECONDS))]
    warmup: u64,
    /// Bytes of each message's text, at most 32,000
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 200,
        allow_negative_numbers = true
    )]
    size: usize,
    /// Threads of the generator
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        allow_negative_numbers = true
    )]
    threads: usize,
    /// Connect again and go on after a cut: verifies a server that is killed and started again
    #[arg(long, requires = "server")]
    resume: bool,
    /// One JSON object on one line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    PerSecond(u32),
    Max,
}

fn parse_rate(given: &str) -> Result<Asked, String> {
    if given == "max" {
        return Ok(Asked::Max);
    }
    given
        .parse()
        .map(Asked::PerSecond)
        .map_err(|_| "a number of messages a second, or `max`".into())
}

/// Exits with 1 where a promise was broken, or nothing was there to verify.
pub async fn run(args: BenchArgs) -> ExitCode {
    match measure(args).await {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            code_of(&error).into()
        }
    }
}

fn code_of(error: &anyhow::Error) -> Exit {
    let options = error.downcast_ref();
    match (options, error.downcast_ref()) {
        (Some(OptionsError::Resolve { .. }), _) => Exit::Unreachable,
        (Some(_), _) | (_, Some(RunError::Options(_))) => Exit::Usage,
        (_, Some(RunError::Open { cause, .. })) => match cause {
            Broken::Refused { code, message } => {
                let code = i32::try_from(*code).map_or(Code::Unknown, Code::from_i32);
                Exit::of(&Status::new(code, message))
            }
            _ => Exit::Unreachable,
        },
        _ => Exit::Failure,
    }
}

async fn measure(args: BenchArgs) -> anyhow::Result<ExitCode> {
    // The bounds are the same wherever the server is, and nothing is to be started for a run that can't be.
    let anywhere = Target {
        address: ([127, 0, 0, 1], 0).into(),
        authority: String::new(),
    };
    args.options(anywhere, None).check()?;
    let stop = CancellationToken::new();
    let watching = tokio::spawn(stop_at_interrupt(stop.clone()));
    let report = match &args.server {
        Some(url) => load(&args, url, None, &stop).await,
        None => load_own(&args, &stop).await,
    };
    watching.abort();
    let report = report?;

    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    if report.is_verified() {
        return Ok(Exit::Done.into());
    }
    if args.json {
        if report.acknowledged_nothing() {
            eprintln!("nothing was acknowledged, so nothing is verified");
        }
        for (what, count) in report.violations() {
            eprintln!("violation: {what} {count}");
        }
        report
            .examples
            .iter()
            .for_each(|example| eprintln!("  {example}"));
    }
    Ok(Exit::Failure.into())
}

impl BenchArgs {
    fn options(&self, target: Target, server_pid: Option<u32>) -> Options {
        Options {
            members: self.members,
            rooms: self.rooms,
            senders: self.senders,
            rate: match self.rate {
                Asked::PerSecond(0) => Rate::Idle,
                Asked::PerSecond(rate) => Rate::PerSecond(rate),
                Asked::Max => Rate::Max {
                    window: self.window,
                },
            },
            warmup: Duration::from_secs(self.warmup),
            duration: Duration::from_secs(self.seconds),
            size_bytes: self.size,
            threads: self.threads,
            resume: self.resume,
            server_pid,
            ..Options::new(target)
        }
    }
}

async fn load_own(args: &BenchArgs, stop: &CancellationToken) -> anyhow::Result<Report> {
    // The server inherits the limit of open files.
    let connections = args.members.saturating_add(args.senders.saturating_mul(2));
    bench::allow_connections(connections.min(2 * bench::MOST_MEMBERS))?;
    let program =
        std::env::current_exe().context("this program's own path is needed to start a server")?;
    let server = OwnServer::start(&program, args.plugins.as_deref()).await?;
    let report = load(args, &server.url, Some(server.pid), stop).await;
    let stopped = server.stop().await;
    let report = report?;
    stopped?;
    Ok(report)
}

async fn load(
    args: &BenchArgs,
    url: &str,
    pid: Option<u32>,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let target = Target::resolve(url).await?;
    let here = target
        .address
        .ip()
        .is_loopback()
        .then(|| bench::listening_on(target.address.port()))
        .flatten();
    let options = args.options(target, pid.or(args.server_pid).or(here));
    let counts = Arc::new(Counts::default());
    let progress = std::io::stderr()
        .is_terminal()
        .then(|| tokio::spawn(show_progress(Arc::clone(&counts))));
    let report = bench::run(options, counts, stop.clone()).await;
    if let Some(progress) = progress {
        progress.abort();
        eprint!("\r\x1b[K");
    }
    Ok(report?)
}

/// The first one ends the run early, with its report; the second one this program.
async fn stop_at_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}

async fn show_progress(counts: Arc<Counts>) {
    let mut last = (0, 0);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        let now = (
            Counts::get(&counts.acknowledged),
            Counts::get(&counts.deliveries),
        );
        let connected = Counts::get(&counts.connected);
        let (accepted, delivered) = (now.0 - last.0, now.1 - last.1);
        eprint!("\r\x1b[K{connected} connected, {accepted}/s accepted, {delivered}/s delivered");
        if let Some(violation) = counts.examples().first() {
            eprint!(" — VIOLATION: {violation}");
        }
        last = now;
    }
}
