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
use chat_host::journal::{AppendError, Journal, Log, ReadError};
use chat_host::state::ids::{Offset, Partition};
use futures_util::FutureExt;
use journal::Disk;
use tempfile::TempDir;
use tokio::time::timeout;
use world::{Dice, Trouble};

// The simulation's journal keeps the same contract, where nothing is to go wrong.
#[allow(dead_code, missing_docs)]
#[path = "simulation/journal.rs"]
mod journal;
#[allow(dead_code, missing_docs)]
#[path = "simulation/world.rs"]
mod world;

const P: Partition = Partition(1);
const PARTITIONS: u16 = 3;
/// Long enough for a loaded machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A journal and what it lives in.
struct House {
    journal: Arc<dyn Journal>,
    place: Place,
}

enum Place {
    Memory,
    Folder(TempDir),
    Simulated(Arc<Disk>),
}

fn embedded(path: &Path) -> Arc<dyn Journal> {
    Arc::new(EmbeddedJournal::open(&path.join("journal"), PARTITIONS).unwrap())
}

fn simulated(trouble: Trouble) -> House {
    let disk = Disk::new(Dice::new(7), PARTITIONS, trouble, None);
    House {
        journal: disk.handle(0),
        place: Place::Simulated(disk),
    }
}

fn houses() -> Vec<(&'static str, House)> {
    let folder = tempfile::tempdir().unwrap();
    let memory = House {
        journal: Arc::new(MemoryJournal::new(PARTITIONS)),
        place: Place::Memory,
    };
    let embedded = House {
        journal: embedded(folder.path()),
        place: Place::Folder(folder),
    };
    vec![
        ("memory", memory),
        ("embedded", embedded),
        ("simulated", simulated(Trouble::default())),
    ]
}

impl House {
    /// The journal as it would be if the machine stopped at this moment. (What is in memory lasts as long as this
    /// process; what is in a folder is what the files hold now.)
    fn after_a_stop(&self) -> Self {
        match &self.place {
            Place::Memory => Self {
                journal: self.journal.clone(),
                place: Place::Memory,
            },
            Place::Folder(folder) => {
                let copy = tempfile::tempdir().unwrap();
                copy_all(folder.path(), copy.path());
                Self {
                    journal: embedded(copy.path()),
                    place: Place::Folder(copy),
                }
            }
            Place::Simulated(disk) => {
                disk.lose_power();
                disk.restore_power();
                Self {
                    journal: disk.handle(1),
                    place: Place::Simulated(disk.clone()),
                }
            }
        }
    }

    /// Makes it refuse what is appended.
    async fn refuse(&self) {
        match &self.place {
            Place::Simulated(disk) => disk.lose_power(),
            Place::Memory | Place::Folder(_) => self.journal.close().await,
        }
    }

