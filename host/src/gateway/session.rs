//! A session: one person's stream, from hello to the end.
//!
//! One task reads what the client sends and answers; what rooms have for it goes through its body. A refused send is an
//! error event and the stream lives; only a violation of the protocol, or a write that failed, ends it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tracing::debug;
use ulid::Ulid;

use super::admit::{self, Pace};
use super::lane::{Asker, Lane, acknowledged};
use super::outbound::Outbound;
use super::people::{self, Person};
use super::refusal::{Admission, Refusal};
use super::{Gateway, SessionPermit};
use crate::proto::log::v1::{Post, Verdict, ingress::Request};
use crate::proto::v1::{self, client_frame, server_frame::Frame};
use crate::rooms::Channel;
use crate::rooms::cursor::Cursor;
use crate::state::fold::Answer;
use crate::state::frame::framed;
use crate::state::ids::{Partition, Sequence};
use crate::state::keys;
use crate::state::name::RoomName;
use crate::state::store::Direction;

/// When a client of a draining server should come back.
const RECONNECT: Duration = Duration::from_millis(500);

/// See the module.
pub struct Session {
    gateway: Arc<Gateway>,
    person: Person,
    rooms: BTreeMap<String, Arc<Channel>>,
    lanes: BTreeMap<Partition, Lane>,
    pace: Pace,
    out: mpsc::Sender<Outbound>,
    acks: FuturesOrdered<BoxFuture<'static, Acked>>,
    answers: FuturesUnordered<BoxFuture<'static, (String, Ulid, Option<Answer>)>>,
}

/// A send whose append has ended.
struct Acked {
    client_id: String,
    id: Ulid,
    time_ms: u64,
    since: Instant,
    answer: oneshot::Receiver<Answer>,
    result: Admission<()>,
}

/// The client is gone: nobody to tell.
struct Gone;

/// Serves one session until it ends. The first frame must be `hello`.
pub async fn serve<S>(
    gateway: Arc<Gateway>,
    address: IpAddr,
    mut inbound: S,
    out: mpsc::Sender<Outbound>,
) where
    S: Stream<Item = Result<v1::ClientFrame, Status>> + Unpin + Send,
{
    // What happens once is boxed, here and below: a session's task is as large as the largest of its steps, for as long
    // as it lives.
    let status = match Box::pin(greet(&gateway, address, &mut inbound, &out)).await {
        Ok((permit, session)) => {
            let status = run(session, inbound).await;
            drop(permit);
            status
        }
        Err(refusal) => {
            gateway.observer.refused(refusal.code);
            refusal.status()
        }
    };
    // The client may be gone already.
    out.send(Outbound::End(Box::new(status))).await.ok();
}

/// Hello and welcome.
async fn greet<S>(
    gateway: &Arc<Gateway>,
    address: IpAddr,
    inbound: &mut S,
    out: &mpsc::Sender<Outbound>,
) -> Admission<(SessionPermit, Session)>
where
    S: Stream<Item = Result<v1::ClientFrame, Status>> + Unpin + Send,
{
    let permit = gateway.admit_session(address)?;
    let limit = Duration::from_secs(gateway.limits.handshake_seconds);
    let first = timeout(limit, inbound.next()).await.map_err(|_| {
        Refusal::new(
            Code::DeadlineExceeded,
            format!(
                "no hello came within {} s; send it first, as soon as the stream is open",
                limit.as_secs()
            ),
        )
    })?;
    let hello = match first {
        Some(Ok(v1::ClientFrame {
            frame: Some(client_frame::Frame::Hello(hello)),
        })) => hello,
        Some(Err(status)) => return Err(Refusal::new(status.code(), status.message())),
        _ => {
            return Err(Refusal::new(
                Code::FailedPrecondition,
                "the first frame must be `hello`; send it, and then what you sent",
            ));
        }
    };
    let person = gateway.attach(address, &hello.name, &hello.token).await?;
    debug!(person = person.id.0, client = hello.client, %address, "session");
    let mut session = Session {
        pace: Pace::new(
            f64::from(gateway.limits.sends_per_second),
            gateway.limits.send_burst,
            Instant::now(),
        ),
        gateway: gateway.clone(),
        person,
        rooms: BTreeMap::new(),
        lanes: BTreeMap::new(),
        out: out.clone(),
        acks: FuturesOrdered::new(),
        answers: FuturesUnordered::new(),
    };
    if let Err(refusal) = session.welcome(&hello.private_after).await {
        people::detach(gateway, &session.person).await;
        return Err(refusal);
    }
    Ok((permit, session))
}

