//! A server that breaks one promise at a time, for the tests of who should notice.
//!
//! One room hub in memory, the real protocol on the wire; it shares the frame layer with what it tests, and so does
//! not judge that.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::http2::{self, Event, Inbound};
use super::messages::Messages;
use crate::proto::v1::{
    Acknowledged, Body, ClientFrame, Decided, Error, Joined, Result as Outcome, RoomEvent, Send,
    ServerFrame, Welcome, client_frame, room_event, server_frame::Frame,
};

/// What it does wrong, to the first member of each room, about the event of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Leaves it out.
    Lose(u64),
    /// Delivers it twice.
    Repeat(u64),
    /// Delivers it after the next one.
    Swap(u64),
    /// Delivers another text than to the others.
    Change(u64),
    /// Delivers another text than was sent, to all.
    Falsify(u64),
    /// Gives the message a second event.
    Double(u64),
    /// Acknowledges the message and forgets it.
    Forget(u64),
    /// Refuses the message once, for a moment.
    Refuse(u64),
    /// Cuts every connection, once; what was acknowledged stays.
    Cut(u64),
    /// Answers no message and delivers none.
    Silent,
}

#[derive(Debug, Default)]
struct Room {
    events: Vec<RoomEvent>,
    members: Vec<mpsc::Sender<Bytes>>,
    held: Option<Bytes>,
}

#[derive(Debug)]
struct Hub {
    fault: Fault,
    done: bool,
    taken: u64,
    rooms: HashMap<String, Room>,
    /// What became of each message of each session's name.
    known: HashMap<(String, String), u64>,
    cut: tokio::sync::watch::Sender<u32>,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct FakeServer {
    /// Where.
    pub address: SocketAddr,
    _serving: JoinSet<()>,
}

impl FakeServer {
    /// Breaks one promise.
    pub async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Hub {
            fault,
            done: false,
            taken: 0,
            rooms: HashMap::new(),
            known: HashMap::new(),
            cut: tokio::sync::watch::channel(0).0,
        };
        let hub = Arc::new(Mutex::new(hub));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sessions.spawn(session(stream, Arc::clone(&hub)));
            }
        });
        Self {
            address,
            _serving: serving,
        }
    }
}

