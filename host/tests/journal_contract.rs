//! The journal's contract, a test a sentence, over every implementation. (That a reported append survives the loss of
//! power is shown by the simulation and by the trace of a real server.)

// Helpers of tests may fail a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_host::journal::embedded::EmbeddedJournal;
use chat_host::journal::memory::MemoryJournal;
use chat_host::journal::{Journal, Log, ReadError};
use chat_host::state::ids::{Offset, Partition};
use tempfile::TempDir;
use tokio::time::timeout;

const P: Partition = Partition(1);
const PARTITIONS: u16 = 3;
/// Long enough for a loaded machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A journal and what it lives in.
struct House {
    journal: Arc<dyn Journal>,
    folder: Option<TempDir>,
}

fn embedded(path: &Path) -> Arc<dyn Journal> {
    Arc::new(EmbeddedJournal::open(&path.join("journal"), PARTITIONS).unwrap())
}

fn houses() -> Vec<(&'static str, House)> {
    let folder = tempfile::tempdir().unwrap();
    let memory = House {
        journal: Arc::new(MemoryJournal::new(PARTITIONS)),
        folder: None,
    };
    let embedded = House {
        journal: embedded(folder.path()),
        folder: Some(folder),
    };
    vec![("memory", memory), ("embedded", embedded)]
}

fn record(n: usize) -> Bytes {
    Bytes::from(format!("record {n}"))
}

async fn append(journal: &dyn Journal, log: Log, records: Vec<Bytes>) {
    journal
        .append(P, log, records)
        .unwrap()
        .await
        .unwrap()
        .unwrap();
}

async fn read_all(journal: &dyn Journal, log: Log, from: Offset) -> Vec<(Offset, Bytes)> {
    let mut next = from;
    let mut all = Vec::new();
    while next < journal.end(P, log) {
        let read = timeout(PATIENCE, journal.read(P, log, next, 64)).await;
        let entries = read.expect("the read ends").unwrap();
        assert!(!entries.is_empty());
        next = entries.last().unwrap().offset.next();
        all.extend(entries.into_iter().map(|e| (e.offset, e.bytes)));
    }
    all
}

#[tokio::test]
async fn offsets_rise_and_records_come_back_in_order() {
    for (name, house) in houses() {
        let records: Vec<Bytes> = (0..500).map(record).collect();
        for group in records.chunks(7) {
            append(house.journal.as_ref(), Log::Ingress, group.to_vec()).await;
        }
        let read = read_all(house.journal.as_ref(), Log::Ingress, Offset(0)).await;
        assert!(read.windows(2).all(|w| w[0].0 < w[1].0), "{name}");
        let read: Vec<Bytes> = read.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(read, records, "{name}");
        assert_eq!(
            house.journal.end(P, Log::Outcomes),
            Offset(0),
            "{name}: the other log"
        );
        house.journal.close().await;
    }
}

#[tokio::test]
async fn what_is_appended_first_is_first_whether_or_not_the_caller_waits() {
    for (name, house) in houses() {
        let under_way: Vec<_> = (0..300)
            .map(|n| {
                house
                    .journal
                    .append(P, Log::Outcomes, vec![record(n)])
                    .unwrap()
            })
            .collect();
        for appending in under_way {
            appending.await.unwrap().unwrap();
        }
        let read = read_all(house.journal.as_ref(), Log::Outcomes, Offset(0)).await;
        let expected: Vec<Bytes> = (0..300).map(record).collect();
        assert!(read.iter().map(|(_, b)| b).eq(&expected), "{name}");
        house.journal.close().await;
    }
}