    /// The journal after that.
    fn again(&self) -> Arc<dyn Journal> {
        match &self.place {
            Place::Memory => self.journal.clone(),
            Place::Folder(folder) => embedded(folder.path()),
            Place::Simulated(disk) => {
                disk.restore_power();
                disk.handle(0)
            }
        }
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
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
        let read = timeout(PATIENCE, journal.read(P, log, next, 1024)).await;
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
        let early = journal.read(P, Log::Ingress, end, 1000).now_or_never();
        assert!(early.is_none(), "{name}: there was nothing to read");
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
        if let Place::Folder(folder) = &house.place {
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

/// Whatever a reader has got is there when the machine stops at that moment.
#[tokio::test]
async fn nothing_is_read_that_is_not_yet_durable() {
    for (name, house) in houses() {
        let mut next = Offset(0);
        for round in 0..20 {
            let records = (0..10).map(|n| record(round * 10 + n));
            let under_way: Vec<_> = records
                .map(|record| house.journal.append(P, Log::Ingress, vec![record]).unwrap())
                .collect();
            if name == "simulated" {
                let early = house.journal.read(P, Log::Ingress, next, 1000);
                assert!(early.now_or_never().is_none(), "{name}: it was not synced");
            }
            let read = timeout(PATIENCE, house.journal.read(P, Log::Ingress, next, 1000));
            let read = read.await.expect("the read ends").unwrap();
            let stopped = house.after_a_stop();
            let there = read_all(stopped.journal.as_ref(), Log::Ingress, next).await;
            let read = read.into_iter().map(|e| (e.offset, e.bytes));
            let lost: Vec<_> = read.filter(|entry| !there.contains(entry)).collect();
            assert!(lost.is_empty(), "{name}, round {round}: {lost:?}");
            if name != "memory" && name != "simulated" {
                stopped.journal.close().await;
            }
            for appending in under_way {
                // In the simulation the power failed while it was under way.
                appending.await.unwrap().ok();
            }
            next = house.journal.end(P, Log::Ingress);
        }
        house.journal.close().await;
    }
}

#[tokio::test]
async fn a_refused_append_is_not_there_and_never_will_be() {
    for (name, house) in houses() {
        append(house.journal.as_ref(), Log::Ingress, vec![record(0)]).await;
        house.refuse().await;
        let refused = house.journal.append(P, Log::Ingress, vec![record(1)]);
        assert!(
            matches!(refused, Err(AppendError::Refused(_))),
            "{name}: {refused:?}"
        );

        let again = house.again();
        let mut expected = vec![record(0)];
        if name != "memory" {
            append(again.as_ref(), Log::Ingress, vec![record(2)]).await;
            expected.push(record(2));
        }
        let read = read_all(again.as_ref(), Log::Ingress, Offset(0)).await;
        let read: Vec<Bytes> = read.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(read, expected, "{name}");
        again.close().await;
    }
}

/// Only a journal that can be made to fail shows this one; the embedded one on a full disk is among the promises' tests.
#[tokio::test]
async fn after_an_unknown_append_reading_tells_what_is_there() {
    let troubles = [
        Trouble {
            lost: 1000,
            ..Trouble::default()
        },
        Trouble {
            torn: 1000,
            ..Trouble::default()
        },
        Trouble {
            unknown: 1000,
            ..Trouble::default()
        },
    ];
    for trouble in troubles {
        let house = simulated(trouble);
        let journal = house.journal.as_ref();
        let records: Vec<Bytes> = (0..5).map(record).collect();
        let appending = journal.append(P, Log::Outcomes, records.clone()).unwrap();
        let told = timeout(PATIENCE, appending).await.unwrap().unwrap();
        assert!(matches!(told, Err(AppendError::Unknown(_))), "{told:?}");
        let there = read_all(journal, Log::Outcomes, Offset(0)).await;
        let there: Vec<Bytes> = there.into_iter().map(|(_, bytes)| bytes).collect();
        assert!(records.starts_with(&there), "{trouble:?}: {there:?}");
    }
}

/// Who appends at the same time does not come in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_of_one_append_are_adjacent_and_in_order() {
    for (name, house) in houses() {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let journal = house.journal.clone();
                tokio::spawn(async move {
                    let mut under_way = Vec::new();
                    for group in 0..50 {
                        let of = 1 + (writer + group) % 7;
                        let records = (0..of).map(|n| (writer, group, n, of));
                        let records = records.map(|r| Bytes::from(format!("{r:?}"))).collect();
                        under_way.push(journal.append(P, Log::Outcomes, records).unwrap());
                        tokio::task::yield_now().await;
                    }
                    for appending in under_way {
                        appending.await.unwrap().unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let read = read_all(house.journal.as_ref(), Log::Outcomes, Offset(0)).await;
        let mut read = read.into_iter().map(|(_, bytes)| bytes);
        let mut next = [0; 4];
        while let Some(first) = read.next() {
            let (writer, group) = (0..4)
                .map(|writer| (writer, next[writer]))
                .find(|(writer, group)| {
                    first.starts_with(format!("({writer}, {group}, 0,").as_bytes())
                })
                .unwrap_or_else(|| panic!("{name}: {first:?} begins no append"));
            next[writer] += 1;
            let of = 1 + (writer + group) % 7;
            for n in 1..of {
                let expected = Bytes::from(format!("{:?}", (writer, group, n, of)));
                assert_eq!(read.next(), Some(expected), "{name}");
            }
        }
        assert_eq!(next, [50; 4], "{name}");
        house.journal.close().await;
    }
}

/// The machine stops while much is under way: a beginning of it is there, with all that was acknowledged.
#[tokio::test]
async fn of_what_is_under_way_at_a_stop_a_beginning_is_there() {
    for (name, house) in houses() {
        let mut under_way: Vec<_> = (0..200)
            .map(|n| {
                let records = (0..3).map(|m| record(n * 3 + m)).collect();
                house.journal.append(P, Log::Ingress, records).unwrap()
            })
            .collect();
        for appending in under_way.drain(..50) {
            timeout(PATIENCE, appending)
                .await
                .unwrap()
                .unwrap()
                .unwrap();
        }
        let stopped = house.after_a_stop();
        let there = read_all(stopped.journal.as_ref(), Log::Ingress, Offset(0)).await;
        let there: Vec<Bytes> = there.into_iter().map(|(_, bytes)| bytes).collect();
        let all: Vec<Bytes> = (0..600).map(record).collect();
        assert!(all.starts_with(&there), "{name}: {there:?}");
        assert!(there.len() >= 150, "{name}: {} are there", there.len());
        stopped.journal.close().await;
        house.journal.close().await;
    }
}

/// More than a disk can take: what is accepted gets there, and the rest is refused at once. (The other two take all.)
#[tokio::test]
async fn an_append_does_not_wait_where_the_queue_is_full() {
    for (name, house) in houses() {
        let most = if name == "embedded" { 1_000_000 } else { 2_000 };
        let numbered: Vec<Bytes> = (0..1000).map(|n| format!("{n:01000}").into()).collect();
        let mut under_way = Vec::new();
        let mut refused = None;
        for n in 0..most {
            let record = numbered[n % numbered.len()].clone();
            match house.journal.append(P, Log::Ingress, vec![record]) {
                Ok(appending) => under_way.push(appending),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if name == "embedded" {
            assert!(
                matches!(refused, Some(AppendError::Refused(_))),
                "{name}: {refused:?}"
            );
        }
        let accepted = under_way.len();
        for appending in under_way {
            timeout(PATIENCE, appending)
                .await
                .unwrap()
                .unwrap()
                .unwrap();
        }
        let end = house.journal.end(P, Log::Ingress);
        assert_eq!(end, Offset(accepted as u64), "{name}");
        append(house.journal.as_ref(), Log::Ingress, vec![record(7)]).await;
        let last = Offset(accepted as u64 - 1);
        let read = read_all(house.journal.as_ref(), Log::Ingress, last).await;
        let read: Vec<Bytes> = read.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(
            read,
            [numbered[(accepted - 1) % numbered.len()].clone(), record(7)],
            "{name}"
        );
        house.journal.close().await;
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
