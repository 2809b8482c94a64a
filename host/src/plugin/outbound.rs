//! What one plugin may ask of services outside: the hosts that it was granted, and how often and how many at once.
//!
//! One for a version, shared by its instances in all partitions. Does not know how a request is sent (`exchange`), nor
//! which call of the guest it belongs to (`asking`).

mod address;
mod asking;
mod certificates;
mod exchange;

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tracing::warn;

use super::stats::PluginStats;
use crate::config::grant::{Grant, Host};

pub(super) use asking::{Asking, Call};

/// Requests of a plugin at once, over all partitions.
const AT_ONCE: usize = 16;
/// What a plugin's instances hold of answers, in KiB: a guest may keep them for as long as it lives.
const HELD_KIB: usize = 16 * 1024;
/// Requests a plugin may make at once after a pause, and how long it takes to earn another.
const BURST: u32 = 100;
const EARN: Duration = Duration::from_millis(20);
/// Refusals are told this often at most; those between are counted.
const TELL: Duration = Duration::from_secs(10);

/// Turns a name and a port into addresses; blocks.
type Resolve = dyn Fn(&str, u16) -> std::io::Result<Vec<SocketAddr>> + Send + Sync;

/// How names become addresses.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

impl Resolver {
    /// One that a test holds.
    pub fn new(
        resolve: impl Fn(&str, u16) -> std::io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(resolve))
    }
}

impl Default for Resolver {
    /// The system's.
    fn default() -> Self {
        Self::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// See the module.
pub(super) struct Outbound {
    plugin: Arc<str>,
    grants: Vec<Grant>,
    resolver: Resolver,
    /// None where TLS can't be spoken.
    tls: Option<TlsConnector>,
    stats: Arc<PluginStats>,
    at_once: Arc<Semaphore>,
    held_kib: Arc<Semaphore>,
    // Taken by partitions' threads, for a few instructions each.
    pace: Mutex<Pace>,
    told: Mutex<Told>,
}

/// Where a request goes.
struct Destination {
    host: Host,
    port: u16,
    usual_port: u16,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Outbound {
    pub(super) fn new(
        plugin: Arc<str>,
        grants: Vec<Grant>,
        resolver: Resolver,
        stats: Arc<PluginStats>,
    ) -> Self {
        let tls = (!grants.is_empty())
            .then(|| certificates::connector(&plugin))
            .flatten();
        Self {
            plugin,
            grants,
            resolver,
            tls,
            stats,
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            held_kib: Arc::new(Semaphore::new(HELD_KIB)),
            pace: Mutex::new(Pace::new(Instant::now())),
            told: Mutex::default(),
        }
    }

    /// Whether one more request may go out now; it holds its place as long as the permit lives.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.at_once.clone().try_acquire_owned().ok()?;
        self.pace.lock().take(Instant::now()).then_some(place)
    }

    /// Room for an answer of so many bytes; it counts as long as the permit lives.
    fn hold(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        // Its headers take room, too.
        let kib = u32::try_from(bytes / 1024 + 1).ok()?;
        self.held_kib.clone().try_acquire_many_owned(kib).ok()
    }

    fn grants(&self, to: &Destination) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.names(&to.host, to.port, to.usual_port))
    }

    /// Whether a granted host may be at this address. One that is not public must be named itself, or be `localhost`:
    /// a name is its owner's, who may let it lead to anything in the operator's network.
    fn may_be_at(&self, to: &Destination, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_localhost = matches!(&to.host, Host::Name(name) if name == "localhost");
        address::is_public(address)
            || (is_localhost && address.is_loopback())
            || self
                .grants
                .iter()
                .any(|grant| grant.names(&Host::Address(address), to.port, to.usual_port))
    }

    /// Counts a refusal, and tells it. Never path and query: they may hold what somebody said.
    fn refused(&self, host: &dyn fmt::Display, why: &str) {
        self.stats.requests.refused.add(1);
        let Some(others) = self.told.lock().tell(Instant::now()) else {
            return;
        };
        warn!(plugin = &*self.plugin, %host, others, "a plugin's request was refused: {why}");
    }
}

/// A bucket of requests.
struct Pace {
    left: u32,
    earned_at: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            earned_at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.earned_at).as_millis() / EARN.as_millis();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            // What is left of the time counts for the next one.
            self.earned_at = if self.left == BURST {
                now
            } else {
                self.earned_at + EARN * earned
            };
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

/// When a refusal was told last, and how many were not told since.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    since: u64,
}

impl Told {
    fn tell(&mut self, now: Instant) -> Option<u64> {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < TELL)
        {
            self.since += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(grants: &[&str]) -> Outbound {
        Outbound::new(
            "asker".into(),
            grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            Resolver::default(),
            Arc::default(),
        )
    }

    fn to(host: &str, port: u16) -> Destination {
        Destination {
            host: Host::parse(host).unwrap(),
            port,
            usual_port: 80,
        }
    }

    #[test]
    fn a_name_leads_to_no_address_of_ours_unless_that_is_named_too() {
        let private = "10.1.2.3".parse().unwrap();
        let public = "93.184.216.34".parse().unwrap();
        let alone = outbound(&["api.example.com:9000"]);
        assert!(alone.may_be_at(&to("api.example.com", 9000), public));
        assert!(!alone.may_be_at(&to("api.example.com", 9000), private));
        let mapped = "::ffff:10.1.2.3".parse().unwrap();
        assert!(!alone.may_be_at(&to("api.example.com", 9000), mapped));
        let both = outbound(&["api.example.com:9000", "10.1.2.3:9000"]);
        assert!(both.may_be_at(&to("api.example.com", 9000), private));
        let other_port = outbound(&["api.example.com:9000", "10.1.2.3:9001"]);
        assert!(!other_port.may_be_at(&to("api.example.com", 9000), private));
    }

    #[test]
    fn localhost_is_here_and_in_no_other_private_place() {
        let outbound = outbound(&["localhost:9000"]);
        let here = to("localhost", 9000);
        assert!(outbound.may_be_at(&here, "127.0.0.1".parse().unwrap()));
        assert!(outbound.may_be_at(&here, "::1".parse().unwrap()));
        assert!(!outbound.may_be_at(&here, "10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_plugin_has_its_burst_and_then_its_rate() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let at_once = (0..1000).filter(|_| pace.take(begin)).count();
        assert_eq!(at_once, 100);
        let second = (1..=1000)
            .filter(|ms| pace.take(begin + Duration::from_millis(*ms)))
            .count();
        assert_eq!(second, 50);
    }

    #[test]
    fn places_are_given_back() {
        let outbound = outbound(&[]);
        let mut held: Vec<_> = (0..20).map_while(|_| outbound.place()).collect();
        assert_eq!(held.len(), 16);
        held.pop();
        assert!(outbound.place().is_some());
    }

    #[test]
    fn answers_that_are_kept_have_a_bound_together() {
        let outbound = outbound(&[]);
        let mut held: Vec<_> = (0..20).map_while(|_| outbound.hold(1 << 20)).collect();
        assert_eq!(held.len(), 15);
        assert!(outbound.hold(100).is_some());
        held.pop();
        assert!(outbound.hold(1 << 20).is_some());
    }

    #[test]
    fn refusals_are_told_now_and_then_with_the_number_of_the_others() {
        let begin = Instant::now();
        let mut told = Told::default();
        assert_eq!(told.tell(begin), Some(0));
        assert_eq!(told.tell(begin + TELL / 2), None);
        assert_eq!(told.tell(begin + TELL), Some(1));
    }
}
