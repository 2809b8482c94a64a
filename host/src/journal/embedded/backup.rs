//! A consistent copy of a journal, also of one that is being written.
//!
//! The ends are taken first, outcomes before ingress: what was decided is then never without what it answers. The store
//! is not copied: the logs make it again.

use std::path::Path;

use super::database::{Append, Database};
use super::{EmbeddedJournal, OpenError, layout};
use crate::journal::{Journal, Log};
use crate::state::ids::Partition;

/// About so many bytes are copied at once.
const COPY_BYTES: usize = 4 * 1024 * 1024;
/// Records that are copied at once.
const COPY_RECORDS: usize = 10_000;
/// Entries of the checkpoints' map that are copied at once.
const COPY_ENTRIES: usize = 16;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Records of both logs.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl EmbeddedJournal {
    /// Copies everything that is durable now into a new journal in `to`. Waits for the disk.
    ///
    /// # Errors
    /// Where `to` holds something already, or a disk fails; what is in `to` is then no backup.
    pub fn copy_to(&self, to: &Path) -> Result<Copied, OpenError> {
        let failed = |reason: String| OpenError::Copy {
            path: to.to_owned(),
            reason,
        };
        if to.exists() {
            return Err(failed("there is something already".into()));
        }
        let source = self
            .shared
            .database()
            .ok_or_else(|| failed("the journal is being opened again; try later".into()))?;
        let mut ends = Vec::new();
        for log in [Log::Outcomes, Log::Ingress] {
            for partition in (0..self.partitions()).map(Partition) {
                ends.push((partition, log, self.end(partition, log)));
            }
        }
        let target = Database::open(to)?;
        let mut copied = Copied::default();
        for (partition, log, end) in ends {
            let oldest = self.oldest(partition, log);
            target.set_floor(partition, log, oldest).map_err(failed)?;
            let mut next = oldest;
            while next < end {
                let entries = source
                    .read(partition, log, next, end, COPY_BYTES, COPY_RECORDS)
                    .map_err(failed)?;
                let Some(last) = entries.last() else {
                    return Err(failed(
                        "old records were removed meanwhile; begin the backup again".into(),
                    ));
                };
                next = last.offset.next();
                copied.records += entries.len() as u64;
                copied.bytes += entries.iter().map(|e| e.bytes.len() as u64).sum::<u64>();
                let append = Append {
                    partition,
                    log,
                    entries,
                };
                target.write(&[append], Vec::new()).map_err(failed)?;
            }
        }
        let mut from = Vec::new();
        loop {
            let entries = source
                .state(&from, &[u8::MAX], COPY_ENTRIES)
                .map_err(failed)?;
            let Some((last, _)) = entries.last() else {
                break;
            };
            from = last.to_vec();
            from.push(0);
            let batch = entries
                .into_iter()
                .map(|(key, value)| (key.to_vec(), Some(value)))
                .collect();
            target.write(&[], batch).map_err(failed)?;
        }
        // The layout last: without it the folder is not taken for a journal of so many partitions.
        layout::write(&target, self.partitions()).map_err(failed)?;
        Ok(copied)
    }
}
