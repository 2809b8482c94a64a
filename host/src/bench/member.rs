//! A member: joins its room and reads, verifying every event.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::broken::Broken;
use super::connection::Connection;
use super::latency::Recorder;
use super::listener::Listener;
use super::session::Identity;
use super::shared::Shared;

/// One member's session.
#[derive(Debug)]
pub struct Member {
    shared: Arc<Shared>,
    index: usize,
    identity: Identity,
    listener: Listener,
}

impl Member {
    /// Not connected yet.
    pub fn new(shared: &Arc<Shared>, index: usize, recorder: &Arc<Recorder>) -> Self {
        Self {
            identity: Identity::new(format!("{}-m{index}", shared.run)),
            listener: Listener::new(shared, [index], recorder),
            shared: Arc::clone(shared),
            index,
        }
    }

    /// Joins for the first time.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn enter(&mut self) -> Result<Connection, Broken> {
        let (connection, joined) = self
            .identity
            .open(&self.shared, &self.listener.enter())
            .await?;
        self.listener.begin(&joined);
        self.shared.counts.connected.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }

    /// Reads until the run drops it, or the stream ends and is not to be resumed.
    pub async fn follow(mut self, mut connection: Connection) {
        loop {
            let cut = self.read(connection).await;
            let counts = &self.shared.counts;
            counts.connected.fetch_sub(1, Ordering::Relaxed);
            if !self.shared.options.resume {
                counts.violation(&counts.disconnected, || {
                    format!("member {}: {cut}", self.index)
                });
                return;
            }
            connection = self
                .identity
                .reopen(&self.shared, &self.listener.resume())
                .await;
        }
    }

    async fn read(&mut self, mut connection: Connection) -> Broken {
        let listener = &mut self.listener;
        loop {
            let ended = connection
                .exchange(|frame| {
                    listener.hear(frame);
                })
                .await;
            listener.end_batch();
            if let Err(cut) = ended {
                return cut;
            }
        }
    }
}
