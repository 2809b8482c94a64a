//! One instance's way to services outside: whether the call at hand may ask at all, and its end, which ends what it
//! asked and has no answer yet.

use std::sync::Arc;

use http::uri::Scheme;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{Destination, Host, Outbound};
use crate::plugin::CauseId;

/// What the host keeps of a body that is being written: a guest may begin many, and send none.
const WRITE_BYTES: usize = 8 * 1024;

/// See the module.
pub(in super::super) struct Asking {
    /// None without a grant; `wasi:http` is not linked then.
    outbound: Option<Arc<Outbound>>,
    call: Call,
    misused: bool,
}

/// What the call at hand may ask.
pub(in super::super) enum Call {
    /// Nothing: a call of this kind has no business outside.
    MayNot,
    /// Nothing, for it is about nothing real: a version that is tried, a tool. It finds no service.
    Tried,
    /// About this message.
    About(CauseId, CancellationToken),
}

impl Call {
    pub(in super::super) fn about(cause: CauseId) -> Self {
        Self::About(cause, CancellationToken::new())
    }
}

/// What is sent on by the hook below.
type Answer = Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send>;
type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

struct Admitted {
    outbound: Arc<Outbound>,
    to: Destination,
    cause: CauseId,
    ended: CancellationToken,
    place: OwnedSemaphorePermit,
}

impl Asking {
    pub(in super::super) fn new(outbound: Option<Arc<Outbound>>) -> Self {
        Self {
            outbound,
            call: Call::MayNot,
            misused: false,
        }
    }

    /// Whether there is anything to begin.
    pub(in super::super) fn is_granted(&self) -> bool {
        self.outbound.is_some()
    }

    pub(in super::super) fn begin(&mut self, call: Call) {
        self.call = call;
        self.misused = false;
    }

    /// Ends what the call has asked; answers whether it asked where it may not.
    pub(in super::super) fn end(&mut self) -> bool {
        if let Call::About(_, ended) = std::mem::replace(&mut self.call, Call::MayNot) {
            ended.cancel();
        }
        std::mem::take(&mut self.misused)
    }

    fn admit(&mut self, request: &Request<WasiBody>) -> Result<Admitted, Error> {
        let outbound = self.outbound.clone().ok_or(Error::HttpRequestDenied)?;
        let (cause, ended) = match &self.call {
            Call::About(cause, ended) => (*cause, ended.clone()),
            Call::Tried => return Err(Error::DestinationUnavailable),
            Call::MayNot => {
                self.misused = true;
                return Err(Error::HttpRequestDenied);
            }
        };
        let to = destination(request)?;
        if !outbound.grants(&to) {
            outbound.refused(&to, "it is not granted; add it to `http` if that is meant");
            return Err(Error::HttpRequestDenied);
        }
        let Some(place) = outbound.place() else {
            outbound.refused(&to, "the plugin asks too often, or too much at once");
            return Err(Error::ConnectionLimitReached);
        };
        outbound.stats.requests.asked.add(1);
        Ok(Admitted {
            outbound,
            to,
            cause,
            ended,
            place,
        })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.end();
    }
}

fn destination(request: &Request<WasiBody>) -> Result<Destination, Error> {
    if request.method() == Method::CONNECT {
        return Err(Error::HttpRequestMethodInvalid);
    }
    let uri = request.uri();
    let usual_port = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        _ => 443,
    };
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    // A user's name before the host would be taken for the host by somebody.
    if authority.as_str().contains('@') {
        return Err(Error::HttpRequestUriInvalid);
    }
    let host = Host::parse(authority.host()).ok_or(Error::HttpRequestUriInvalid)?;
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        None => usual_port,
    };
    Ok(Destination {
        host,
        port,
        usual_port,
    })
}

impl WasiHttpHooks for Asking {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_BYTES
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Io,
    ) -> Answer {
        let admitted = match self.admit(&request) {
            Ok(admitted) => admitted,
            Err(error) => return Box::new(std::future::ready(Err(error))),
        };
        Box::new(async move {
            let Admitted {
                outbound,
                to,
                cause,
                ended,
                place,
            } = admitted;
            let options = options.unwrap_or_default();
            let response = tokio::select! {
                biased;
                () = ended.cancelled() => return Err(Error::ConnectionTerminated),
                answer = outbound.exchange(to, cause, request, options, place) => answer?,
            };
            outbound.stats.requests.answered.add(1);
            let headers = response.headers().iter();
            let headers: usize = headers
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum();
            let held = outbound.hold(response.body().len() + headers);
            let held = held.ok_or(Error::ConnectionLimitReached)?;
            let response = response.map(|body| {
                let body = Full::new(body).map_err(move |never| {
                    let _until_it_is_dropped = &held;
                    match never {}
                });
                body.boxed_unsync()
            });
            // It is read already: nothing goes on behind it.
            let io: Io = Box::new(std::future::ready(Ok(())));
            Ok((response, io))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str) -> Request<WasiBody> {
        let body = Full::default()
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = Request::builder().method(method).uri(uri);
        request.body(body).unwrap()
    }

    #[test]
    fn a_destination_is_a_host_and_a_port() {
        for (uri, host, port) in [
            ("http://localhost/", "localhost", 80),
            ("https://API.example.com/a?b", "api.example.com", 443),
            ("https://[fd00::1]:8443/", "[fd00::1]", 8443),
            ("http://127.0.0.1:9000/", "127.0.0.1", 9000),
        ] {
            let to = destination(&request("GET", uri)).unwrap();
            assert_eq!((to.host.to_string().as_str(), to.port), (host, port));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (method, uri) in [
            ("GET", "http://api.example.com@evil.example/"),
            ("GET", "http://127.1/"),
            ("GET", "http://2130706433/"),
            ("CONNECT", "http://api.example.com/"),
        ] {
            assert!(destination(&request(method, uri)).is_err(), "{uri}");
        }
    }
}