/// From welcome to the end; lets go of everything.
async fn run<S>(mut session: Session, inbound: S) -> Status
where
    S: Stream<Item = Result<v1::ClientFrame, Status>> + Unpin + Send,
{
    let status = session.converse(inbound).await;
    for channel in session.rooms.values() {
        channel.leave(&session.person.name);
    }
    Box::pin(people::detach(&session.gateway, &session.person)).await;
    status
}

impl Session {
    /// Follows the private events, and welcomes.
    async fn welcome(&mut self, after: &[v1::PrivatePosition]) -> Admission<()> {
        let rooms = &self.gateway.rooms;
        let mut positions = Vec::new();
        let mut cursors = Vec::new();
        for partition in (0..rooms.partitions()).map(Partition) {
            let channel = rooms.private_channel(partition, self.person.id)?;
            let mut head = channel.head();
            let asked = after
                .iter()
                .find(|p| p.partition == u32::from(partition.0))
                .map(|p| p.number);
            let begin = match asked {
                None => head.0,
                Some(number) => {
                    if number > head.0 {
                        self.gateway.fold_to_the_end(partition).await?;
                        head = channel.head();
                    }
                    if number <= head.0 {
                        self.first_kept(&channel, Sequence(number), head)?
                    } else if self.person.returned {
                        return Err(Refusal::new(
                            Code::OutOfRange,
                            format!(
                                "private event {number} of partition {partition} is not there yet: the newest is {head}"
                            ),
                        ));
                    } else {
                        // Positions of somebody else, whose name this was, mean nothing here.
                        head.0
                    }
                }
            };
            positions.push(v1::PrivatePosition {
                partition: u32::from(partition.0),
                number: begin,
            });
            let next = Sequence(begin).next();
            cursors.push(Cursor::new(channel, rooms.store().clone(), next, false));
        }
        let welcome = v1::Welcome {
            name: self.person.name.clone(),
            token: self.person.token.clone(),
            person: self.person.id.0,
            private_positions: positions,
            message_bytes: u32::try_from(self.gateway.limits.message_bytes).unwrap_or(u32::MAX),
            server: concat!("chat-host/", env!("CARGO_PKG_VERSION")).to_owned(),
            commands: self.gateway.commands(),
        };
        let gone = |Gone| Refusal::new(Code::Cancelled, "the client has left");
        self.tell(Frame::Welcome(welcome)).await.map_err(gone)?;
        for cursor in cursors {
            self.send_out(Outbound::Follow(Box::new(cursor)))
                .await
                .map_err(gone)?;
        }
        Ok(())
    }

    /// After which number to begin, where `after` was the last one seen: what retention took is passed over.
    fn first_kept(&self, channel: &Channel, after: Sequence, head: Sequence) -> Admission<u64> {
        let (from, to) = channel.source().range(after.next(), head.next());
        let store = self.gateway.rooms.store();
        let first = store.range(&from, &to, 1, Direction::Forward)?;
        let kept = first
            .first()
            .map(|(key, _)| keys::number_at(key, key.len().saturating_sub(8)).saturating_sub(1));
        Ok(kept.unwrap_or(head.0))
    }

    /// Until somebody ends it.
    async fn converse<S>(&mut self, mut inbound: S) -> Status
    where
        S: Stream<Item = Result<v1::ClientFrame, Status>> + Unpin + Send,
    {
        let drain = self.gateway.drain.clone();
        let mut open = true;
        loop {
            let under_way = self.acks.len() + self.answers.len();
            if !open && under_way == 0 {
                return Status::ok("");
            }
            // Where too much is under way, the client waits: its frames stay in the connection.
            let listens = open && under_way < self.gateway.limits.sends_in_flight;
            tokio::select! {
                biased;
                () = drain.cancelled() => return Box::pin(self.goodbye()).await,
                // The connection dropped the body: nobody reads.
                () = self.out.closed() => return Status::cancelled("the client has left"),
                Some(acked) = self.acks.next(), if !self.acks.is_empty() => {
                    match self.acknowledge(acked).await {
                        Ok(None) => {}
                        Ok(Some(status)) => return status,
                        Err(Gone) => return Status::cancelled("the client has left"),
                    }
                }
                Some((client_id, id, answer)) = self.answers.next(), if !self.answers.is_empty() => {
                    if let Some(answer) = answer
                        && self.tell(decided(client_id, id, answer)).await.is_err()
                    {
                        return Status::cancelled("the client has left");
                    }
                }
                frame = inbound.next(), if listens => match frame {
                    Some(Ok(frame)) => match self.hear(frame).await {
                        Ok(None) => {}
                        Ok(Some(status)) => return status,
                        Err(Gone) => return Status::cancelled("the client has left"),
                    },
                    Some(Err(status)) => return status,
                    None => open = false,
                },
            }
        }
    }

