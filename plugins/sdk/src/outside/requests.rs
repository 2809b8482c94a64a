//! A component's requests: `wasi:http`, waited for on the instance's own thread.

use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll;
use wasip2::io::streams::StreamError;

use crate::http::{Error, Request, Response, parts};

/// The interface takes no more at once.
const WRITE_BYTES: usize = 4096;
const READ_BYTES: u64 = 64 * 1024;

pub(crate) fn http(request: Request) -> Result<Response, Error> {
    let (outgoing, body) = outgoing(&request)?;
    let future = outgoing_handler::handle(outgoing, None).map_err(error)?;
    // Where the request was refused nobody takes its body: the answer says why.
    let _ = write(body, &request.body);
    wait(&future, request.timeout)?;
    let answer = future.get();
    match answer {
        Some(Ok(Ok(response))) => read(response),
        Some(Ok(Err(code))) => Err(error(code)),
        Some(Err(())) | None => Err(Error::Late),
    }
}

fn outgoing(request: &Request) -> Result<(OutgoingRequest, OutgoingBody), Error> {
    let wrong = |what: &str| Error::Request(format!("its {what} can't be sent"));
    let (scheme, authority, path) = parts(&request.url)?;
    let fields = Fields::new();
    for (name, value) in &request.headers {
        let added = fields.append(name, value.as_bytes());
        added.map_err(|_| wrong(&format!("header `{name}`")))?;
    }
    let outgoing = OutgoingRequest::new(fields);
    let method = match request.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.into()),
    };
    outgoing.set_method(&method).map_err(|()| wrong("method"))?;
    let scheme = if scheme == "http" {
        Scheme::Http
    } else {
        Scheme::Https
    };
    let scheme = outgoing.set_scheme(Some(&scheme));
    scheme.map_err(|()| wrong("scheme"))?;
    let authority = outgoing.set_authority(Some(authority));
    authority.map_err(|()| wrong("host"))?;
    let path = outgoing.set_path_with_query(Some(&path));
    path.map_err(|()| wrong("path"))?;
    let body = outgoing.body().map_err(|()| wrong("body"))?;
    Ok((outgoing, body))
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), ()> {
    let stream = body.write()?;
    for piece in bytes.chunks(WRITE_BYTES) {
        stream.blocking_write_and_flush(piece).map_err(drop)?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(drop)
}

/// Dropping the future afterwards ends what is late.
fn wait(future: &FutureIncomingResponse, timeout: Duration) -> Result<(), Error> {
    let answered = future.subscribe();
    let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let late = monotonic_clock::subscribe_duration(nanos);
    poll::poll(&[&answered, &late]);
    if answered.ready() {
        Ok(())
    } else {
        Err(Error::Late)
    }
}

fn read(response: IncomingResponse) -> Result<Response, Error> {
    let wrong = |what: &str| Error::Answer(what.into());
    let status = response.status();
    let headers = response.headers().entries().into_iter();
    let headers = headers
        .filter_map(|(name, value)| Some((name, String::from_utf8(value).ok()?)))
        .collect();
    let incoming = response.consume();
    let incoming = incoming.map_err(|()| wrong("it has no body"))?;
    let body = read_body(&incoming)?;
    Ok(Response {
        status,
        headers,
        body,
    })
}

fn read_body(incoming: &IncomingBody) -> Result<Vec<u8>, Error> {
    let broken = |()| Error::Answer("its body can't be read".into());
    let stream = incoming.stream().map_err(broken)?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return Ok(body),
            Err(StreamError::LastOperationFailed(_)) => return Err(broken(())),
        }
    }
}

fn error(code: ErrorCode) -> Error {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Error::Denied,
        ErrorCode::ConnectionLimitReached => Error::TooMany,
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::DnsTimeout => Error::Late,
        ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseHeaderSectionSize(_) => Error::TooLarge,
        ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid => {
            Error::Request(format!("{code:?}"))
        }
        ErrorCode::HttpProtocolError | ErrorCode::HttpResponseIncomplete => {
            Error::Answer(format!("{code:?}"))
        }
        other => Error::Unreachable(format!("{other:?}")),
    }
}
