//! A client that does what it is told, right or wrong, and hears everything.

use std::collections::VecDeque;

use chat_host::proto::v1::chat_client::ChatClient;
use chat_host::proto::v1::{self, client_frame, server_frame::Frame};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::server::PATIENCE;

/// What is sent to a stream.
pub type Said = mpsc::Sender<v1::ClientFrame>;

pub async fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned())
        .unwrap()
        .connect()
        .await
        .unwrap()
}

pub async fn client(url: &str) -> ChatClient<Channel> {
    ChatClient::new(channel(url).await).max_decoding_message_size(64 << 20)
}

pub fn frame(frame: client_frame::Frame) -> v1::ClientFrame {
    v1::ClientFrame { frame: Some(frame) }
}

pub fn hello(name: &str, token: &str) -> v1::ClientFrame {
    frame(client_frame::Frame::Hello(v1::Hello {
        name: name.into(),
        token: token.into(),
        ..v1::Hello::default()
    }))
}

pub fn join(room: &str, after: Option<u64>) -> v1::ClientFrame {
    frame(client_frame::Frame::Join(v1::Join {
        room: room.into(),
        after,
        last: 0,
    }))
}

pub fn send(room: &str, text: &str, client_id: &str) -> v1::ClientFrame {
    frame(client_frame::Frame::Send(v1::Send {
        room: room.into(),
        text: text.into(),
        client_id: client_id.into(),
    }))
}

/// Opens a stream and says these frames first.
pub async fn stream(
    client: &mut ChatClient<Channel>,
    first: Vec<v1::ClientFrame>,
) -> Result<(Said, Streaming<v1::ServerFrame>), Status> {
    let (said, frames) = mpsc::channel(1024);
    for frame in first {
        said.try_send(frame).unwrap();
    }
    let answered = timeout(PATIENCE, client.connect(ReceiverStream::new(frames))).await;
    let frames = answered.expect("an answer in time")?.into_inner();
    Ok((said, frames))
}

/// How a stream ends, whatever comes before.
pub async fn end(frames: &mut Streaming<v1::ServerFrame>) -> Status {
    loop {
        let next = timeout(PATIENCE, frames.message()).await;
        match next.expect("the stream ends in time") {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok(""),
            Err(status) => return status,
        }
    }
}

/// A session after its welcome.
pub struct Session {
    pub said: Said,
    pub frames: Streaming<v1::ServerFrame>,
    pub welcome: v1::Welcome,
    /// Events that came while something else was waited for.
    events: VecDeque<v1::RoomEvent>,
    privates: VecDeque<v1::PrivateEvent>,
}

impl Session {
    pub async fn open(url: &str, name: &str, token: &str) -> Result<Self, Status> {
        Self::over(&mut client(url).await, name, token).await
    }

    pub async fn over(
        client: &mut ChatClient<Channel>,
        name: &str,
        token: &str,
    ) -> Result<Self, Status> {
        let (said, frames) = stream(client, vec![hello(name, token)]).await?;
        let mut session = Self {
            said,
            frames,
            welcome: v1::Welcome::default(),
            events: VecDeque::new(),
            privates: VecDeque::new(),
        };
        session.welcome = match session.next().await? {
            Some(Frame::Welcome(welcome)) => welcome,
            other => panic!("not welcomed but: {other:?}"),
        };
        Ok(session)
    }

    /// With a name that is new, in a room.
    pub async fn in_room(url: &str, name: &str, room: &str) -> Self {
        let mut session = Self::open(url, name, "").await.unwrap();
        session.join(room, None).await.unwrap();
        session
    }

    pub async fn say(&self, frame: v1::ClientFrame) {
        // Where the stream has ended, what is waited for tells.
        self.said.send(frame).await.ok();
    }

    /// The next frame; none at an orderly end.
    pub async fn next(&mut self) -> Result<Option<Frame>, Status> {
        let next = timeout(PATIENCE, self.frames.message()).await;
        Ok(next
            .expect("a frame in time")?
            .map(|frame| frame.frame.unwrap()))
    }