    /// One frame of the client; a status ends the session.
    async fn hear(&mut self, frame: v1::ClientFrame) -> Result<Option<Status>, Gone> {
        match frame.frame {
            Some(client_frame::Frame::Send(send)) => {
                let (room, client_id) = (send.room.clone(), send.client_id.clone());
                if let Err(refusal) = self.post(send) {
                    self.refuse(&refusal, &room, &client_id).await?;
                    // The journal did not take it. What the client has sent behind it, not knowing, would overtake it.
                    if refusal.code == Code::Unavailable {
                        return Ok(Some(refusal.status()));
                    }
                }
            }
            Some(client_frame::Frame::Join(join)) => {
                let room = join.room.clone();
                if let Err(refusal) = Box::pin(self.join(join)).await? {
                    self.refuse(&refusal, &room, "").await?;
                }
            }
            Some(client_frame::Frame::Leave(leave)) => {
                if let Err(refusal) = Box::pin(self.leave(&leave.room)).await? {
                    self.refuse(&refusal, &leave.room, "").await?;
                }
            }
            Some(client_frame::Frame::Hello(_)) => {
                return Ok(Some(Status::failed_precondition(
                    "`hello` came twice; open a new stream for another name",
                )));
            }
            None => {
                return Ok(Some(Status::invalid_argument(
                    "the frame is empty, or of a kind that this server does not know",
                )));
            }
        }
        Ok(None)
    }

    fn post(&mut self, send: v1::Send) -> Admission<()> {
        admit::client_id(&send.client_id)?;
        let room = RoomName::parse(&send.room)?;
        if !self.rooms.contains_key(room.as_str()) {
            return Err(Refusal::new(
                Code::FailedPrecondition,
                format!("you are not in `{}`; join it first", room.as_str()),
            ));
        }
        let text = admit::text(&send.text, self.gateway.limits.message_bytes)?;
        self.pace
            .take(Instant::now())
            .map_err(|wait| admit::too_fast(self.gateway.limits.sends_per_second, wait))?;
        let partition = self.gateway.rooms.partition_of_room(&room);
        let lane = self
            .lanes
            .entry(partition)
            .or_insert_with(|| self.gateway.entrance.lane());
        let asker = Asker {
            person: self.person.id,
            name: self.person.name.clone(),
        };
        let request = Request::Post(Post {
            room: room.as_str().to_owned(),
            text,
            dead_letter: None,
        });
        let sent = self
            .gateway
            .entrance
            .send(partition, Some(lane), &asker, &send.client_id, request)
            .inspect_err(|_| self.pace.give_back())?;
        let client_id = send.client_id;
        self.acks.push_back(Box::pin(async move {
            Acked {
                client_id,
                id: sent.id,
                time_ms: sent.time_ms,
                since: sent.at,
                result: acknowledged(sent.appending, sent.at).await,
                answer: sent.answer,
            }
        }));
        Ok(())
    }

    /// A status ends the session: what was sent after an unknown write would be out of order.
    async fn acknowledge(&mut self, acked: Acked) -> Result<Option<Status>, Gone> {
        if let Err(refusal) = acked.result {
            self.gateway.rooms.waiting().forget(acked.id);
            self.refuse(&refusal, "", &acked.client_id).await?;
            return Ok(Some(refusal.status()));
        }
        self.gateway.observer.acknowledged(acked.since.elapsed());
        self.tell(Frame::Acknowledged(v1::Acknowledged {
            client_id: acked.client_id.clone(),
            id: acked.id.to_string(),
            time_ms: acked.time_ms,
        }))
        .await?;
        self.answers.push(Box::pin(async move {
            (acked.client_id, acked.id, acked.answer.await.ok())
        }));
        Ok(None)
    }

