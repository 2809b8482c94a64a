//! A small HTTP server for machines that watch this one: `/metrics`, `/healthz` (alive), `/readyz` (takes messages).
//!
//! It has an address of its own, so that the public one shows nothing of the inside. Connections are few, short and
//! tracked: what hangs is cut, and at drain all end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::health::{Health, Readiness};
use super::metrics::Metrics;

/// Connections at once; the next one waits in the kernel's queue.
const CONNECTIONS: usize = 32;
/// For a request's head. Keeps an idle connection as long.
const HEAD: Duration = Duration::from_secs(10);
/// For a connection in all. A scraper connects again.
const CONNECTION: Duration = Duration::from_secs(300);
/// For connections to end at drain.
const GRACE: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Debug, Clone)]
struct Answers {
    metrics: Metrics,
    health: Health,
}

/// A bound exporter.
#[derive(Debug)]
pub struct Exporter {
    listener: TcpListener,
    address: SocketAddr,
    answers: Answers,
}

impl Exporter {
    /// Binds now, so that a port in use fails the start; serves only when it is run.
    ///
    /// # Errors
    /// The operating system's, with the address.
    pub async fn bind(address: SocketAddr, metrics: Metrics, health: Health) -> io::Result<Self> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(|error: io::Error| {
            let text = format!(
                "metrics can't be served on {address}: {error}; choose another address with --metrics"
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self {
            listener,
            address,
            answers: Answers { metrics, health },
        })
    }

    /// Where it is bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, and returns when every connection has ended.
    pub async fn run(self, stop: CancellationToken) {
        info!(address = %self.address, "metrics served");
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let (answers, stop) = (self.answers.clone(), stop.clone());
                    connections.spawn(async move {
                        serve(stream, answers, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, as a rule: without the pause this loop would take a core.
                    warn!(%error, "metrics: a connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            connections.shutdown().await;
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn serve(stream: TcpStream, answers: Answers, stop: CancellationToken) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let response = answer(&answers, request.method(), request.uri().path());
        async { Ok::<_, Infallible>(response) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = sleep(CONNECTION) => Ok(()),
    };
    if let Err(error) = ended {
        debug!(%error, "metrics: a connection broke");
    }
}

fn answer(answers: &Answers, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    let (status, kind, body) = match path {
        "/metrics" | "/healthz" | "/readyz" if method != Method::GET && method != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, plain, "only GET\n".into())
        }
        "/metrics" => (
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            answers.metrics.text(),
        ),
        "/healthz" => (StatusCode::OK, plain, "alive\n".into()),
        "/readyz" => {
            let now = answers.health.get();
            let status = match now {
                Readiness::Ready => StatusCode::OK,
                Readiness::Starting | Readiness::Unable | Readiness::Draining => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            (status, plain, format!("{}\n", now.word()))
        }
        _ => (
            StatusCode::NOT_FOUND,
            plain,
            "here are /metrics, /healthz and /readyz\n".into(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
