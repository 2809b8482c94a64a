//! The exporter, asked as a machine would: over a raw connection.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Test code, also in helpers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_host::journal::memory::MemoryJournal;
use chat_host::journal::{Journal, Log};
use chat_host::rooms::Rooms;
use chat_host::state::ids::{Offset, Partition};
use chat_host::state::memory::MemoryStore;
use chat_host::telemetry::exporter::Exporter;
use chat_host::telemetry::health::{Health, Readiness};
use chat_host::telemetry::metrics::Metrics;
use chat_host::telemetry::observer::sample;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

struct Running {
    address: SocketAddr,
    metrics: Metrics,
    health: Health,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn running() -> Running {
    let (metrics, health, stop) = (Metrics::new(), Health::default(), CancellationToken::new());
    let exporter = Exporter::bind(([127, 0, 0, 1], 0).into(), metrics.clone(), health.clone())
        .await
        .unwrap();
    Running {
        address: exporter.address(),
        metrics,
        health,
        task: tokio::spawn(exporter.run(stop.clone())),
        stop,
    }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
        .await
        .expect("an answer within 5 s")
        .unwrap();
    answer
}

#[tokio::test]
async fn a_scrape_shows_what_was_counted() {
    let host = running().await;
    host.metrics.accepted.inc_by(42);
    let answer = ask(host.address, "GET /metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("application/openmetrics-text"), "{answer}");
    assert!(answer.contains("\nchat_accepted_total 42\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_host() {
    let host = running().await;
    for (state, status) in [
        (Readiness::Starting, "503"),
        (Readiness::Ready, "200"),
        (Readiness::Unable, "503"),
        (Readiness::Draining, "503"),
    ] {
        host.health.set(state);
        let answer = ask(host.address, "GET /readyz").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.ends_with(&format!("{}\n", state.word())), "{answer}");
        assert!(
            ask(host.address, "GET /healthz")
                .await
                .starts_with("HTTP/1.1 200 ")
        );
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let host = running().await;
    assert!(
        ask(host.address, "GET /")
            .await
            .starts_with("HTTP/1.1 404 ")
    );
    assert!(
        ask(host.address, "POST /metrics")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
}

#[tokio::test]
async fn it_ends_at_once_also_with_idle_connections() {
    let host = running().await;
    let mut idle = TcpStream::connect(host.address).await.unwrap();
    // Answered, and so known to be accepted; then kept open.
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    idle.read_u8().await.unwrap();
    host.stop.cancel();
    timeout(Duration::from_secs(3), host.task)
        .await
        .expect("the exporter ends")
        .unwrap();
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_address() {
    let host = running().await;
    let error = Exporter::bind(host.address, Metrics::new(), Health::default())
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains(&host.address.to_string()) && told.contains("--metrics"),
        "{told}"
    );
}

/// Also where nobody decides anything, and so nobody tells of it.
#[tokio::test(start_paused = true)]
async fn the_lag_rises_where_a_partition_stands_still() {
    let journal = Arc::new(MemoryJournal::new(2));
    let rooms = Arc::new(Rooms::open(Arc::new(MemoryStore::default()), 2).unwrap());
    let (metrics, drain) = (Metrics::new(), CancellationToken::new());
    let sampling = tokio::spawn(sample(
        metrics.clone(),
        journal.clone(),
        rooms,
        Arc::default(),
        drain.clone(),
    ));
    for waiting in [3, 5] {
        while journal.end(Partition(1), Log::Ingress) < Offset(waiting) {
            let record = vec![Bytes::from_static(b"record")];
            let appending = journal.append(Partition(1), Log::Ingress, record);
            appending.unwrap().await.unwrap().unwrap();
        }
        let expected = format!("chat_lag{{partition=\"1\"}} {waiting}\n");
        let told = async {
            while !metrics.text().contains(&expected) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let told = timeout(Duration::from_secs(60), told).await;
        assert!(told.is_ok(), "no {expected} in {}", metrics.text());
        assert!(metrics.text().contains("chat_lag{partition=\"0\"} 0\n"));
    }
    drain.cancel();
    sampling.await.unwrap();
}