    /// The first frame that `pick` takes; events are kept for [`Self::event`] and [`Self::private`].
    pub async fn until<T>(
        &mut self,
        mut pick: impl FnMut(Frame) -> Option<T>,
    ) -> Result<T, Status> {
        loop {
            match self.next().await? {
                Some(Frame::RoomEvent(event)) => self.events.push_back(event),
                Some(Frame::PrivateEvent(event)) => self.privates.push_back(event),
                Some(frame) => {
                    if let Some(picked) = pick(frame) {
                        return Ok(picked);
                    }
                }
                None => return Err(Status::ok("ended")),
            }
        }
    }

    pub async fn event(&mut self) -> v1::RoomEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match self.next().await.unwrap().expect("the stream lives") {
                Frame::RoomEvent(event) => return event,
                Frame::PrivateEvent(event) => self.privates.push_back(event),
                _ => {}
            }
        }
    }

    pub async fn private(&mut self) -> v1::PrivateEvent {
        loop {
            if let Some(event) = self.privates.pop_front() {
                return event;
            }
            match self.next().await.unwrap().expect("the stream lives") {
                Frame::PrivateEvent(event) => return event,
                Frame::RoomEvent(event) => self.events.push_back(event),
                _ => {}
            }
        }
    }

    pub async fn join(&mut self, room: &str, after: Option<u64>) -> Result<v1::Joined, v1::Error> {
        self.say(join(room, after)).await;
        self.until(|frame| match frame {
            Frame::Joined(joined) => Some(Ok(joined)),
            Frame::Error(error) => Some(Err(error)),
            _ => None,
        })
        .await
        .unwrap()
    }

    /// Sends and waits for what becomes of it.
    pub async fn post(
        &mut self,
        room: &str,
        text: &str,
        client_id: &str,
    ) -> Result<v1::Decided, v1::Error> {
        self.say(send(room, text, client_id)).await;
        self.decided(client_id).await
    }

    pub async fn decided(&mut self, client_id: &str) -> Result<v1::Decided, v1::Error> {
        self.until(|frame| match frame {
            Frame::Decided(decided) if decided.client_id == client_id => Some(Ok(decided)),
            Frame::Error(error) if error.client_id == client_id => Some(Err(error)),
            _ => None,
        })
        .await
        .unwrap()
    }

    /// The refusal that answers a frame.
    pub async fn error(&mut self) -> v1::Error {
        self.until(|frame| match frame {
            Frame::Error(error) => Some(error),
            _ => None,
        })
        .await
        .unwrap()
    }
}

/// A message's text as decided.
pub fn text(event: &v1::RoomEvent) -> &str {
    match &event.event {
        Some(v1::room_event::Event::Message(body)) => &body.text,
        other => panic!("no message: {other:?}"),
    }
}

/// A room's whole history, page by page.
pub async fn history(client: &mut ChatClient<Channel>, room: &str) -> Vec<v1::RoomEvent> {
    let mut events: Vec<v1::RoomEvent> = Vec::new();
    loop {
        let request = v1::HistoryRequest {
            room: room.into(),
            after: Some(events.last().map_or(0, |event| event.sequence)),
            before: None,
            limit: 1000,
        };
        let page = client.history(request).await.unwrap().into_inner();
        let complete = page.events.last().is_none_or(|e| e.sequence >= page.head);
        events.extend(page.events);
        if complete {
            return events;
        }
    }
}

/// The newest number of a room.
pub async fn head(client: &mut ChatClient<Channel>, room: &str) -> u64 {
    let request = v1::HistoryRequest {
        room: room.into(),
        after: None,
        before: None,
        limit: 1,
    };
    client.history(request).await.unwrap().into_inner().head
}

/// Sequence numbers without a hole.
pub fn assert_dense(events: &[v1::RoomEvent]) {
    for (event, expected) in events.iter().zip(1..) {
        assert_eq!(event.sequence, expected, "{event:?}");
    }
}

pub fn code(number: u32) -> Code {
    Code::from_i32(i32::try_from(number).unwrap())
}