#[tokio::test]
async fn a_read_waits_at_the_end_and_loses_nothing_when_it_is_dropped() {
    for (name, house) in houses() {
        let journal = house.journal.clone();
        append(journal.as_ref(), Log::Ingress, vec![record(0)]).await;
        let end = journal.end(P, Log::Ingress);
        let early = timeout(
            Duration::from_millis(50),
            journal.read(P, Log::Ingress, end, 1000),
        );
        assert!(early.await.is_err(), "{name}: there was nothing to read");
        let reading = tokio::spawn({
            let journal = journal.clone();
            async move { journal.read(P, Log::Ingress, end, 1000).await }
        });
        append(journal.as_ref(), Log::Ingress, vec![record(1)]).await;
        let read = timeout(PATIENCE, reading).await.expect("the read ends");
        assert_eq!(read.unwrap().unwrap()[0].bytes, record(1), "{name}");
        house.journal.close().await;
    }
}

#[tokio::test]
async fn a_read_outside_of_the_log_is_an_error_and_never_a_jump() {
    for (name, house) in houses() {
        let journal = house.journal.as_ref();
        append(journal, Log::Ingress, (0..10).map(record).collect()).await;
        let future = journal.read(P, Log::Ingress, Offset(11), 1000).await;
        assert!(
            matches!(
                future,
                Err(ReadError::OutOfRange {
                    end: Offset(10),
                    ..
                })
            ),
            "{name}: {future:?}"
        );
        house.journal.close().await;
    }
}

#[tokio::test]
async fn what_is_trimmed_stays_forgotten() {
    for (name, house) in houses() {
        let journal = house.journal.as_ref();
        append(journal, Log::Outcomes, (0..100).map(record).collect()).await;
        journal.trim(P, Log::Outcomes, Offset(60));
        let trimmed = async {
            while journal.oldest(P, Log::Outcomes) < Offset(60) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, trimmed).await.expect("the trim is done");
        let below = journal.read(P, Log::Outcomes, Offset(59), 1000).await;
        assert!(
            matches!(
                below,
                Err(ReadError::OutOfRange {
                    oldest: Offset(60),
                    ..
                })
            ),
            "{name}: {below:?}"
        );
        assert_eq!(
            read_all(journal, Log::Outcomes, Offset(60)).await.len(),
            40,
            "{name}"
        );
        assert_eq!(journal.end(P, Log::Outcomes), Offset(100), "{name}");
        house.journal.close().await;
        if let Some(folder) = &house.folder {
            let again = embedded(folder.path());
            assert_eq!(
                again.oldest(P, Log::Outcomes),
                Offset(60),
                "after a restart"
            );
            assert_eq!(again.end(P, Log::Outcomes), Offset(100), "after a restart");
            again.close().await;
        }
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_the_partitions_stay() {
    let folder = tempfile::tempdir().unwrap();
    let journal = embedded(folder.path());
    append(
        journal.as_ref(),
        Log::Ingress,
        (0..1000).map(record).collect(),
    )
    .await;
    journal
        .put_state(vec![(b"k".to_vec(), Some(record(7)))])
        .await
        .unwrap();
    journal.close().await;
    assert!(
        journal.append(P, Log::Ingress, vec![record(0)]).is_err(),
        "closed"
    );

    let again: Arc<dyn Journal> =
        Arc::new(EmbeddedJournal::open(&folder.path().join("journal"), 9).unwrap());
    assert_eq!(
        again.partitions(),
        PARTITIONS,
        "the layout is fixed when the journal is made"
    );
    assert_eq!(
        read_all(again.as_ref(), Log::Ingress, Offset(0))
            .await
            .len(),
        1000
    );
    assert_eq!(
        again.state(b"a", b"z", 10).unwrap(),
        [(Bytes::from_static(b"k"), record(7))]
    );
    again.close().await;
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    EmbeddedJournal::open(&path, 2).unwrap().close().await;
    {
        let database = fjall::Database::builder(&path).open().unwrap();
        let meta = database
            .keyspace("meta", fjall::KeyspaceCreateOptions::default)
            .unwrap();
        meta.insert("layout", "format=99 partitions=2").unwrap();
        database.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    let error = EmbeddedJournal::open(&path, 2).err().unwrap().to_string();
    assert!(
        error.contains("format 99") && error.contains("newer chat-host"),
        "{error}"
    );
}
