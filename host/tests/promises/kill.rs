//! Kill -9, again and again, of a server under load: what was acknowledged is delivered to everybody, once, in order.
//!
//! `CHAT_HOST_KILLS` says how often; `CHAT_HOST_SOAK` makes it a thousand.

use std::sync::Arc;
use std::time::Duration;

use chat_host::bench::{Counts, Options, Rate, Target, run};
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::server::{Home, ROOMY, until};

fn kills() -> u64 {
    let asked = std::env::var("CHAT_HOST_KILLS").ok();
    let soak = std::env::var_os("CHAT_HOST_SOAK").map(|_| 1000);
    asked
        .map(|n| n.parse().expect("a number of kills"))
        .or(soak)
        .unwrap_or(50)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_repeated_or_reordered_by_kills() {
    let kills = kills();
    let seed: u64 = rand::random();
    println!("{kills} kills, seed {seed}");
    let mut dice = rand::rngs::SmallRng::seed_from_u64(seed);
    let home = Home::new(ROOMY);
    let mut server = home.start().await;
    let listen = server.address.to_string();
    let options = Options {
        members: 20,
        rooms: 3,
        senders: 3,
        rate: Rate::PerSecond(600),
        duration: Duration::from_secs(24 * 3600),
        settle: Duration::from_secs(60),
        resume: true,
        ..Options::new(Target::resolve(&server.url).await.unwrap())
    };
    let (counts, stop) = (Arc::new(Counts::default()), CancellationToken::new());
    let load = tokio::spawn(run(options, counts.clone(), stop.clone()));
    let began = Instant::now();
    for kill in 1..=kills {
        let acknowledged = Counts::get(&counts.acknowledged);
        until(&format!("there is load before kill {kill}"), || {
            Counts::get(&counts.acknowledged) > acknowledged
        })
        .await;
        // The moment of the kill is what is random here; nothing is waited for.
        sleep(Duration::from_millis(dice.random_range(100..600))).await;
        server.kill().await;
        server = home.start_at(&listen).await;
    }
    stop.cancel();
    let report = load.await.unwrap().unwrap();
    println!(
        "{kills} kills in {:.1?}: {} acknowledged, {} deliveries, {} resumed",
        began.elapsed(),
        report.acknowledged,
        report.deliveries,
        report.resumed
    );
    assert_eq!(report.violations(), [], "seed {seed}: {report}");
    assert_eq!(report.sent, report.acknowledged, "seed {seed}: {report}");
    assert!(report.resumed >= kills, "seed {seed}: {report}");
    server.stop().await;
}
