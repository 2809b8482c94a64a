//! Asking services outside, where the operator grants their hosts (`http = ["api.example.com"]`).
//!
//! A plugin that calls nothing here does not import `wasi:http`, and needs no grant. Whatever is asked may be asked again:
//! a message that is decided again asks again. The host gives each request a header `idempotency-key`, which is the same
//! for the same request about the same message, unless the plugin sets one itself. Redirects are answers like others.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::outside;

/// How long is waited where [`Request::timeout`] says nothing. The plugin's time on the clock ends a call earlier.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// `http://` or `https://`, host, path.
    pub url: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// At most 64 KiB.
    pub body: Vec<u8>,
    /// How long the answer may take, all in all.
    pub timeout: Duration,
}

/// What is answered: at most 1 MiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// Such as 200; no status is an error.
    pub status: u16,
    /// Names in lower case, and values; those that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The whole of it.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operator has not granted this host, or where it leads to.
    #[error("the host is not granted")]
    Denied,
    /// The plugin asks more often than the host lets it.
    #[error("too many requests at once or in a second")]
    TooMany,
    /// Nobody answers there.
    #[error("the service can't be reached: {0}")]
    Unreachable(String),
    /// The answer took too long.
    #[error("the service did not answer in time")]
    Late,
    /// The request or the answer is larger than allowed.
    #[error("the request or the answer is too large")]
    TooLarge,
    /// What is asked can't be asked.
    #[error("the request is wrong: {0}")]
    Request(String),
    /// What is answered is not what was asked for.
    #[error("the answer is wrong: {0}")]
    Answer(String),
}

/// Asks for what is there.
///
/// # Errors
/// See [`Error`].
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

impl Request {
    /// With a method of this name.
    #[must_use]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// With one header more.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With this as its body, in JSON.
    ///
    /// # Errors
    /// [`Error::Request`] for what does not fit into JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(value).map_err(|error| Error::Request(error.to_string()))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// With so much time for the answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn send(self) -> Result<Response, Error> {
        outside::http(self)
    }
}

impl Response {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(there, _)| there.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`Error::Answer`] where it is none.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|error| Error::Answer(error.to_string()))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Answer`] where it is none, or has another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Answer(error.to_string()))
    }
}

/// Scheme, authority, and path with query of a URL.
#[cfg_attr(
    not(target_family = "wasm"),
    allow(dead_code, reason = "only a component takes it apart")
)]
pub(crate) fn parts(url: &str) -> Result<(&str, &str, String), Error> {
    let wrong = || Error::Request(format!("`{url}` is no address with http:// or https://"));
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !matches!(scheme, "http" | "https") || authority.is_empty() {
        return Err(wrong());
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((scheme, authority, format!("{slash}{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, scheme, authority, path) in [
            ("http://a", "http", "a", "/"),
            ("https://a:1/b?c=d#e", "https", "a:1", "/b?c=d"),
            ("http://a?b", "http", "a", "/?b"),
            ("http://a#b/c", "http", "a", "/"),
        ] {
            let found = parts(url).unwrap();
            assert_eq!(found, (scheme, authority, path.to_owned()), "{url}");
        }
        for wrong in ["a", "ftp://a", "http://", "http:///path", "://a"] {
            assert!(matches!(parts(wrong), Err(Error::Request(_))), "{wrong}");
        }
    }
}
