//! The gRPC surface: paths to what answers them.
//!
//! `Connect` and `Watch` answer with bodies of shared, pre-framed bytes, below tonic's codec, which would copy each
//! event for each stream. The rest are ordinary unary calls.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::Service as _;

use super::inbound::Inbound;
use super::outbound::{Outbound, outbound};
use super::refusal::{Admission, Refusal};
use super::{Gateway, session};
use crate::proto::{DESCRIPTORS, v1};
use crate::rooms::cursor::Cursor;
use crate::state::frame::{framed, framed_message};
use crate::state::ids::{RoomId, Sequence};
use crate::state::name::RoomName;

/// When a call comes again that found too many under way.
const BUSY: Duration = Duration::from_millis(500);
/// What a frame may have besides the text of a message.
const FRAME_BYTES: usize = 4096;

/// Answers the requests of one connection.
#[derive(Clone)]
pub struct Service {
    gateway: Arc<Gateway>,
    address: IpAddr,
    others: Arc<Others>,
}

/// Services of other packages, seldom asked.
struct Others {
    health: HealthServer<HealthService>,
    reflection: Reflection,
}

/// A service whose type nobody can name.
type Boxed = tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

#[derive(Clone)]
struct Reflection {
    v1: Boxed,
    v1alpha: Boxed,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Service {
    /// A service over this gateway.
    ///
    /// # Errors
    /// Where the built-in descriptors are broken.
    pub fn new(
        gateway: Arc<Gateway>,
        health: HealthServer<HealthService>,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let reflection = Reflection {
            v1: Boxed::new(builder().build_v1()?),
            v1alpha: Boxed::new(builder().build_v1alpha()?),
        };
        Ok(Self {
            gateway,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            others: Arc::new(Others { health, reflection }),
        })
    }

    /// The same, for a connection from this address.
    #[must_use]
    pub fn for_address(&self, address: IpAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let (gateway, address) = (self.gateway.clone(), self.address);
        match path.as_str() {
            "/chat.v1.Chat/Connect" => self.connect(request),
            "/chat.v1.Chat/Watch" => watch(gateway, address, request).await,
            "/chat.v1.Chat/Send" => {
                unary(&self.gateway, request, async move |r| {
                    gateway.send_once(address, r).await
                })
                .await
            }
            "/chat.v1.Chat/History" => {
                unary(&self.gateway, request, async move |r| {
                    gateway.history(r).await
                })
                .await
            }
            "/chat.v1.Chat/ListRooms" => {
                unary(&self.gateway, request, async move |r| {
                    gateway.list_rooms(&r)
                })
                .await
            }
            "/chat.v1.Chat/CreateRoom" => {
                unary(&self.gateway, request, async move |r| {
                    gateway.create_room(address, r).await
                })
                .await
            }
            "/chat.v1.Chat/ListMembers" => {
                unary(&self.gateway, request, async move |r| {
                    gateway.list_members(&r)
                })
                .await
            }
            _ if path.starts_with("/grpc.health.v1.Health/") => {
                never(self.others.health.clone().call(request).await)
            }
            _ if path.starts_with("/grpc.reflection.v1.") => {
                never(self.others.reflection.v1.clone().call(request).await)
            }
            _ if path.starts_with("/grpc.reflection.v1alpha.") => {
                never(self.others.reflection.v1alpha.clone().call(request).await)
            }
            _ => Status::unimplemented(format!("there is no method {path} here")).into_http(),
        }
    }

    fn connect(self, request: Request<Body>) -> Response<Body> {
        let frame_bytes = self.gateway.limits.message_bytes + FRAME_BYTES;
        let inbound: Inbound<v1::ClientFrame> = Inbound::new(request.into_body(), frame_bytes);
        let (sender, body) = outbound(Arc::new(Counted(self.gateway.clone())));
        let (gateway, address) = (self.gateway.clone(), self.address);
        self.gateway
            .tasks
            .spawn(session::serve(gateway, address, inbound, sender));
        streaming(body)
    }
}

/// Counts deliveries for the gateway's observer.
struct Counted(Arc<Gateway>);

impl super::outbound::Deliveries for Counted {
    fn delivered(&self, events: u64) {
        self.0.observer.delivered(events);
    }
}

fn streaming<B>(body: B) -> Response<Body>
where
    B: http_body::Body<Data = bytes::Bytes, Error: Into<tonic::codegen::StdError>> + Send + 'static,
{
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

fn never(result: Result<Response<Body>, Infallible>) -> Response<Body> {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// One request, one answer. Reads as the streams do, so that bad bytes are answered alike everywhere.
async fn unary<Q, A, F>(
    gateway: &Arc<Gateway>,
    request: Request<Body>,
    answer: impl FnOnce(Q) -> F,
) -> Response<Body>
where
    Q: Message + Default,
    A: Message + 'static,
    F: Future<Output = Admission<A>> + Send + 'static,
{
    let bytes = gateway.limits.message_bytes + FRAME_BYTES;
    let request = match only_request(gateway, request, bytes).await {
        Ok(request) => request,
        Err(status) => return status.into_http(),
    };
    let Ok(permit) = gateway.calls.clone().try_acquire_owned() else {
        let refusal = Refusal::exhausted("too many calls are under way; try again");
        return refusal.retry(BUSY).status().into_http();
    };
    // A task of its own: a client that has left must not leave a name taken, or somebody waiting for an outcome.
    let answer = answer(request);
    let answering = gateway.tasks.spawn(async move {
        let answered = answer.await;
        drop(permit);
        answered
    });
    let answered = answering.await.unwrap_or_else(|_| {
        Err(Refusal::new(
            Code::Internal,
            "the call failed; the server's log says why",
        ))
    });
    match answered {
        Ok(message) => {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let body = Full::new(framed_message(&message));
            streaming(body.with_trailers(std::future::ready(Some(Ok(trailers)))))
        }
        Err(refusal) => {
            gateway.observer.refused(refusal.code);
            refusal.status().into_http()
        }
    }
}

/// Reads the one request of a call; who sends none is let go.
async fn only_request<Q: Message + Default>(
    gateway: &Gateway,
    request: Request<Body>,
    bytes: usize,
) -> Result<Q, Status> {
    let limit = Duration::from_secs(gateway.limits.handshake_seconds);
    let mut requests: Inbound<Q> = Inbound::new(request.into_body(), bytes);
    match timeout(limit, requests.next()).await {
        Ok(Some(request)) => request,
        Ok(None) => Err(Status::invalid_argument(
            "the request is missing; send it with the call",
        )),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "no request came within {} s; send it with the call",
            limit.as_secs()
        ))),
    }
}

