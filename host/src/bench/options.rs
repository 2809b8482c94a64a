//! What a run is asked to do, and the bounds of what may be asked.

use std::net::SocketAddr;
use std::time::Duration;

/// More connections to one address than this would exhaust its ports.
pub const MOST_MEMBERS: usize = 20_000;

/// The largest text. What a server has read without saying so may fill half of the window that HTTP/2 begins with, so a
/// larger message might wait for ever.
pub const MOST_BYTES: usize = 32_000;

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// What the requests name as their host.
    pub authority: String,
}

/// A run can't be what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not an address that can be loaded.
    #[error("the server's address `{0}` is not understood; give http://HOST:PORT")]
    Url(String),
    /// The name does not resolve.
    #[error("the server's address `{url}` was not found: {cause}")]
    Resolve {
        /// As given.
        url: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A number out of its bounds.
    #[error("{what} is {given}; it must be {bounds}")]
    Bounds {
        /// The option.
        what: &'static str,
        /// Its value.
        given: usize,
        /// What would do.
        bounds: String,
    },
}

impl Target {
    /// Finds the server of `http://HOST:PORT`.
    ///
    /// # Errors
    /// [`OptionsError::Url`] and [`OptionsError::Resolve`].
    pub async fn resolve(url: &str) -> Result<Self, OptionsError> {
        let wrong = || OptionsError::Url(url.to_owned());
        let authority = url
            .strip_prefix("http://")
            .ok_or_else(wrong)?
            .trim_end_matches('/');
        if authority.is_empty() || authority.len() > 120 || authority.contains('/') {
            return Err(wrong());
        }
        let with_port = authority
            .parse::<http::uri::Authority>()
            .map_err(|_| wrong())?;
        let port = with_port.port_u16().ok_or_else(wrong)?;
        let mut found = tokio::net::lookup_host((with_port.host().trim_matches(['[', ']']), port))
            .await
            .map_err(|cause| OptionsError::Resolve {
                url: url.to_owned(),
                cause,
            })?;
        Ok(Self {
            address: found.next().ok_or_else(wrong)?,
            authority: authority.to_owned(),
        })
    }
}

/// How fast it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Not at all: connections only.
    Idle,
    /// So many a second in all, at their times whether or not the server keeps up.
    PerSecond(u32),
    /// As fast as messages are seen: each sender has at most `window` that were not.
    Max {
        /// Messages of one sender that a chosen member of their room has not yet seen.
        window: usize,
    },
}

/// One run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// Members in all; each is in one room.
    pub members: usize,
    /// Rooms, filled with members in turn.
    pub rooms: usize,
    /// Sessions that send; each is in its rooms too, beside the members.
    pub senders: usize,
    /// How fast.
    pub rate: Rate,
    /// Load before the measured window.
    pub warmup: Duration,
    /// The measured window.
    pub duration: Duration,
    /// How long everything acknowledged may take to reach everybody after the last send.
    pub settle: Duration,
    /// Bytes of each text.
    pub size_bytes: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Connect again and go on after a cut, instead of counting it as a violation.
    pub resume: bool,
    /// The server's process, where it is on this machine and is to be measured.
    pub server_pid: Option<u32>,
}

impl Options {
    /// A small run against a server.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            members: 100,
            rooms: 1,
            senders: 1,
            rate: Rate::PerSecond(100),
            warmup: Duration::ZERO,
            duration: Duration::from_secs(10),
            settle: Duration::from_secs(30),
            size_bytes: 200,
            threads: 2,
            resume: false,
            server_pid: None,
        }
    }

    /// Whether all numbers are within their bounds.
    ///
    /// # Errors
    /// [`OptionsError::Bounds`] with the first that is not.
    pub fn check(&self) -> Result<(), OptionsError> {
        let within = |what, given: usize, from: usize, to: usize| {
            if (from..=to).contains(&given) {
                return Ok(());
            }
            Err(OptionsError::Bounds {
                what,
                given,
                bounds: format!("{from} to {to}"),
            })
        };
        within("--members", self.members, 1, MOST_MEMBERS)?;
        within("--rooms", self.rooms, 1, self.members)?; // A room without a member verifies nothing.
        within("--senders", self.senders, 1, 1_000)?;
        within("--size", self.size_bytes, 1, MOST_BYTES)?;
        within("--threads", self.threads, 1, 64)?;
        if let Rate::Max { window } = self.rate {
            within("--window", window, 1, 65_536)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_named_by_scheme_host_and_port() {
        let target = Target::resolve("http://127.0.0.1:4000/").await.unwrap();
        assert_eq!(target.address, "127.0.0.1:4000".parse().unwrap());
        assert_eq!(target.authority, "127.0.0.1:4000");
        for wrong in [
            "127.0.0.1:4000",
            "https://127.0.0.1:1",
            "http://127.0.0.1",
            "http://",
            "http://a:1/x",
        ] {
            assert!(Target::resolve(wrong).await.is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn more_rooms_than_members_are_refused() {
        let options = Options::new(Target::resolve("http://127.0.0.1:1").await.unwrap());
        assert!(options.check().is_ok());
        let message = Options {
            rooms: 101,
            ..options
        }
        .check()
        .unwrap_err()
        .to_string();
        assert_eq!(message, "--rooms is 101; it must be 1 to 100");
    }
}
