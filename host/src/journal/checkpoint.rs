//! Checkpoints: copies of a partition's folded state, beside the logs.
//!
//! A checkpoint is written in pieces under an id of its own, its manifest last: without the manifest it is not there.

use bytes::Bytes;
use prost::Message;

use super::{AppendError, Journal, ReadError};
use crate::proto::log::v1::{CheckpointChunk, CheckpointManifest};
use crate::state::ids::Partition;
use crate::state::keys;

/// A partition has at most so many checkpoints; far more than retention makes.
const MANIFESTS: usize = 1024;

/// The complete checkpoints of a partition, oldest position first.
///
/// # Errors
/// Where the journal can't be read.
pub fn list(
    journal: &dyn Journal,
    partition: Partition,
) -> Result<Vec<CheckpointManifest>, ReadError> {
    let from = manifest_key(partition, &[]);
    let found = journal.state(&from, &keys::after(&from), MANIFESTS)?;
    let mut manifests: Vec<CheckpointManifest> = found
        .into_iter()
        .filter_map(|(_, value)| CheckpointManifest::decode(value).ok())
        .collect();
    manifests.sort_by_key(|m| m.outcomes);
    Ok(manifests)
}

/// Writes one piece.
///
/// # Errors
/// Where the journal can't be written.
pub async fn put_chunk(
    journal: &dyn Journal,
    partition: Partition,
    id: &[u8],
    number: u64,
    chunk: &CheckpointChunk,
) -> Result<(), AppendError> {
    let key = chunk_key(partition, id, number);
    let value = Bytes::from(chunk.encode_to_vec());
    journal.put_state(vec![(key, Some(value))]).await
}

/// Completes a checkpoint.
///
/// # Errors
/// Where the journal can't be written.
pub async fn complete(
    journal: &dyn Journal,
    partition: Partition,
    manifest: &CheckpointManifest,
) -> Result<(), AppendError> {
    let key = manifest_key(partition, &manifest.id);
    let value = Bytes::from(manifest.encode_to_vec());
    journal.put_state(vec![(key, Some(value))]).await
}

/// A piece of a complete checkpoint.
///
/// # Errors
/// Where it is missing or broken.
pub fn chunk(
    journal: &dyn Journal,
    partition: Partition,
    id: &[u8],
    number: u64,
) -> Result<CheckpointChunk, ReadError> {
    let key = chunk_key(partition, id, number);
    let found = journal.state(&key, &keys::after(&key), 1)?;
    found
        .into_iter()
        .next()
        .and_then(|(_, value)| CheckpointChunk::decode(value).ok())
        .ok_or_else(|| {
            ReadError::Unavailable(format!(
                "piece {number} of a checkpoint of partition {partition} is missing"
            ))
        })
}

/// Removes a checkpoint: first its manifest, so that it is never taken for a complete one.
///
/// # Errors
/// Where the journal can't be written.
pub async fn remove(
    journal: &dyn Journal,
    partition: Partition,
    manifest: &CheckpointManifest,
) -> Result<(), AppendError> {
    journal
        .put_state(vec![(manifest_key(partition, &manifest.id), None)])
        .await?;
    let chunks = (0..manifest.chunks)
        .map(|number| (chunk_key(partition, &manifest.id, number), None))
        .collect();
    journal.put_state(chunks).await
}

fn manifest_key(partition: Partition, id: &[u8]) -> Vec<u8> {
    let mut key = vec![b'm'];
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.extend_from_slice(id);
    key
}

fn chunk_key(partition: Partition, id: &[u8], number: u64) -> Vec<u8> {
    let mut key = vec![b'c'];
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.extend_from_slice(id);
    key.extend_from_slice(&number.to_be_bytes());
    key
}
