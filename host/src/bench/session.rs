//! From nothing to a welcomed session: connect, say hello, keep the token.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message;
use tokio::time::timeout;

use super::broken::Broken;
use super::connection::Connection;
use super::event::RawEvent;
use super::shared::Shared;
use crate::proto::v1::{
    ClientFrame, Hello, Join, Joined, PrivatePosition, ServerFrame, client_frame, server_frame,
};

/// Longer than the server gives a handshake by default.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Pauses between attempts, doubling.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// gRPC's RESOURCE_EXHAUSTED.
pub const RESOURCE_EXHAUSTED: u32 = 8;

/// Who a session is, from one connection to the next.
#[derive(Debug)]
pub struct Identity {
    base: String,
    /// Names that were taken without our getting the token.
    burnt: u32,
    token: String,
    private: Vec<PrivatePosition>,
    pause: Duration,
}

impl Identity {
    /// Under a name that is new to the server.
    pub fn new(name: String) -> Self {
        Self {
            base: name,
            burnt: 0,
            token: String::new(),
            private: Vec::new(),
            pause: FIRST_PAUSE,
        }
    }

    fn hello(&self) -> ClientFrame {
        let name = match self.burnt {
            0 => self.base.clone(),
            burnt => format!("{}-{burnt}", self.base),
        };
        ClientFrame {
            frame: Some(client_frame::Frame::Hello(Hello {
                name,
                token: self.token.clone(),
                private_after: self.private.clone(),
                client: concat!("chat-host-bench/", env!("CARGO_PKG_VERSION")).into(),
            })),
        }
    }

    /// One attempt: the session when the server has welcomed it, and it has entered the rooms.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn open(
        &mut self,
        shared: &Shared,
        joins: &[Join],
    ) -> Result<(Connection, Vec<Joined>), Broken> {
        let opened = timeout(HANDSHAKE, self.handshake(shared, joins)).await;
        let opened = opened.unwrap_or(Err(Broken::Slow(HANDSHAKE)));
        match &opened {
            Ok(_) => self.pause = FIRST_PAUSE,
            // The name may be ours without our knowing: its token is lost.
            Err(_) if self.token.is_empty() => self.burnt += 1,
            Err(_) => {}
        }
        opened
    }

    /// Attempts until one succeeds.
    pub async fn reopen(&mut self, shared: &Shared, joins: &[Join]) -> Connection {
        loop {
            if let Ok(permit) = shared.opening.acquire().await {
                let opened = self.open(shared, joins).await;
                drop(permit);
                if let Ok((connection, _)) = opened {
                    shared.counts.resumed.fetch_add(1, Ordering::Relaxed);
                    shared.counts.connected.fetch_add(1, Ordering::Relaxed);
                    return connection;
                }
            }
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn handshake(
        &mut self,
        shared: &Shared,
        joins: &[Join],
    ) -> Result<(Connection, Vec<Joined>), Broken> {
        let mut connection = Connection::open(&shared.options.target).await?;
        connection.send(&self.hello());
        for join in joins {
            let frame = Some(client_frame::Frame::Join(join.clone()));
            connection.send(&ClientFrame { frame });
        }
        let (mut welcomed, mut joined, mut refused) = (false, Vec::new(), None);
        // After a cut, events come with the answers to the joins; they are kept for who verifies them.
        let mut early = Vec::new();
        while !welcomed || joined.len() < joins.len() {
            let ended = connection
                .exchange(|bytes| {
                    if RawEvent::peek(bytes).is_some() {
                        early.push(bytes.to_vec());
                        return;
                    }
                    match ServerFrame::decode(bytes)
                        .ok()
                        .and_then(|frame| frame.frame)
                    {
                        Some(server_frame::Frame::Welcome(welcome)) => {
                            welcomed = true;
                            self.token = welcome.token;
                            self.private = welcome.private_positions;
                        }
                        Some(server_frame::Frame::Joined(answer)) => joined.push(answer),
                        Some(server_frame::Frame::Error(error)) => {
                            refused = Some(Broken::Refused {
                                code: error.code,
                                message: error.message,
                            });
                        }
                        Some(server_frame::Frame::Goodbye(goodbye)) => {
                            refused = Some(Broken::Goodbye(goodbye.reason));
                        }
                        _ => {}
                    }
                })
                .await;
            if let Some(refused) = refused {
                return Err(refused);
            }
            ended?;
        }
        connection.keep(early);
        Ok((connection, joined))
    }
}
