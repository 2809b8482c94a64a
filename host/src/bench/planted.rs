//! Every fault that a server can plant is found, whole runs over the wire; and a good server is not accused.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::fake::{FakeServer, Fault};
use super::{Counts, Options, Rate, Report, Target, run};

async fn run_against(fault: Fault, change: impl FnOnce(Options) -> Options) -> Report {
    let server = FakeServer::start(fault).await;
    let target = Target {
        address: server.address,
        authority: server.address.to_string(),
    };
    let options = Options {
        members: 6,
        rooms: 2,
        senders: 2,
        rate: Rate::PerSecond(400),
        duration: Duration::from_millis(300),
        settle: Duration::from_millis(500),
        ..Options::new(target)
    };
    run(
        change(options),
        Arc::new(Counts::default()),
        CancellationToken::new(),
    )
    .await
    .unwrap()
}

async fn violations_of(fault: Fault) -> Vec<(&'static str, u64)> {
    run_against(fault, |options| options).await.violations()
}

#[tokio::test]
async fn a_good_server_is_not_accused() {
    let report = run_against(Fault::None, |options| options).await;
    assert_eq!(report.violations(), [], "{report}");
    assert!(
        report.sent > 100 && report.sent == report.acknowledged,
        "{report}"
    );
    assert_eq!(
        report.deliveries,
        report.sent * 4,
        "to three members and the sender: {report}"
    );
    assert!(report.seen_ms.unwrap().p50 > 0.0, "{report}");
}

#[tokio::test]
async fn a_lost_event_is_found() {
    assert_eq!(
        violations_of(Fault::Lose(10)).await,
        [("lost", 2)],
        "one in each room"
    );
}

#[tokio::test]
async fn a_repeated_event_is_found() {
    assert_eq!(violations_of(Fault::Repeat(10)).await, [("repeated", 2)]);
}

#[tokio::test]
async fn two_swapped_events_are_found() {
    assert_eq!(violations_of(Fault::Swap(10)).await, [("reordered", 2)]);
}

#[tokio::test]
async fn an_event_that_is_not_the_same_for_all_is_found() {
    let violations = violations_of(Fault::Change(10)).await;
    // One member of each room gets another event. Where it is the first to see it, the other three are the ones that
    // differ from what was seen first.
    assert!(
        matches!(violations[..], [("wrong", 2 | 4 | 6)]),
        "{violations:?}"
    );
}

#[tokio::test]
async fn another_text_than_was_sent_is_found() {
    let violations = violations_of(Fault::Falsify(10)).await;
    assert_eq!(
        violations,
        [("lost", 2), ("wrong", 2)],
        "and what was sent never came"
    );
}

#[tokio::test]
async fn a_message_that_is_delivered_under_two_numbers_is_found() {
    assert_eq!(violations_of(Fault::Double(10)).await, [("repeated", 2)]);
}

#[tokio::test]
async fn an_acknowledged_message_that_is_forgotten_is_found() {
    assert_eq!(violations_of(Fault::Forget(10)).await, [("lost", 1)]);
}

#[tokio::test]
async fn a_refusal_for_a_time_is_obeyed_and_no_violation() {
    let report = run_against(Fault::Refuse(10), |options| options).await;
    assert_eq!(
        (report.violations(), report.refused),
        (vec![], 1),
        "{report}"
    );
}

#[tokio::test]
async fn a_cut_is_a_violation() {
    let violations = violations_of(Fault::Cut(10)).await;
    assert!(violations.contains(&("disconnected", 8)), "{violations:?}");
}

#[tokio::test]
async fn a_cut_that_is_to_be_resumed_loses_and_repeats_nothing() {
    let report = run_against(Fault::Cut(10), |options| Options {
        resume: true,
        settle: Duration::from_secs(20),
        ..options
    })
    .await;
    assert_eq!(
        (report.violations(), report.resumed),
        (vec![], 8),
        "{report}"
    );
    assert_eq!(report.sent, report.acknowledged, "{report}");
}

#[tokio::test]
async fn as_fast_as_it_is_seen_is_fast_and_verified_alike() {
    let report = run_against(Fault::None, |options| Options {
        rate: Rate::Max { window: 16 },
        ..options
    })
    .await;
    assert_eq!(report.violations(), [], "{report}");
    assert!(report.sent > 400, "{report}");
}

#[tokio::test]
async fn a_run_in_which_nothing_was_acknowledged_verifies_nothing() {
    let report = run_against(Fault::Silent, |options| Options {
        rate: Rate::PerSecond(100),
        ..options
    })
    .await;
    assert!(report.sent > 0 && !report.is_verified(), "{report}");
    assert!(
        report.to_string().contains("nothing was acknowledged"),
        "{report}"
    );
}

#[tokio::test]
async fn an_idle_run_only_connects() {
    let report = run_against(Fault::None, |options| Options {
        rate: Rate::Idle,
        ..options
    })
    .await;
    assert_eq!(
        (report.violations(), report.sent, report.deliveries),
        (vec![], 0, 0),
        "{report}"
    );
    assert!(report.is_verified(), "nothing was to be sent: {report}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_no_report() {
    let target = Target {
        address: ([127, 0, 0, 1], 9).into(),
        authority: "127.0.0.1:9".into(),
    };
    let error = run(
        Options::new(target),
        Arc::new(Counts::default()),
        CancellationToken::new(),
    )
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("could not connect to 127.0.0.1:9"),
        "{error}"
    );
}

/// What the generator itself costs: `cargo test --release -p chat-host --lib bench -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_generators_own_cost() {
    for window in [1, 16, 64] {
        let report = run_against(Fault::None, |options| Options {
            members: 1_000,
            rooms: 1,
            senders: 1,
            rate: Rate::Max { window },
            duration: Duration::from_secs(4),
            settle: Duration::from_secs(10),
            ..options
        })
        .await;
        println!("window {window}\n{report}");
    }
}
