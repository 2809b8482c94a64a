//! Reload is atomic: a plugin's file is exchanged 200 times while members talk, a third of the files being no good.
//!
//! The plugin signs every message with its version, so that each outcome tells who decided it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_host::proto::v1;
use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::client::{Session, text};
use super::plugin_support::{hostile, patched};
use super::server::{Home, PATIENCE, ROOMY, until};

const RELOADS: usize = 200;
/// Messages before the first of them, to compare with.
const UNDISTURBED: u64 = 3000;
/// Good versions in turn: all but the first round come from the code cache.
const VERSIONS: usize = 6;

fn version(number: usize) -> String {
    format!("1.0.{number}+first")
}

fn component(number: usize) -> Vec<u8> {
    patched(hostile(), "1.0.0+first", &version(number))
}

/// What an unhappy build may leave.
fn broken(kind: usize, whole: &[u8], dice: &mut impl RngExt) -> Vec<u8> {
    match kind % 3 {
        0 => (0..5000).map(|_| dice.random::<u8>()).collect(),
        1 => whole[..dice.random_range(1..whole.len())].to_vec(),
        _ => patched(whole, "chat:plugin/review@", "chat:plugim/review@"),
    }
}

fn put(path: &Path, bytes: &[u8], in_place: bool) {
    if in_place {
        std::fs::write(path, bytes).unwrap();
    } else {
        let whole = path.with_extension("new");
        std::fs::write(&whole, bytes).unwrap();
        std::fs::rename(whole, path).unwrap();
    }
}

/// How long messages took from being sent to being seen, and the longest time in which none was seen, in µs.
struct Pace {
    took: Histogram<u64>,
    longest_gap: u64,
    last: Option<Instant>,
}

impl Pace {
    fn new() -> Self {
        Self {
            took: Histogram::new(3).unwrap(),
            longest_gap: 0,
            last: None,
        }
    }

    fn saw(&mut self, sent: Instant) {
        let now = Instant::now();
        let micros = |since: Instant| u64::try_from((now - since).as_micros()).unwrap();
        self.took.record(micros(sent)).unwrap();
        self.longest_gap = self.longest_gap.max(self.last.map_or(0, micros));
        self.last = Some(now);
    }

    fn p99(&self) -> Duration {
        Duration::from_micros(self.took.value_at_quantile(0.99))
    }

    fn print(&self, when: &str) {
        let ms = |micros: u64| micros as f64 / 1000.0;
        println!(
            "{when}: {} messages, sent to seen p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms, longest gap {:.2} ms",
            self.took.len(),
            ms(self.took.value_at_quantile(0.5)),
            ms(self.took.value_at_quantile(0.99)),
            ms(self.took.max()),
            ms(self.longest_gap),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reloads_lose_no_message_and_only_good_versions_decide() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = rand::rngs::SmallRng::seed_from_u64(seed);
    let home = Home::new(ROOMY);
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("hostile.wasm");
    put(&file, &component(1), true);
    let home = home.flag("--plugins").flag(folder.to_str().unwrap());
    let server = home.start().await;

    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut reader = Session::in_room(&server.url, "reader", "lobby").await;
    let last = Arc::new(AtomicU64::new(u64::MAX));
    // When each was sent, for who sees it.
    let (sent, mut sent_at) = mpsc::channel(1024);
    // One after the other, as fast as they are decided.
    let talking = tokio::spawn({
        let last = last.clone();
        async move {
            let mut number = 0;
            while number < last.load(Ordering::Acquire) {
                number += 1;
                let id = number.to_string();
                sent.send(Instant::now()).await.unwrap();
                let decided = alice.post("lobby", &format!("{id} do:sign"), &id).await;
                let decided = decided.unwrap();
                assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
                assert_eq!(decided.sequence, number);
                if number.is_multiple_of(64) {
                    // So that reloads have a processor too.
                    sleep(Duration::from_millis(5)).await;
                }
            }
            number
        }
    });
    let (seen, mut signed) = watch::channel((0, String::new()));
    let hearing = tokio::spawn({
        let last = last.clone();
        async move {
            let (mut undisturbed, mut reloading) = (Pace::new(), Pace::new());
            let mut number = 0;
            while number < last.load(Ordering::Acquire) {
                let event = reader.event().await;
                number += 1;
                let sent = sent_at.try_recv().expect("it was sent before");
                if number <= UNDISTURBED {
                    undisturbed.saw(sent);
                } else {
                    reloading.saw(sent);
                }
                assert_eq!(event.sequence, number);
                let (id, version) = text(&event).split_once(' ').unwrap();
                assert_eq!(id, number.to_string());
                seen.send_replace((number, version.to_owned()));
            }
            (undisturbed, reloading)
        }
    });

    let first = signed.wait_for(|(number, _)| *number >= UNDISTURBED);
    assert_eq!(first.await.unwrap().1, version(1));
    let began = Instant::now();
    let refusals = || home.log().matches("a plugin's file is refused").count();
    let (mut current, mut refused) = (1, 0);
    for reload in 0..RELOADS {
        let in_place = dice.random();
        if reload % 3 == 2 {
            // Whatever is in it: not the version that serves, and never to be seen.
            let bytes = broken(reload / 3, &component(9), &mut dice);
            put(&file, &bytes, in_place);
            refused += 1;
            until(&format!("reload {reload} is refused (seed {seed})"), || {
                refusals() >= refused
            })
            .await;
            let now = signed.borrow().0;
            let next = signed.wait_for(|(number, _)| *number > now + 1);
            let next = tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
            assert_eq!(next.1, version(current), "reload {reload}, seed {seed}");
        } else {
            current = current % VERSIONS + 1;
            put(&file, &component(current), in_place);
            let new = version(current);
            let old = signed.borrow_and_update().1.clone();
            let decides = async {
                loop {
                    signed.changed().await.expect("somebody talks");
                    let signature = signed.borrow_and_update().1.clone();
                    if signature == new {
                        return;
                    }
                    assert_eq!(signature, old, "reload {reload}, seed {seed}");
                }
            };
            tokio::time::timeout(PATIENCE, decides)
                .await
                .unwrap_or_else(|_| {
                    panic!(
                        "reload {reload} has no effect, seed {seed}:\n{}",
                        home.log()
                    )
                });
        }
    }
    last.store(signed.borrow().0 + 100, Ordering::Release);
    let messages = talking.await.unwrap();
    let (undisturbed, reloading) = hearing.await.unwrap();
    println!("{messages} messages, reloads for {:.1?}", began.elapsed());
    undisturbed.print("without reloads");
    reloading.print("with reloads");
    // Loosely, for compiling takes the processors that the messages need too.
    let most = (undisturbed.p99() * 5).max(Duration::from_millis(250));
    assert!(
        reloading.p99() <= most,
        "reloads delay messages: p99 {:?}, and {:?} without",
        reloading.p99(),
        undisturbed.p99()
    );
    server.stop().await;
}
