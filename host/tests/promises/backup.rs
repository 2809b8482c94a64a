//! A backup of a running server: what was acknowledged before it began is in the copy.

use chat_host::proto::v1::server_frame::Frame;
use tokio::process::Command;
use tokio::sync::watch;

use super::client::{Session, assert_dense, client, history, send};
use super::server::{Home, PATIENCE, PROGRAM, ROOMY, ended, settled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_has_all_that_was_acknowledged_before() {
    let home = Home::new(ROOMY);
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let token = alice.welcome.token.clone();
    let said = alice.said.clone();
    let (acknowledged, mut progress) = watch::channel(0_u64);
    let saying = tokio::spawn(async move {
        for number in 1.. {
            let text = format!("message {number}");
            // Ends with the session.
            if said
                .send(send("lobby", &text, &number.to_string()))
                .await
                .is_err()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    let hearing = tokio::spawn(async move {
        loop {
            match alice.next().await {
                Ok(Some(Frame::Acknowledged(one))) => {
                    acknowledged.send_replace(one.client_id.parse().unwrap());
                }
                Ok(Some(Frame::Error(error))) => panic!("{error:?}"),
                Ok(Some(_)) => {}
                ended => return ended.map(drop),
            }
        }
    });
    let enough = progress.wait_for(|last| *last >= 2_000);
    let enough = tokio::time::timeout(PATIENCE, enough).await;
    let before = enough.expect("load in time").map(|last| *last);
    let Ok(before) = before else {
        panic!("{:?}\n{}", hearing.await, home.log());
    };

    let copy = Home::new(ROOMY);
    let mut backup = Command::new(PROGRAM);
    backup
        .arg("backup")
        .arg("--data")
        .arg(home.data())
        .arg(copy.data());
    settled(&mut backup);
    let (code, said) = ended(backup).await;
    assert_eq!(code, 0, "{said}");
    let during = *progress.borrow() - before;
    assert!(during > 0, "the load went on meanwhile");
    server.kill().await;
    hearing.await.unwrap().expect_err("the server was killed");
    saying.abort();

    let server = copy.start().await;
    let events = history(&mut client(&server.url).await, "lobby").await;
    assert_dense(&events);
    for (event, number) in events.iter().zip(1_u64..) {
        assert_eq!(event.client_id, number.to_string());
    }
    let kept = events.len() as u64;
    assert!(kept >= before, "{kept} of {before} that were acknowledged");
    println!("{before} acknowledged before, {kept} in the copy, {during} during");
    // The copy is a server like any other.
    let mut alice = Session::open(&server.url, "alice", &token).await.unwrap();
    alice.join("lobby", Some(kept)).await.unwrap();
    let decided = alice.post("lobby", "on", "another").await.unwrap();
    assert_eq!(decided.sequence, kept + 1);
    server.stop().await;

    let again = copy.data();
    let mut backup = Command::new(PROGRAM);
    backup.arg("backup").arg("--data").arg(&again).arg(&again);
    settled(&mut backup);
    let (code, said) = ended(backup).await;
    assert!(
        code == 1 && said.contains("exists already"),
        "{code} {said}"
    );
}
