//! What is kept, and for how long: events by age, and the fate of what was sent.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use chat_host::config::Limits;
use chat_host::gateway::outbound::outbound;
use chat_host::gateway::{Gateway, Unobserved, session};
use chat_host::journal::Journal;
use chat_host::journal::memory::MemoryJournal;
use chat_host::pipeline::{self, Owner, Surroundings};
use chat_host::plugin::PluginSet;
use chat_host::proto::log::v1::Verdict;
use chat_host::proto::v1::{self, server_frame::Frame};
use chat_host::rooms::{Rooms, Tail, TailObserver};
use chat_host::state::ids::Partition;
use chat_host::state::memory::MemoryStore;
use chat_host::state::store::Store;
use chat_host::world::World;
use http_body_util::BodyExt;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::client::{Session, client, code, hello, join, send};
use super::server::{Home, PATIENCE, ROOMY};

/// Events go as they grow old; whoever asks for them is told where what is kept begins, in every way of asking.
#[tokio::test]
async fn old_events_are_forgotten_by_age_and_who_asks_for_them_is_told() {
    let settings = format!("partitions = 1\nretain = \"1s,1GiB\"\n{ROOMY}");
    let home = Home::new(&settings);
    let server = home.start().await;
    let mut calls = client(&server.url).await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let request = |after| v1::HistoryRequest {
        room: "lobby".into(),
        after,
        ..v1::HistoryRequest::default()
    };
    let (began, mut sent) = (Instant::now(), 0_u64);
    // The log's time moves with what is in it.
    let page = loop {
        sent += 1;
        alice.post("lobby", "hi", &sent.to_string()).await.unwrap();
        let page = calls.history(request(None)).await.unwrap().into_inner();
        if page.oldest > 2 {
            break page;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{sent} are kept:\n{}",
            home.log()
        );
    };
    let kept_for = began.elapsed();
    assert!(
        kept_for >= Duration::from_secs(1),
        "gone after {kept_for:?}"
    );
    assert_eq!(page.head, sent);
    assert_eq!(page.events.last().unwrap().sequence, sent);

    let words = format!("the room holds {} to {sent}", page.oldest);
    let oldest = page.oldest;
    let mut bob = Session::open(&server.url, "bob", "").await.unwrap();
    for gone in [0, oldest - 2] {
        let error = bob.join("lobby", Some(gone)).await.unwrap_err();
        assert_eq!(code(error.code), Code::OutOfRange, "{error:?}");
        assert!(error.message.contains("is no longer kept"), "{error:?}");
        assert!(error.message.contains(&words), "{error:?}");
        assert_eq!(error.oldest, oldest);
        let watch = v1::WatchRequest {
            room: "lobby".into(),
            after: Some(gone),
            last: 0,
        };
        for status in [
            calls.watch(watch).await.map(drop).unwrap_err(),
            calls
                .history(request(Some(gone)))
                .await
                .map(drop)
                .unwrap_err(),
        ] {
            assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
            assert!(status.message().contains(&words), "{status:?}");
            let told = status.metadata().get("chat-oldest").unwrap();
            assert_eq!(told.to_str().unwrap(), oldest.to_string());
        }
    }
    // The oldest that is kept is given, and the stream has lived through it all.
    let joined = bob.join("lobby", Some(oldest - 1)).await.unwrap();
    assert_eq!((joined.oldest, joined.after), (oldest, oldest - 1));
    for number in oldest..=sent {
        assert_eq!(bob.event().await.sequence, number);
    }
    server.stop().await;
}

/// Also after 10,000 other ids; a text that is another does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_remembered_over_ten_thousand_others() {
    const OTHERS: usize = 10_000;
    let home = Home::new(ROOMY);
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let first = alice.post("lobby", "first", "same").await.unwrap();
    assert!(!first.repeat);
    let said = alice.said.clone();
    let saying = tokio::spawn(async move {
        for number in 0..OTHERS {
            let frame = send("lobby", "other", &number.to_string());
            said.send(frame).await.unwrap();
        }
    });
    let mut decided = 0;
    while decided < OTHERS {
        match alice.next().await.unwrap().expect("the stream lives") {
            Frame::Decided(one) => {
                assert!(!one.repeat, "{one:?}");
                decided += 1;
            }
            Frame::Error(error) => panic!("{error:?}"),
            _ => {}
        }
    }
    saying.await.unwrap();
    let token = alice.welcome.token.clone();
    for (id, expected) in [("same", 1), ("0", 2), ("9999", OTHERS as u64 + 1)] {
        // From a session of its own, as after a lost connection.
        let mut again = Session::open(&server.url, "alice", &token).await.unwrap();
        again.join("lobby", None).await.unwrap();
        let repeat = again.post("lobby", "another text", id).await.unwrap();
        assert!(repeat.repeat, "{id}: {repeat:?}");
        assert_eq!(repeat.sequence, expected, "{id}");
        assert_eq!(repeat.result(), v1::Result::Delivered, "{id}");
        if id == "same" {
            assert_eq!(repeat.id, first.id, "what became of the first");
        }
    }
    let new = alice.post("lobby", "new", "new").await.unwrap();
    assert_eq!(new.sequence, OTHERS as u64 + 2, "no repeat made an event");
    server.stop().await;
}

struct Blind;

