//! A service outside that is slow, down or wrong costs the messages that ask it what the operator has set, and others
//! nothing; and when a message is decided again, the service can tell.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use chat_host::proto::v1::{self, private_event};
use chat_host::state::ids::Partition;
use tokio::process::Command;

use super::client::{Session, send, text};
use super::plugin_support::component;
use super::server::{Home, NO_QUARANTINE, PROGRAM, ROOMY};
use super::service::{Asked, Service, answer};

/// A home with `ask-outside` in its folder.
async fn home(service: &Service, more: &str) -> Home {
    let built = tokio::task::spawn_blocking(|| component("ask-outside", "ask_outside"));
    let component = built.await.unwrap();
    let home = Home::new(&format!("{ROOMY}{NO_QUARANTINE}"));
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    let port = service.port;
    // More than the test waits for: nothing here ends by itself.
    let settings = format!(
        "http = [\"localhost:{port}\"]\nwall-ms = 20000\nrunning-ms = 5000\nsettings = {{ url = \"http://localhost:{port}/\", timeout_ms = 5000, {more} }}\n"
    );
    std::fs::write(folder.join("ask-outside.toml"), settings).unwrap();
    std::fs::copy(component, folder.join("ask-outside.wasm")).unwrap();
    home.flag("--plugins").flag(folder.to_str().unwrap())
}

/// Holds answers back until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap();
        drop(self.changed.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

async fn asked(service: &Arc<Service>, times: usize) {
    let service = service.clone();
    let waiting = tokio::task::spawn_blocking(move || service.until_asked(times));
    waiting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_service_holds_up_no_rooms_of_other_partitions() {
    let gate = Arc::new(Gate::default());
    let held = gate.clone();
    let service = Arc::new(Service::start(move |asked: &Asked| {
        if asked.body.contains("slow") {
            held.pass();
        }
        answer("200 OK", "", r#"{"verdict": "revise", "text": "seen"}"#)
    }));
    let home = home(&service, "when_unreachable = \"withhold\"").await;
    let server = home.start().await;
    let here = Partition::of("lobby", 4);
    let other = (0..)
        .map(|number| format!("room-{number}"))
        .find(|room| Partition::of(room, 4) != here)
        .unwrap();
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut bob = Session::in_room(&server.url, "bob", &other).await;
    alice.say(send("lobby", "slow", "held")).await;
    asked(&service, 1).await;
    // Decided while alice's is not.
    for number in 1..=20_u64 {
        let id = number.to_string();
        let decided = bob.post(&other, "all is well", &id).await.unwrap();
        assert_eq!(decided.sequence, number, "{decided:?}");
        assert_eq!(text(&bob.event().await), "seen");
    }
    gate.open();
    let decided = alice.decided("held").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
    assert_eq!(text(&alice.event().await), "seen", "it was not waited for");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_wrong_or_down_means_what_the_operator_has_set() {
    for (policy, result) in [
        ("allow", v1::Result::Delivered),
        ("withhold", v1::Result::Withheld),
    ] {
        let mood = Arc::new(AtomicU8::new(0));
        let moods = mood.clone();
        let service = Service::start(move |_| match moods.load(Ordering::SeqCst) {
            0 => answer("200 OK", "", r#"{"verdict": "allow"}"#),
            1 => answer("500 Oh No", "", ""),
            2 => answer("200 OK", "", "<html>"),
            // It hangs up.
            _ => Some(Vec::new()),
        });
        let home = home(&service, &format!("when_unreachable = \"{policy}\"")).await;
        let server = home.start().await;
        let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
        let decided = alice.post("lobby", "hello", "fine").await.unwrap();
        assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
        for state in 1..=3 {
            mood.store(state, Ordering::SeqCst);
            let id = state.to_string();
            let decided = alice.post("lobby", "hello", &id).await.unwrap();
            assert_eq!(decided.result(), result, "{state}: {decided:?}");
            if policy == "withhold" {
                let private = alice.private().await;
                let Some(private_event::Event::Withheld(withheld)) = private.event else {
                    panic!("{private:?}");
                };
                assert!(withheld.reason.contains("can't be checked"), "{withheld:?}");
            }
        }
        // None of it is a failure of the plugin.
        assert!(!home.log().contains("plugin failed"), "{}", home.log());
        assert_eq!(service.asked().len(), 4);
        let shown = Command::new(PROGRAM)
            .args(["plugin", "show", "ask-outside", "--data"])
            .arg(home.data())
            .output()
            .await
            .unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let granted = format!("http: localhost:{}", service.port);
        assert!(shown.contains(&granted), "{shown}");
        assert!(shown.contains("4, 3 answered; 0 refused"), "{shown}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_decided_again_asks_again_under_the_same_key() {
    let gate = Arc::new(Gate::default());
    let held = gate.clone();
    let service = Arc::new(Service::start(move |asked: &Asked| {
        if asked.body.contains("twice") {
            held.pass();
        }
        answer("200 OK", "", r#"{"verdict": "allow"}"#)
    }));
    let home = home(&service, "when_unreachable = \"withhold\"").await;
    let server = home.start().await;
    let alice = Session::in_room(&server.url, "alice", "lobby").await;
    alice.say(send("lobby", "twice", "again")).await;
    asked(&service, 1).await;
    server.kill().await;
    gate.open();

    let server = home.start().await;
    asked(&service, 2).await;
    let mut bob = Session::in_room(&server.url, "bob", "lobby").await;
    let decided = bob.post("lobby", "other", "other").await.unwrap();
    // After the one that was asked about twice.
    assert_eq!(decided.sequence, 2, "{decided:?}");
    let asked = service.asked();
    let keys: Vec<&str> = asked
        .iter()
        .map(|asked| asked.header("idempotency-key"))
        .collect();
    assert_eq!(keys.len(), 3, "{asked:?}");
    assert!(!keys[0].is_empty());
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
    server.stop().await;
}
