//! A member: joins its room and reads, verifying every event.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::broken::Broken;
use super::connection::Connection;
use super::counts::Counts;
use super::event::RawEvent;
use super::latency::Recorder;
use super::session::Identity;
use super::shared::Shared;
use super::verify::Verifier;
use crate::proto::v1::Join;

/// One member's session.
#[derive(Debug)]
pub struct Member {
    shared: Arc<Shared>,
    index: usize,
    room: String,
    identity: Identity,
    verifier: Verifier,
}

impl Member {
    /// Not connected yet.
    pub fn new(shared: &Arc<Shared>, index: usize, recorder: &Arc<Recorder>) -> Self {
        let room = shared.rooms.get(index % shared.rooms.len().max(1));
        Self {
            room: room.map(|room| room.name.clone()).unwrap_or_default(),
            identity: Identity::new(format!("{}-m{index}", shared.run)),
            verifier: Verifier::new(shared, index, recorder),
            shared: Arc::clone(shared),
            index,
        }
    }

    /// Joins for the first time.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn enter(&mut self) -> Result<Connection, Broken> {
        let join = Join {
            room: self.room.clone(),
            after: None,
            last: 0,
        };
        let (connection, joined) = self.identity.open(&self.shared, Some(join)).await?;
        self.verifier
            .begin_after(joined.map_or(0, |joined| joined.after));
        self.shared.counts.connected.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }

    /// Reads until the run drops it, or the stream ends and is not to be resumed.
    pub async fn follow(mut self, mut connection: Connection) {
        loop {
            let cut = self.read(connection).await;
            self.shared.counts.connected.fetch_sub(1, Ordering::Relaxed);
            if !self.shared.options.resume {
                let counts = &self.shared.counts;
                counts.violation(&counts.disconnected, || {
                    format!("member {}: {cut}", self.index)
                });
                return;
            }
            let after = Some(self.verifier.last());
            let join = Join {
                room: self.room.clone(),
                after,
                last: 0,
            };
            connection = self.identity.reopen(&self.shared, Some(join)).await.0;
            self.shared.counts.connected.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn read(&mut self, mut connection: Connection) -> Broken {
        let (shared, verifier) = (&self.shared, &mut self.verifier);
        loop {
            // One clock reading a batch; what came in it was there at its beginning.
            let mut now_us = None;
            let mut delivered = 0;
            let ended = connection
                .exchange(|frame| {
                    if let Some(event) = RawEvent::peek(frame) {
                        delivered += 1;
                        verifier.see(event, *now_us.get_or_insert_with(|| shared.now_us()));
                    }
                })
                .await;
            if delivered > 0 {
                Counts::add(&shared.counts.deliveries, delivered);
                verifier.note_position();
            }
            if let Err(cut) = ended {
                return cut;
            }
        }
    }
}