/// `Watch`: one request, and then a room's events.
async fn watch(gateway: Arc<Gateway>, address: IpAddr, request: Request<Body>) -> Response<Body> {
    let request = match only_request(&gateway, request, FRAME_BYTES).await {
        Ok(request) => request,
        Err(status) => return status.into_http(),
    };
    let admitted = async {
        let permit = gateway.admit_session(address)?;
        let cursor = watch_cursor(&gateway, request).await?;
        Ok::<_, Refusal>((permit, cursor))
    };
    let (permit, cursor) = match admitted.await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            gateway.observer.refused(refusal.code);
            return refusal.status().into_http();
        }
    };
    let (sender, body) = outbound(Arc::new(Counted(gateway.clone())));
    let drain = gateway.drain.clone();
    gateway.tasks.spawn(async move {
        let _permit = permit;
        // Who has left needs nothing of this.
        sender.send(Outbound::Follow(Box::new(cursor))).await.ok();
        tokio::select! {
            biased;
            () = sender.closed() => return,
            () = drain.cancelled() => {}
        }
        let goodbye = v1::Goodbye {
            reason: "the server is going down; watch again from the last number".into(),
            reconnect_after_ms: 500,
        };
        let frame = framed(v1::server_frame::Frame::Goodbye(goodbye));
        sender.send(Outbound::Frame(frame)).await.ok();
        let status = Status::unavailable("the server is going down");
        sender.send(Outbound::End(Box::new(status))).await.ok();
    });
    streaming(body)
}

async fn watch_cursor(gateway: &Gateway, request: v1::WatchRequest) -> Admission<Cursor> {
    let name = RoomName::parse(&request.room)?;
    let (room, after) = gateway
        .begin_after(&name, request.after, request.last)
        .await?;
    let channel = gateway.rooms.room_channel(RoomId(room.room))?;
    let store = gateway.rooms.store().clone();
    Ok(Cursor::new(channel, store, Sequence(after).next(), false))
}

impl tower::Service<Request<hyper::body::Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Answer {
        let service = self.clone();
        Box::pin(async move {
            let is_grpc = request
                .headers()
                .get(http::header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
            if !is_grpc {
                let mut response = Response::new(Body::new(Full::new(bytes::Bytes::from_static(
                    b"this port speaks gRPC; talk with `chat-host chat`, or see its reflection\n",
                ))));
                *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
                return Ok(response);
            }
            Ok(service.answer(request.map(Body::new)).await)
        })
    }
}

/// The service as hyper wants it.
pub fn hyper_service(
    service: Service,
) -> impl hyper::service::Service<
    Request<hyper::body::Incoming>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Send,
> + Clone {
    hyper_util::service::TowerToHyperService::new(service)
}
