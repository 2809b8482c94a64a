//! The accept loop: connections with caps and deadlines, so that who never finishes a handshake costs little and holds
//! up nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::Observer;
use super::grpc::{Service, hyper_service};

/// Connections waiting to be accepted.
const BACKLOG: i32 = 1024;
/// How often a silent connection is asked whether it lives, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// A connection's HTTP/2 send buffer per stream: what a slow reader may hold in memory.
const SEND_BYTES: usize = 256 * 1024;
/// What a client may have sent that is not yet read, in one stream and in a connection. A session that sends ahead
/// is held back by the stream's window; h2 ends a connection (ENHANCE_YOUR_CALM) whose unread small frames cost more
/// than half of the connection's, each 256 bytes less its own. Frames of 10 bytes stay within that.
const WINDOW_BYTES: (u32, u32) = (64 * 1024 - 1, 4 * 1024 * 1024);

/// What connections may take.
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// From being accepted to the first request.
    pub handshake: Duration,
}

/// A bound port.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds now, so that a port in use fails the start.
    ///
    /// # Errors
    /// With the address, when it is taken or not ours.
    pub fn bind(address: SocketAddr) -> Result<Self, String> {
        let bind = || {
            let domain = socket2::Domain::for_address(address);
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let listener = TcpListener::from_std(socket.into())?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>(Self { listener, address })
        };
        bind().map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{address} is in use by another program; stop that one or choose another address with --listen"
            ),
            std::io::ErrorKind::PermissionDenied => format!(
                "{address} may not be bound ({error}); choose a port above 1023 with --listen"
            ),
            _ => format!("{address} can't be bound: {error}; choose another with --listen"),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `drain`, each connection a task of `tasks`; returns when the last one has ended, or `cut` ends those
    /// that are left.
    pub async fn run(
        self,
        service: Service,
        tasks: TaskTracker,
        bounds: Bounds,
        observer: Arc<dyn Observer>,
        drain: CancellationToken,
        cut: CancellationToken,
    ) {
        let Bounds {
            connections,
            handshake,
        } = bounds;
        let permits = Arc::new(Semaphore::new(connections));
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: let some go before the next try.
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(permit) = permits.clone().try_acquire_owned() else {
                debug!(%peer, "too many connections; closed");
                continue;
            };
            let connection = connection(
                stream,
                service.for_address(peer.ip()),
                handshake,
                drain.clone(),
                cut.clone(),
            );
            observer.connections(connections - permits.available_permits());
            let (observer, permits) = (observer.clone(), permits.clone());
            tasks.spawn(async move {
                connection.await;
                drop(permit);
                observer.connections(connections - permits.available_permits());
            });
        }
        drop(self.listener);
        tasks.close();
        tasks.wait().await;
    }
}

async fn connection(
    stream: TcpStream,
    service: Service,
    handshake: Duration,
    drain: CancellationToken,
    cut: CancellationToken,
) {
    // Small frames must not wait for more; a socket that refuses this is closing anyway.
    stream.set_nodelay(true).ok();
    let asked = Arc::new(AtomicBool::new(false));
    let service = {
        let asked = asked.clone();
        let inner = hyper_service(service);
        hyper::service::service_fn(move |request| {
            asked.store(true, Ordering::Relaxed);
            hyper::service::Service::call(&inner, request)
        })
    };
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .max_concurrent_streams(200)
        .max_pending_accept_reset_streams(20)
        .max_header_list_size(16 * 1024)
        .max_send_buf_size(SEND_BYTES)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let deadline = Instant::now() + handshake;
    let mut draining = false;
    loop {
        let waits = !asked.load(Ordering::Relaxed);
        tokio::select! {
            biased;
            () = cut.cancelled() => return,
            () = drain.cancelled(), if !draining => {
                draining = true;
                // hyper waits for ever for a connection that has not finished its handshake (hyper #4170). Looked at
                // anew: `waits` may be as old as the connection.
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                serving.as_mut().graceful_shutdown();
            }
            ended = &mut serving => {
                if let Err(error) = ended {
                    debug!(%error, "a connection broke");
                }
                return;
            }
            () = sleep_until(deadline), if waits && Instant::now() < deadline => {
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}
