//! `chat-host serve`: settings, log lines, limits, runtime; then the app until a signal, and its drain.
//!
//! The first SIGTERM, SIGINT or SIGHUP (the terminal was closed) starts the drain, the second one ends at once. stdout carries the address and nothing
//! else: a script may start the server on port 0 and read its first line.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{debug, info, warn};

use super::exit::{Exit, complain};
use crate::app::App;
use crate::config::Config;
use crate::config::flags::Flags;
use crate::config::preflight::{preflight, strangers};
use crate::config::problem::Source;
use crate::config::sources::{self, Resolved};
use crate::config::variables::Variables;
use crate::control;
use crate::journal::embedded::OpenError;
use crate::telemetry::diary::Diary;
use crate::telemetry::logs;

/// What `chat-host serve` is given.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    flags: Flags,
}

/// Serves until it is told to stop.
#[must_use]
pub fn run(args: &ServeArgs) -> ExitCode {
    match sources::resolve(&args.flags, &Variables::of_process()) {
        Err(problems) => super::config::wrong(&problems),
        Ok(resolved) => match start(resolved) {
            Ok(code) => code,
            Err(error) => {
                complain(&format!("{error:#}"));
                Exit::Failure.into()
            }
        },
    }
}

fn start(resolved: Resolved) -> anyhow::Result<ExitCode> {
    let diary = Diary::default();
    logs::init(resolved.config.log, &resolved.config.log_level, &diary)?;
    preflight(&resolved.config)?;
    warn_of_no_effect(&resolved);
    let config = resolved.config;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?;
    let ended = runtime.block_on(serve(config, diary));
    // What the drain left behind had its time.
    runtime.shutdown_background();
    ended
}

/// What is set and does nothing.
fn warn_of_no_effect(resolved: &Resolved) {
    let Resolved { config, .. } = resolved;
    let (memory, data) = (resolved.source("memory"), resolved.source("data"));
    if config.memory && data != Source::Default {
        warn!(
            data = %format_args!("{} ({data})", config.data.display()),
            memory = %format_args!("true ({memory})"),
            "everything is kept in memory, and nothing in the data folder"
        );
    }
    for stranger in strangers(config) {
        warn!("{stranger}");
    }
    if config.plugins.is_none() && !config.plugin_settings.is_empty() {
        let names: Vec<&str> = config.plugin_settings.keys().map(String::as_str).collect();
        warn!(
            plugins = names.join(","),
            "there are settings for plugins, but no folder is set; say --plugins DIR"
        );
    }
}

async fn serve(config: Config, diary: Diary) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("signals can't be listened to")?;
    let data = config.data.clone();
    let app = tokio::select! {
        app = App::build(config, diary) => match app {
            Ok(app) => app,
            Err(error) => return Err(with_holder(error, &data).await),
        },
        name = signals.next() => {
            info!(signal = name, "stopped before the start was complete");
            return Ok(Exit::Done.into());
        }
    };
    announce(app.listen());

    let (drain, draining) = tokio::sync::oneshot::channel::<()>();
    let told = async {
        let name = signals.next().await;
        info!(signal = name, "draining; a second signal ends at once");
        // The app is gone only when it has ended by itself.
        let _ = drain.send(());
        signals.next().await
    };
    let running = app.run(async {
        let _ = draining.await;
    });
    tokio::select! {
        ended = running => {
            ended?;
            info!("stopped");
            Ok(Exit::Done.into())
        }
        name = told => {
            warn!(signal = name, "stopped at once; clients resume from what is durable");
            Ok(Exit::Failure.into())
        }
    }
}

/// Names the process that has the data folder, where that is what is wrong.
async fn with_holder(error: anyhow::Error, data: &Path) -> anyhow::Error {
    match error.downcast::<OpenError>() {
        Ok(OpenError::InUse { path, .. }) => {
            let process = control::process_on(data).await;
            OpenError::InUse { path, process }.into()
        }
        Ok(other) => other.into(),
        Err(other) => other,
    }
}

/// The signals that ask a server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None where who started us wants it ignored, as `nohup` does.
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: if ignores_hang_up() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = received(self.hang_up.as_mut()) => "SIGHUP",
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored. Only Linux tells without unsafe code.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1) // SIGHUP is the first.
}

/// Tells where the server is, and on a terminal how to try it.
fn announce(address: SocketAddr) {
    let mut text = format!("listening on http://{address}\n");
    if std::io::stdout().is_terminal() {
        let near = reachable(address);
        text.push_str(&format!(
            "try: {} chat --name alice --server http://{near}\n",
            called()
        ));
    }
    super::print(&text);
}

/// This program as it was called: it need not be where the shell looks for programs.
fn called() -> String {
    std::env::args_os().next().map_or_else(
        || "chat-host".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// An address a client on this machine can use: nobody connects to 0.0.0.0.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Each connection is an open file, and the soft limit is 1,024 on most systems, kept low only for programs that use
/// `select`.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => debug!(open_files = limit.maximum, "limit raised"),
        Err(error) => warn!(%error, open_files = limit.current, "the limit of open files stays"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_try_is_one_that_can_be_reached() {
        for (bound, near) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()), near.parse().unwrap());
        }
    }
}
