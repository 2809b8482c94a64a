//! When an owner writes a checkpoint, and when the floor rises to one.
//!
//! The floor moves from checkpoint to checkpoint, so that what is kept always begins with a copy of the state there.

use std::sync::Arc;

use tracing::{debug, warn};

use super::Config;
use crate::journal::{Journal, checkpoint};
use crate::proto::log::v1::{CheckpointChunk, CheckpointManifest, Entry, PartitionState};
use crate::state::ids::Partition;
use crate::state::keys::HISTORY;
use crate::state::store::Snapshot;

/// Checkpoints within the time and the size that is kept: how finely retention cuts.
const STEPS: u64 = 16;
/// About so many bytes of entries go into one piece.
const CHUNK_BYTES: usize = 512 * 1024;
/// Entries that are scanned at once.
const SCAN: usize = 2048;

/// A partition's checkpoints, as its owner knows them.
pub struct Checkpoints {
    journal: Arc<dyn Journal>,
    partition: Partition,
    known: Vec<CheckpointManifest>,
    age_ms: u64,
    bytes: u64,
}

impl Checkpoints {
    /// Reads what is there.
    pub fn load(journal: Arc<dyn Journal>, partition: Partition, config: &Config) -> Self {
        let known = checkpoint::list(journal.as_ref(), partition).unwrap_or_else(|error| {
            warn!(%partition, %error, "the checkpoints can't be read; nothing is trimmed for now");
            Vec::new()
        });
        Self {
            partition,
            known,
            age_ms: u64::try_from(config.retain_age.as_millis()).unwrap_or(u64::MAX),
            bytes: config.retain_bytes.min(journal.most_bytes())
                / u64::from(journal.partitions().max(1)),
            journal,
        }
    }

    /// Whether it is time for another one.
    pub fn is_due(&self, state: &PartitionState) -> bool {
        let (time_ms, log_bytes) = self
            .known
            .last()
            .map_or((0, 0), |last| (last.time_ms, last.log_bytes));
        // The first one is due at once: an empty log has nothing to copy.
        state.next_outcome > self.known.last().map_or(0, |last| last.outcomes)
            && (state.time_ms >= time_ms.saturating_add(self.age_ms / STEPS)
                || state.log_bytes >= log_bytes.saturating_add(self.bytes / STEPS))
    }

    /// The checkpoint to which the floor should rise, if it should.
    pub fn floor(&self, state: &PartitionState) -> Option<&CheckpointManifest> {
        self.known.iter().rev().find(|checkpoint| {
            let old = checkpoint.time_ms.saturating_add(self.age_ms) <= state.time_ms;
            let large = checkpoint.log_bytes.saturating_add(self.bytes) <= state.log_bytes;
            checkpoint.outcomes > state.floor_outcomes && (old || large)
        })
    }

    /// Writes one from a snapshot of the store, taken where the fold stood at `state`.
    pub async fn write(
        &mut self,
        snapshot: Box<dyn Snapshot>,
        state: &PartitionState,
        id: [u8; 16],
    ) {
        match self.copy(snapshot, state, id).await {
            Ok(manifest) => {
                debug!(partition = %self.partition, outcomes = manifest.outcomes, "checkpoint written");
                self.known.push(manifest);
            }
            Err(reason) => {
                warn!(partition = %self.partition, %reason, "a checkpoint failed; the next one is tried later");
            }
        }
    }

    async fn copy(
        &self,
        snapshot: Box<dyn Snapshot>,
        state: &PartitionState,
        id: [u8; 16],
    ) -> Result<CheckpointManifest, String> {
        let mut from = self.partition.0.to_be_bytes().to_vec();
        let mut to = from.clone();
        to.push(HISTORY);
        let mut chunk = CheckpointChunk::default();
        let (mut chunks, mut size) = (0, 0);
        loop {
            let entries = snapshot
                .range(&from, &to, SCAN)
                .map_err(|error| error.to_string())?;
            let last = entries.len() < SCAN;
            for (key, value) in entries {
                from.clear();
                from.extend_from_slice(&key);
                from.push(0);
                size += key.len() + value.len();
                chunk.entries.push(Entry { key, value });
                if size >= CHUNK_BYTES {
                    self.put(&id, chunks, &mut chunk).await?;
                    chunks += 1;
                    size = 0;
                }
            }
            if last {
                break;
            }
        }
        if !chunk.entries.is_empty() {
            self.put(&id, chunks, &mut chunk).await?;
            chunks += 1;
        }
        let manifest = CheckpointManifest {
            id: id.to_vec().into(),
            version: crate::state::fold::ENCODING,
            outcomes: state.next_outcome,
            ingress: state.next_ingress,
            time_ms: state.time_ms,
            chunks,
            log_bytes: state.log_bytes,
        };
        checkpoint::complete(self.journal.as_ref(), self.partition, &manifest)
            .await
            .map_err(|error| error.to_string())?;
        Ok(manifest)
    }

    async fn put(&self, id: &[u8], number: u64, chunk: &mut CheckpointChunk) -> Result<(), String> {
        let full = std::mem::take(chunk);
        checkpoint::put_chunk(self.journal.as_ref(), self.partition, id, number, &full)
            .await
            .map_err(|error| error.to_string())
    }

    /// Removes the checkpoints below the floor.
    pub async fn forget_below(&mut self, floor_outcomes: u64) {
        while let Some(first) = self.known.first() {
            if first.outcomes >= floor_outcomes {
                return;
            }
            if let Err(error) =
                checkpoint::remove(self.journal.as_ref(), self.partition, first).await
            {
                warn!(partition = %self.partition, %error, "an old checkpoint could not be removed yet");
                return;
            }
            self.known.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::memory::MemoryJournal;

    /// The default of 10 GiB is meant for a disk.
    #[test]
    fn a_journal_in_memory_keeps_what_memory_can_hold() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(4));
        let config = Config {
            message_bytes: 4096,
            batch: 64,
            rooms: 100,
            name_hold: Duration::ZERO,
            window: 4096,
            read_back: Duration::from_secs(30),
            retain_age: Duration::from_secs(1 << 30),
            retain_bytes: 10 << 30,
            own_thread: false,
        };
        let mut checkpoints = Checkpoints::load(journal, Partition(0), &config);
        checkpoints.known.push(CheckpointManifest {
            outcomes: 1,
            ..CheckpointManifest::default()
        });
        let at = |log_bytes| PartitionState {
            next_outcome: 2,
            log_bytes,
            ..PartitionState::default()
        };
        let share = 64 << 20;
        assert!(!checkpoints.is_due(&at(share / STEPS - 1)));
        assert!(checkpoints.is_due(&at(share / STEPS)));
        assert!(checkpoints.floor(&at(share - 1)).is_none());
        assert!(checkpoints.floor(&at(share)).is_some());
    }
}