impl TailObserver for Blind {
    fn folded(&self, _: Verdict) {}
    fn batch(&self, _: Duration) {}
}

/// A host within this process, composed as `app.rs` does it, whose clock is the runtime's.
struct Host {
    gateway: Arc<Gateway>,
    // Dropped, its receivers would end.
    _plugins: watch::Sender<Arc<PluginSet>>,
}

/// One session: what it is told comes as frames.
struct Wire {
    said: mpsc::Sender<Result<v1::ClientFrame, tonic::Status>>,
    frames: mpsc::Receiver<Frame>,
}

impl Host {
    async fn start() -> Self {
        const P: Partition = Partition(0);
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(1));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let rooms = Arc::new(Rooms::open(store.clone(), 1).unwrap());
        let tail = Tail::new(P, journal.clone(), rooms.clone(), Arc::new(Blind));
        tail.catch_up().await.unwrap();
        let world = World::simulated(1, Instant::now(), 0);
        let run = world.ulid().to_bytes();
        let (sender, plugins) = watch::channel(Arc::default());
        let gateway = Gateway::new(
            Limits::default(),
            rooms.clone(),
            journal.clone(),
            world.clone(),
            plugins.clone(),
            Arc::new(Unobserved),
            run,
        );
        let around = Surroundings {
            journal,
            store,
            world,
            plugins,
            directory: rooms.clone(),
            observer: Arc::new(pipeline::Unobserved),
            run,
        };
        let config = pipeline::Config {
            message_bytes: 4096,
            batch: 64,
            rooms: 100,
            name_hold: Duration::from_secs(60),
            window: 4096,
            read_back: Duration::from_secs(30),
            retain_age: Duration::from_secs(90 * 24 * 3600),
            retain_bytes: 1 << 40,
            own_thread: false,
        };
        // They end with the runtime.
        let folded = rooms.folded(P).unwrap();
        tokio::spawn(tail.run(CancellationToken::new()));
        tokio::spawn(Owner::new(P, around, config, folded).run(CancellationToken::new()));
        gateway.announce_run("host").await.unwrap();
        Self {
            gateway,
            _plugins: sender,
        }
    }

    fn connect(&self) -> Wire {
        let (said, inbound) = mpsc::channel(16);
        let (own, mut body) = outbound(Arc::new(Unobserved));
        let (gateway, address) = (self.gateway.clone(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        tokio::spawn(session::serve(
            gateway,
            address,
            ReceiverStream::new(inbound),
            own,
        ));
        let (tell, frames) = mpsc::channel(1024);
        tokio::spawn(async move {
            while let Some(Ok(data)) = body.frame().await {
                let mut bytes = data.into_data().unwrap_or_default();
                while bytes.len() > 5 {
                    let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
                    let message = bytes.split_to(5 + length as usize).slice(5..);
                    let frame = v1::ServerFrame::decode(message).unwrap();
                    tell.send(frame.frame.unwrap()).await.unwrap();
                }
            }
        });
        Wire { said, frames }
    }
}

impl Wire {
    async fn say(&self, frame: v1::ClientFrame) {
        self.said.send(Ok(frame)).await.unwrap();
    }

    async fn until<T>(&mut self, mut pick: impl FnMut(Frame) -> Option<T>) -> T {
        loop {
            let frame = self.frames.recv().await.expect("the session lives");
            if let Some(picked) = pick(frame) {
                return picked;
            }
        }
    }

    async fn post(&mut self, id: &str) -> v1::Decided {
        self.say(send("lobby", "hi", id)).await;
        self.until(|frame| match frame {
            Frame::Decided(decided) => Some(decided),
            Frame::Error(error) => panic!("{error:?}"),
            _ => None,
        })
        .await
    }
}

/// After that it is a message of its own, and no error.
#[tokio::test(start_paused = true)]
async fn an_id_is_forgotten_after_a_day_and_may_then_be_used_anew() {
    const HOUR: Duration = Duration::from_secs(3600);
    let host = Host::start().await;
    let mut alice = host.connect();
    alice.say(hello("alice", "")).await;
    alice.say(join("lobby", None)).await;
    alice
        .until(|frame| matches!(frame, Frame::Joined(_)).then_some(()))
        .await;
    let first = alice.post("same").await;
    assert_eq!((first.repeat, first.sequence), (false, 1));
    // What is said meanwhile moves the log's time.
    for hour in 1..24_u64 {
        tokio::time::advance(HOUR).await;
        let other = alice.post(&format!("hour-{hour}")).await;
        assert_eq!(other.sequence, hour + 1);
    }
    tokio::time::advance(HOUR - Duration::from_secs(60)).await;
    let repeat = alice.post("same").await;
    assert!(repeat.repeat, "within the day: {repeat:?}");
    assert_eq!((repeat.sequence, &repeat.id), (1, &first.id));
    tokio::time::advance(Duration::from_secs(120)).await;
    // Expiry takes effect with the outcome that passes the hour.
    assert_eq!(alice.post("next-day").await.sequence, 25);
    let anew = alice.post("same").await;
    assert_eq!((anew.repeat, anew.sequence), (false, 26), "{anew:?}");
    assert_ne!(anew.id, first.id);
    // And remembered in its turn.
    assert!(alice.post("same").await.repeat);
}