async fn session(mut stream: TcpStream, hub: Arc<Mutex<Hub>>) {
    stream.set_nodelay(true).unwrap();
    let (to_client, mut outgoing) = mpsc::channel::<Bytes>(1 << 16);
    let mut cut = hub.lock().cut.subscribe();
    let mut opening = BytesMut::new();
    http2::put_header(&mut opening, 6, 4, 0, 0);
    opening.put_slice(&[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    http2::put_header(&mut opening, 4, 8, 0, 0);
    opening.put_u32(0x7fff_ffff - 65_535);
    http2::put_header(&mut opening, 1, 1, 4, 1);
    opening.put_u8(0x88); // :status 200
    if stream.write_all(&opening).await.is_err() || stream.read_exact(&mut [0; 24]).await.is_err() {
        return;
    }
    let (mut reading, mut writing) = stream.split();
    let (mut inbound, mut messages, mut name) =
        (Inbound::default(), Messages::default(), String::new());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            _ = cut.changed() => return,
            read = reading.read(&mut buffer) => {
                let Ok(read @ 1..) = read else { return };
                let mut bytes = &buffer[..read];
                while let Some(event) = inbound.next(&mut bytes).unwrap() {
                    let Event::Data(mut part) = event else { continue };
                    while let Some(message) = messages.next(&mut part).unwrap() {
                        let frame = ClientFrame::decode(message).unwrap().frame.unwrap();
                        hub.lock().take(frame, &mut name, &to_client);
                    }
                }
            }
            Some(first) = outgoing.recv() => {
                let mut batch = BytesMut::from(first);
                while let Ok(next) = outgoing.try_recv() {
                    batch.extend_from_slice(&next);
                }
                if writing.write_all(&batch).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Hub {
    fn take(
        &mut self,
        frame: client_frame::Frame,
        name: &mut String,
        client: &mpsc::Sender<Bytes>,
    ) {
        match frame {
            client_frame::Frame::Hello(hello) => {
                *name = hello.name.clone();
                let welcome = Welcome {
                    name: hello.name,
                    token: "secret".into(),
                    ..Welcome::default()
                };
                tell(client, &framed(Frame::Welcome(welcome)));
            }
            client_frame::Frame::Join(join) => {
                let room = self.rooms.entry(join.room.clone()).or_default();
                let head = room.events.len() as u64;
                let after = join.after.unwrap_or(head);
                tell(
                    client,
                    &framed(Frame::Joined(Joined {
                        room: join.room,
                        after,
                        head,
                        ..Joined::default()
                    })),
                );
                for event in &room.events[after as usize..] {
                    tell(client, &framed(Frame::RoomEvent(event.clone())));
                }
                room.members.push(client.clone());
            }
            client_frame::Frame::Send(send) => self.send(send, name, client),
            client_frame::Frame::Leave(_) => {}
        }
    }

    fn send(&mut self, send: Send, name: &str, client: &mpsc::Sender<Bytes>) {
        if self.fault == Fault::Silent {
            return;
        }
        let client_id = send.client_id.clone();
        let known = (name.to_owned(), client_id.clone());
        if let Some(&sequence) = self.known.get(&known) {
            answer(client, client_id, sequence, true);
            return;
        }
        self.taken += 1;
        let fault = if self.done { Fault::None } else { self.fault };
        if fault == Fault::Refuse(self.taken) {
            self.done = true;
            let error = Error {
                code: 8,
                client_id,
                retry_after_ms: 5,
                ..Error::default()
            };
            tell(client, &framed(Frame::Error(error)));
            return;
        }
        if fault == Fault::Forget(self.taken) {
            self.done = true;
            answer(client, client_id, 0, false);
            return;
        }
        let room = self.rooms.entry(send.room.clone()).or_default();
        let mut event = RoomEvent {
            room: send.room,
            sequence: room.events.len() as u64 + 1,
            sender: name.to_owned(),
            client_id: client_id.clone(),
            event: Some(room_event::Event::Message(Body {
                text: send.text,
                runs: Vec::new(),
            })),
            ..RoomEvent::default()
        };
        if fault == Fault::Falsify(event.sequence) {
            event.event = Some(room_event::Event::Message(Body {
                text: "something else".into(),
                runs: Vec::new(),
            }));
        }
        let sequence = event.sequence;
        room.deliver(event.clone(), fault);
        if fault == Fault::Double(sequence) {
            room.deliver(
                RoomEvent {
                    sequence: sequence + 1,
                    ..event
                },
                Fault::None,
            );
        }
        self.known.insert(known, sequence);
        if fault == Fault::Cut(sequence) {
            self.done = true;
            room.members.clear();
            self.cut.send_modify(|cuts| *cuts += 1); // Durable, and not acknowledged.
            return;
        }
        answer(client, client_id, sequence, false);
    }
}

impl Room {
    fn deliver(&mut self, event: RoomEvent, fault: Fault) {
        let sequence = event.sequence;
        let frame = framed(Frame::RoomEvent(event.clone()));
        self.events.push(event.clone());
        let Some((victim, others)) = self.members.split_first() else {
            return;
        };
        others.iter().for_each(|member| tell(member, &frame));
        match fault {
            Fault::Lose(at) if at == sequence => return,
            Fault::Swap(at) if at == sequence => {
                self.held = Some(frame);
                return;
            }
            Fault::Change(at) if at == sequence => {
                tell(
                    victim,
                    &framed(Frame::RoomEvent(RoomEvent {
                        time_ms: 1,
                        ..event
                    })),
                );
            }
            Fault::Repeat(at) if at == sequence => {
                tell(victim, &frame);
                tell(victim, &frame);
            }
            _ => tell(victim, &frame),
        }
        if let Some(held) = self.held.take() {
            tell(victim, &held);
        }
    }
}

fn answer(client: &mpsc::Sender<Bytes>, client_id: String, sequence: u64, repeat: bool) {
    tell(
        client,
        &framed(Frame::Acknowledged(Acknowledged {
            client_id: client_id.clone(),
            ..Acknowledged::default()
        })),
    );
    let result = Outcome::Delivered.into();
    tell(
        client,
        &framed(Frame::Decided(Decided {
            client_id,
            result,
            sequence,
            repeat,
            ..Decided::default()
        })),
    );
}

/// A full queue would be a fault nobody planted.
fn tell(client: &mpsc::Sender<Bytes>, frame: &Bytes) {
    if let Err(mpsc::error::TrySendError::Full(_)) = client.try_send(frame.clone()) {
        panic!("a client of the fake server is too slow");
    }
}

fn framed(frame: Frame) -> Bytes {
    let frame = ServerFrame { frame: Some(frame) }.encode_to_vec();
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(frame.len() as u32);
    message.put_slice(&frame);
    let mut out = BytesMut::new();
    http2::put_data(&mut out, &message);
    out.freeze()
}
