//! One request: from what a guest hands over to the whole answer, within the bounds on sizes and time.
//!
//! Names are resolved once; what was found is judged, and connected to. The answer is read whole, so that nothing of a
//! connection is left when the guest has it. Redirects are followed by nobody here: a guest that does asks again.

use std::error::Error as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HeaderName;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{self, pki_types::ServerName};
use tracing::debug;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{Destination, Host, Outbound};
use crate::plugin::CauseId;

/// No request takes longer, whatever the plugin's time on the clock.
const LONGEST: Duration = Duration::from_secs(5);
const REQUEST_BYTES: usize = 64 * 1024;
const RESPONSE_BYTES: usize = 1024 * 1024;
/// Of an answer; their bytes in all.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 64 * 1024;
/// So many of a name's addresses are tried.
const ADDRESSES: usize = 4;

/// By this a service knows what it was asked before.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Outbound {
    /// Asks, and reads the whole answer. `place` is held as long as anything of it goes on.
    pub(super) async fn exchange(
        &self,
        to: Destination,
        cause: CauseId,
        request: Request<WasiBody>,
        options: RequestOptions,
        place: OwnedSemaphorePermit,
    ) -> Result<Response<Bytes>, Error> {
        let asking = self.ask(to, cause, request, options, place);
        let late = |_| Err(Error::HttpResponseTimeout);
        timeout(LONGEST, asking).await.unwrap_or_else(late)
    }

    async fn ask(
        &self,
        to: Destination,
        cause: CauseId,
        request: Request<WasiBody>,
        options: RequestOptions,
        place: OwnedSemaphorePermit,
    ) -> Result<Response<Bytes>, Error> {
        let (mut parts, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_BYTES).collect().await;
        let body = body.map_err(unsent)?.to_bytes();
        if !parts.headers.contains_key(KEY) {
            let key = key(&self.plugin, cause, &parts.method, &parts.uri, &body);
            parts
                .headers
                .insert(KEY, key.map_err(|_| Error::InternalError(None))?);
        }
        let is_tls = parts.uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        // A server is asked for a path; the host is in its header, which the guest can't set.
        let path = parts.uri.path_and_query().cloned();
        parts.uri = path
            .unwrap_or_else(|| PathAndQuery::from_static("/"))
            .into();
        let request = Request::from_parts(parts, Full::new(body));

        let place = Arc::new(place);
        let connect = options.connect_timeout.unwrap_or(LONGEST);
        let stream = self.connect(&to, connect, &place).await?;
        if is_tls {
            let securing = self.secure(&to, stream);
            let late = |_| Err(Error::ConnectionTimeout);
            let stream = timeout(connect, securing).await.unwrap_or_else(late)?;
            talk(stream, request, options).await
        } else {
            talk(stream, request, options).await
        }
    }

    async fn connect(
        &self,
        to: &Destination,
        within: Duration,
        place: &Arc<OwnedSemaphorePermit>,
    ) -> Result<TcpStream, Error> {
        let found = self.addresses(to, place).await?;
        let mut may: Vec<SocketAddr> = found.clone();
        may.retain(|address| self.may_be_at(to, address.ip()));
        may.truncate(ADDRESSES);
        if let (Some(address), true) = (found.first(), may.is_empty()) {
            let why =
                "it leads to an address that is not public; grant the address too if that is meant";
            self.refused(&format!("{} at {}", to.host, address.ip()), why);
            return Err(Error::DestinationIpProhibited);
        }
        let each = within / u32::try_from(may.len().max(1)).unwrap_or(1);
        let mut failed = Error::DestinationNotFound;
        for address in may {
            match timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Best effort: without it the request is late, and no more.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => {
                    debug!(plugin = &*self.plugin, %address, %error, "a service can't be reached");
                    failed = Error::ConnectionRefused;
                }
                Err(_) => failed = Error::ConnectionTimeout,
            }
        }
        Err(failed)
    }

    async fn addresses(
        &self,
        to: &Destination,
        place: &Arc<OwnedSemaphorePermit>,
    ) -> Result<Vec<SocketAddr>, Error> {
        let name = match &to.host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, to.port)]),
            Host::Name(name) => name.clone(),
        };
        let (resolver, port, place) = (self.resolver.clone(), to.port, place.clone());
        // It can't be ended: it keeps the request's place as long as it takes.
        let looking = tokio::task::spawn_blocking(move || {
            let found = (resolver.0)(&name, port);
            drop(place);
            found
        });
        match looking.await {
            Ok(Ok(found)) => Ok(found),
            other => {
                debug!(plugin = &*self.plugin, host = %to.host, ?other, "a name leads nowhere");
                Err(Error::DnsError {
                    rcode: None,
                    info_code: None,
                })
            }
        }
    }

    async fn secure(
        &self,
        to: &Destination,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let name = match &to.host {
            Host::Address(address) => ServerName::IpAddress((*address).into()),
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?
            }
        };
        let tls = self.tls.as_ref().ok_or(Error::TlsProtocolError)?;
        tls.connect(name, stream).await.map_err(|error| {
            debug!(plugin = &*self.plugin, host = %to.host, %error, "no TLS with a service");
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            match inner {
                Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
                _ => Error::TlsProtocolError,
            }
        })
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    options: RequestOptions,
) -> Result<Response<Bytes>, Error> {
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let mut answer = pin!(async move {
        let first = options.first_byte_timeout.unwrap_or(LONGEST);
        let response = timeout(first, sender.send_request(request)).await;
        let response = response.map_err(|_| Error::HttpResponseTimeout)?;
        let (parts, body) = response.map_err(|error| broken(&error))?.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::HttpProtocolError);
        }
        let between = options.between_bytes_timeout.unwrap_or(LONGEST);
        let body = read(body, between).await?;
        Ok(Response::from_parts(parts, body))
    });
    tokio::select! {
        answer = &mut answer => answer,
        // The server has closed: what there is of the answer is here.
        _ = connection => answer.await,
    }
}

