//! A grant: a host that a plugin may reach over HTTP, as the operator writes it.
//!
//! `api.example.com`, `localhost:9000`, `10.1.2.3:8443`, `[fd00::1]`. Without a port it is that of the scheme. Knows no
//! requests: what a grant is held against is a host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grant {
    host: Host,
    port: Option<u16>,
}

/// A name or an address, in the one form in which both are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Lower-case ASCII, as DNS has it.
    Name(String),
    /// An IPv4 address is never written as IPv6.
    Address(IpAddr),
}

/// What a grant looks like, for a person who wrote something else.
pub const ALLOWED: &str = "hosts, each a name or an address, and a port where it is not the usual one, such as api.example.com, localhost:9000, 10.1.2.3:8443 or [fd00::1]; no scheme, no path, no `*`";

impl Host {
    /// None where the text is neither. Brackets stand around an IPv6 address, as in a URL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return address.is_ipv4().then_some(Self::Address(address));
        }
        let name = idna::domain_to_ascii_strict(text).ok()?;
        // What ends in a number is an address to some resolvers (`127.1`, `0x7f.1`), and never a name.
        let last = name.rsplit('.').next()?;
        let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
        (!number).then_some(Self::Name(name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Grant {
    /// Whether it names this host and this port; `usual` is the port of the scheme.
    #[must_use]
    pub fn names(&self, host: &Host, port: u16, usual: u16) -> bool {
        self.host == *host && port == self.port.unwrap_or(usual)
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` can't be granted; grant {ALLOWED}");
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of an address in brackets is one of its own.
            Some((host, port)) if !port.ends_with(']') => {
                let port: u16 = port.parse().map_err(|_| wrong())?;
                (host, Some(port).filter(|port| *port > 0).ok_or_else(wrong)?)
            }
            _ => {
                let host = Host::parse(text).ok_or_else(wrong)?;
                return Ok(Self { host, port: None });
            }
        };
        Ok(Self {
            host: Host::parse(host).ok_or_else(wrong)?,
            port: Some(port),
        })
    }
}

impl TryFrom<String> for Grant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_has_one_form_however_it_is_written() {
        for (written, form) in [
            ("api.example.com", "api.example.com"),
            (" API.Example.COM:8443 ", "api.example.com:8443"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("localhost:9000", "localhost:9000"),
            ("10.1.2.3", "10.1.2.3"),
            ("[FD00::1]:80", "[fd00::1]:80"),
            ("[fd00::1]", "[fd00::1]"),
            ("[::ffff:10.1.2.3]:80", "10.1.2.3:80"),
        ] {
            let grant: Grant = written.parse().unwrap();
            assert_eq!(grant.to_string(), form, "{written}");
            assert_eq!(form.parse::<Grant>().unwrap(), grant, "{written}");
        }
    }

    #[test]
    fn what_is_no_host_is_named() {
        for wrong in [
            "",
            "https://example.com",
            "example.com/path",
            "*.example.com",
            "*",
            "a b",
            "user@example.com",
            "example.com:",
            "example.com:0",
            "example.com:99999",
            "fd00::1",
            "[fd00::1",
            "127.1",
            "0x7f.0.0.0x1",
            "2130706433",
            "a..b",
        ] {
            let told = wrong.parse::<Grant>().unwrap_err();
            assert!(told.starts_with(&format!("`{wrong}` can't")), "{told}");
        }
    }

    #[test]
    fn a_grant_without_a_port_names_the_usual_one_alone() {
        let host = Host::parse("api.example.com").unwrap();
        let bare: Grant = "api.example.com".parse().unwrap();
        assert!(bare.names(&host, 443, 443));
        assert!(!bare.names(&host, 8443, 443));
        let with: Grant = "api.example.com:8443".parse().unwrap();
        assert!(with.names(&host, 8443, 443));
        assert!(!with.names(&host, 443, 443));
        let below = Host::parse("evil.api.example.com").unwrap();
        assert!(!bare.names(&below, 443, 443));
    }
}