    async fn join(&mut self, join: v1::Join) -> Result<Admission<()>, Gone> {
        match self.enter(join).await {
            Ok((joined, cursor)) => {
                self.tell(Frame::Joined(joined)).await?;
                self.send_out(Outbound::Follow(Box::new(cursor))).await?;
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn enter(&mut self, join: v1::Join) -> Admission<(v1::Joined, Cursor)> {
        let name = RoomName::parse(&join.room)?;
        let limits = &self.gateway.limits;
        if self.rooms.contains_key(name.as_str()) {
            return Err(Refusal::new(
                Code::AlreadyExists,
                format!(
                    "you are in `{}` already; leave it first to join again",
                    name.as_str()
                ),
            ));
        }
        if self.rooms.len() >= limits.rooms_per_session {
            return Err(Refusal::exhausted(format!(
                "you are in {} rooms, as many as a session may; leave one",
                self.rooms.len()
            )));
        }
        let asker = Asker {
            person: self.person.id,
            name: self.person.name.clone(),
        };
        if join.after.is_none() {
            self.gateway.make_room(name.as_str(), &asker).await?;
        } else if self.gateway.rooms.room(&name)?.is_none() {
            self.gateway
                .fold_to_the_end(self.gateway.rooms.partition_of_room(&name))
                .await?;
        }
        let (room, after) = self
            .gateway
            .begin_after(&name, join.after, join.last)
            .await?;
        let channel = self
            .gateway
            .rooms
            .room_channel(crate::state::ids::RoomId(room.room))?;
        channel
            .enter(
                &self.person.name,
                self.person.id,
                self.gateway.limits.members_per_room,
            )
            .map_err(|members| {
                Refusal::exhausted(format!(
                    "`{}` is full, with {members} members; try again later, or join another room",
                    name.as_str()
                ))
                .retry(Duration::from_secs(10))
            })?;
        let joined = v1::Joined {
            room: name.as_str().to_owned(),
            after,
            head: room.head,
            oldest: room.oldest,
            topic: room.topic,
            members: Some(channel.members_frame()),
        };
        let cursor = Cursor::new(
            channel.clone(),
            self.gateway.rooms.store().clone(),
            Sequence(after).next(),
            true,
        );
        self.rooms.insert(name.as_str().to_owned(), channel);
        Ok((joined, cursor))
    }

    async fn leave(&mut self, room: &str) -> Result<Admission<()>, Gone> {
        let name = match RoomName::parse(room) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error.into())),
        };
        let Some(channel) = self.rooms.remove(name.as_str()) else {
            return Ok(Err(Refusal::new(
                Code::FailedPrecondition,
                format!(
                    "you are not in `{}`; there is nothing to leave",
                    name.as_str()
                ),
            )));
        };
        channel.leave(&self.person.name);
        self.send_out(Outbound::Unfollow(channel.source())).await?;
        self.tell(Frame::Left(v1::Left {
            room: name.as_str().to_owned(),
        }))
        .await?;
        Ok(Ok(()))
    }

    /// Tells the client to come back, after what is under way is acknowledged.
    async fn goodbye(&mut self) -> Status {
        while let Some(acked) = self.acks.next().await {
            match self.acknowledge(acked).await {
                Ok(None) => {}
                Ok(Some(status)) => return status,
                Err(Gone) => return Status::cancelled("the client has left"),
            }
        }
        let reason = "the server is going down; connect again and resume".to_owned();
        let goodbye = Frame::Goodbye(v1::Goodbye {
            reason: reason.clone(),
            reconnect_after_ms: u64::try_from(RECONNECT.as_millis()).unwrap_or(0),
        });
        // Who is gone needs no goodbye.
        self.tell(goodbye).await.ok();
        Status::unavailable(reason)
    }

    async fn refuse(&mut self, refusal: &Refusal, room: &str, client_id: &str) -> Result<(), Gone> {
        self.gateway.observer.refused(refusal.code);
        self.tell(refusal.event(room, client_id)).await
    }

    async fn tell(&mut self, frame: Frame) -> Result<(), Gone> {
        self.send_out(Outbound::Frame(framed(frame))).await
    }

    async fn send_out(&mut self, outbound: Outbound) -> Result<(), Gone> {
        self.out.send(outbound).await.map_err(|_| Gone)
    }
}

/// What became of a message, as its sender is told.
pub fn decided(client_id: String, id: Ulid, answer: Answer) -> Frame {
    Frame::Decided(decision(client_id, id, answer))
}

/// As [`decided`], without the frame.
pub fn decision(client_id: String, id: Ulid, answer: Answer) -> v1::Decided {
    let result = match answer.verdict {
        Verdict::Delivered => v1::Result::Delivered,
        Verdict::Withheld | Verdict::Refused => v1::Result::Withheld,
        // Nobody is told that a message was discarded.
        Verdict::Handled | Verdict::Discarded | Verdict::Repeat | Verdict::Unspecified => {
            v1::Result::Handled
        }
        Verdict::SendAgain => v1::Result::SendAgain,
    };
    v1::Decided {
        client_id,
        id: answer.repeats.unwrap_or(id).to_string(),
        result: result.into(),
        sequence: answer.sequence.0,
        reason: answer.reason,
        repeat: answer.repeats.is_some(),
    }
}
