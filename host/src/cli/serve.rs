//! `chat-host serve`: settings, log lines, limits, runtime; then the app until a signal, and its drain.
//!
//! The first SIGTERM or SIGINT starts the drain, the second one ends at once. stdout carries the address and nothing
//! else: a script may start the server on port 0 and read its first line.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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
use crate::config::preflight::preflight;
use crate::config::sources;
use crate::config::variables::Variables;
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
        Ok(resolved) => match start(resolved.config) {
            Ok(code) => code,
            Err(error) => {
                complain(&format!("{error:#}"));
                Exit::Failure.into()
            }
        },
    }
}

fn start(config: Config) -> anyhow::Result<ExitCode> {
    logs::init(config.log, &config.log_level)?;
    preflight(&config)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?;
    let ended = runtime.block_on(serve(config));
    // What the drain left behind had its time.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("signals can't be listened to")?;
    let app = tokio::select! {
        app = App::build(config) => app?,
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

/// The signals that ask a server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells where the server is, and on a terminal how to try it.
fn announce(address: SocketAddr) {
    let mut text = format!("listening on http://{address}\n");
    if std::io::stdout().is_terminal() {
        let near = reachable(address);
        text.push_str(&format!(
            "try: chat-host chat --name alice --server http://{near}\n"
        ));
    }
    super::print(&text);
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
