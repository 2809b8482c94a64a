//! Where a server is: the address as the person gives it, judged and in one spelling.
//!
//! The proof of a name is kept under the address, so two spellings of one address must come out the same.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// What `http://` means where no port is given.
const HTTP_PORT: u16 = 80;

/// A server's address: `http://host:port`, in lower case and always with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(http::Uri);

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write it like http://127.0.0.1:8081")]
pub struct NoAddress(String);

impl Address {
    /// For whoever connects there.
    #[must_use]
    pub fn uri(&self) -> &http::Uri {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", http::uri::Authority::as_str);
        write!(f, "http://{authority}")
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(given: &str) -> Result<Self, NoAddress> {
        let wrong = |why: &str| NoAddress(why.to_owned());
        let Some((scheme, rest)) = given.split_once("://") else {
            return Err(wrong("it does not begin with http://"));
        };
        match scheme.to_lowercase().as_str() {
            "http" => {}
            "https" => {
                return Err(wrong(
                    "this client speaks http:// only, so put it and the server behind a tunnel or a TLS proxy on this machine",
                ));
            }
            _ => return Err(NoAddress(format!("`{scheme}://` is not http://"))),
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = rest.find(['/', '?', '#']) {
            let path = rest.get(at..).unwrap_or_default();
            return Err(NoAddress(format!(
                "`{path}` is too much: a server has no path"
            )));
        }
        if rest.contains('@') {
            return Err(wrong(
                "it holds an `@`: the name is not part of the address",
            ));
        }
        let (host, port) = host_and_port(rest)?;
        let host = host.to_lowercase();
        format!("http://{host}:{port}")
            .parse()
            .map(Self)
            .map_err(|_| NoAddress(format!("`{host}` is not the name or address of a host")))
    }
}

fn host_and_port(text: &str) -> Result<(&str, u16), NoAddress> {
    // An IPv6 address has colons of its own, so it stands in brackets.
    let (host, port) = match text.find(']') {
        Some(end) => {
            let (host, rest) = text.split_at_checked(end + 1).unwrap_or((text, ""));
            let inside = host.trim_start_matches('[').trim_end_matches(']');
            if !host.starts_with('[') || inside.parse::<Ipv6Addr>().is_err() {
                return Err(NoAddress(format!("`{host}` is not an IPv6 address")));
            }
            let port = rest.strip_prefix(':');
            if port.is_none() && !rest.is_empty() {
                return Err(NoAddress(format!("`{rest}` is not a port")));
            }
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(NoAddress("it names no host".to_owned()));
    }
    let port = match port {
        None => HTTP_PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|number| *number > 0 && port.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| {
                NoAddress(format!(
                    "the port `{port}` is not a number from 1 to {}",
                    u16::MAX
                ))
            })?,
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(given: &str) -> String {
        given.parse::<Address>().unwrap().to_string()
    }

    #[test]
    fn two_spellings_of_one_address_are_one() {
        for given in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8081/",
            "HTTP://127.0.0.1:8081",
            "http://127.0.0.1:08081",
        ] {
            assert_eq!(spelled(given), "http://127.0.0.1:8081", "{given}");
        }
        assert_eq!(spelled("http://Example.ORG"), "http://example.org:80");
        assert_eq!(spelled("http://example.org:80/"), "http://example.org:80");
        assert_eq!(spelled("http://[::1]:9000"), "http://[::1]:9000");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (given, wrong) in [
            ("", "does not begin with http://"),
            ("127.0.0.1:8081", "does not begin with http://"),
            ("ftp://nowhere", "`ftp://`"),
            ("https://example.org", "tunnel"),
            ("http://", "no host"),
            ("http://:8081", "no host"),
            ("http://127.0.0.1:99999", "`99999`"),
            ("http://127.0.0.1:8081x", "`8081x`"),
            ("http://127.0.0.1:-1", "`-1`"),
            ("http://127.0.0.1:+1", "`+1`"),
            ("http://127.0.0.1:0", "`0`"),
            ("http://127.0.0.1:", "the port ``"),
            ("http://127.0.0.1:8081/chat", "`/chat`"),
            ("http://127.0.0.1:8081?a", "`?a`"),
            ("http://me@127.0.0.1:8081", "`@`"),
            ("http://a b", "`a b`"),
            ("http://[::1", "`:1`"),
            ("http://[x]:1", "`[x]`"),
            ("http://[::1]x", "`x` is not a port"),
        ] {
            let words = given.parse::<Address>().unwrap_err().to_string();
            assert!(words.contains(wrong), "{given}: {words}");
        }
    }
}
