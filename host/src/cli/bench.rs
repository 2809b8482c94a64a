//! `chat-host bench`: loads a server, verifies what it delivers, and says what it cost.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::bench::{self, Counts, Options, OwnServer, Rate, Report, Target};

/// Load a server over the real protocol and verify every delivery: numbers, latencies, and a verdict
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// The server; without it one is started on a temporary folder, as a process of its own
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Plugins for the server that is started
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    plugins: Option<PathBuf>,
    /// The server's process, for its cost; found by its port where it is on this machine
    #[arg(long, value_name = "PID", requires = "server")]
    server_pid: Option<u32>,
    /// Members in all, at most 20,000; each is in one room
    #[arg(long, value_name = "N", default_value_t = 100)]
    members: usize,
    /// Rooms, filled with members in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    rooms: usize,
    /// Sessions that send
    #[arg(long, value_name = "N", default_value_t = 1)]
    senders: usize,
    /// Messages a second in all; `max`: as fast as they are seen; 0: connections only
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = parse_rate)]
    rate: Asked,
    /// With `--rate max`: messages of a sender that may be unseen
    #[arg(long, value_name = "N", default_value_t = 64)]
    window: usize,
    /// The measured time
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Load before it, which is verified and not measured
    #[arg(long, value_name = "N", default_value_t = 1)]
    warmup: u64,
    /// Bytes of each message's text
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    size: usize,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 2)]
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

/// Exits with 1 where a promise was broken.
///
/// # Errors
/// When the run can't be made, or the server that was started for it fails.
pub async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
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
    let violations = report.violations();
    if violations.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        for (what, count) in violations {
            eprintln!("violation: {what} {count}");
        }
        report
            .examples
            .iter()
            .for_each(|example| eprintln!("  {example}"));
    }
    Ok(ExitCode::FAILURE)
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
    let options = Options {
        members: args.members,
        rooms: args.rooms,
        senders: args.senders,
        rate: match args.rate {
            Asked::PerSecond(0) => Rate::Idle,
            Asked::PerSecond(rate) => Rate::PerSecond(rate),
            Asked::Max => Rate::Max {
                window: args.window,
            },
        },
        warmup: Duration::from_secs(args.warmup),
        duration: Duration::from_secs(args.seconds),
        size_bytes: args.size,
        threads: args.threads,
        resume: args.resume,
        server_pid: pid.or(args.server_pid).or(here),
        ..Options::new(target)
    };
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