async fn read(mut body: hyper::body::Incoming, between: Duration) -> Result<Bytes, Error> {
    let mut read = BytesMut::new();
    loop {
        let frame = timeout(between, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::HttpResponseTimeout)? else {
            return Ok(read.freeze());
        };
        // Trailers are of no use to anybody here.
        if let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() {
            if read.len() + data.len() > RESPONSE_BYTES {
                return Err(Error::HttpResponseBodySize(None));
            }
            read.extend_from_slice(&data);
        }
    }
}

/// The guest's body was too large, or not handed over.
fn unsent(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    if error.is::<LengthLimitError>() {
        return Error::HttpRequestBodySize(None);
    }
    error
        .downcast()
        .map_or(Error::ConnectionTerminated, |error| *error)
}

fn broken(error: &hyper::Error) -> Error {
    if error.is_parse_too_large() {
        return Error::HttpResponseHeaderSectionSize(None);
    }
    let is_io = error
        .source()
        .is_some_and(|source| source.is::<std::io::Error>());
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_io {
        return Error::ConnectionTerminated;
    }
    Error::HttpProtocolError
}

/// The same for the same request about the same message, whenever and however often it is made; another for any other.
fn key(
    plugin: &str,
    cause: CauseId,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut hash = Sha256::new();
    hash.update(cause.0.to_be_bytes());
    for part in [plugin, method.as_str(), &uri.to_string()] {
        hash.update(part);
        // In none of them.
        hash.update([0]);
    }
    hash.update(body);
    let digest = hash.finalize();
    let hex = digest.iter().take(16).flat_map(|byte| {
        [byte >> 4, byte & 15].map(|digit| match digit {
            0..=9 => b'0' + digit,
            _ => b'a' + digit - 10,
        })
    });
    HeaderValue::from_bytes(&hex.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_the_message_and_of_what_is_asked() {
        let uri = Uri::from_static("http://a/b");
        let of = |plugin, cause, method, uri: &Uri, body| {
            key(plugin, CauseId(cause), &method, uri, body).unwrap()
        };
        let first = of("p", 1, Method::POST, &uri, b"x");
        assert_eq!(first, of("p", 1, Method::POST, &uri, b"x"));
        assert_eq!(first.len(), 32);
        let other_uri = Uri::from_static("http://a/c");
        for other in [
            of("q", 1, Method::POST, &uri, b"x"),
            of("p", 2, Method::POST, &uri, b"x"),
            of("p", 1, Method::PUT, &uri, b"x"),
            of("p", 1, Method::POST, &other_uri, b"x"),
            of("p", 1, Method::POST, &uri, b"y"),
        ] {
            assert_ne!(first, other);
        }
    }
}
