//! The bounds on what clients may do: who meets one is told which, and when to come back; nobody else notices; and once
//! there is room again, it can be taken.

use std::net::IpAddr;
use std::time::Duration;

use chat_host::proto::v1::{self, client_frame, server_frame::Frame};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use super::client::{Session, client, code, frame, send};
use super::plugin_support::hostile;
use super::server::{Home, NO_QUARANTINE, PATIENCE, Server};

async fn server(limits: &str) -> (Home, Server) {
    let settings = format!("partitions = 1\n[limits]\n{limits}\n");
    let home = Home::new(&settings).flag("--memory");
    let server = home.start().await;
    (home, server)
}

/// What is to be heard from a bound.
struct Heard {
    words: [&'static str; 2],
    /// 0: coming back does not help.
    retry_ms: u64,
}

impl Heard {
    #[track_caller]
    fn in_session(&self, error: &v1::Error) {
        assert_eq!(code(error.code), Code::ResourceExhausted, "{error:?}");
        for words in self.words {
            assert!(error.message.contains(words), "{error:?}");
        }
        assert_eq!(error.retry_after_ms, self.retry_ms, "{error:?}");
    }

    #[track_caller]
    fn in_status(&self, status: &Status) {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        for words in self.words {
            assert!(status.message().contains(words), "{status:?}");
        }
        assert_eq!(pushback_ms(status), self.retry_ms, "{status:?}");
    }
}

/// When a status says to come back; 0: it does not.
fn pushback_ms(status: &Status) -> u64 {
    let hint = status.metadata().get("grpc-retry-pushback-ms");
    hint.map_or(0, |ms| ms.to_str().unwrap().parse().unwrap())
}

async fn leave(session: &mut Session, room: &str) {
    let leave = v1::Leave { room: room.into() };
    session.say(frame(client_frame::Frame::Leave(leave))).await;
    let left = session.until(|frame| match frame {
        Frame::Left(left) => Some(left.room),
        _ => None,
    });
    assert_eq!(left.await.unwrap(), room);
}

async fn still_talks(session: &mut Session, room: &str, id: &str) {
    let decided = session.post(room, "still here", id).await.unwrap();
    assert_eq!(decided.result(), v1::Result::Delivered, "{decided:?}");
}

/// A bound that a join meets.
struct JoinBound {
    setting: &'static str,
    /// Who is where before it is met.
    there: &'static [(usize, &'static str)],
    /// The join that meets it.
    meets: (usize, &'static str),
    heard: Heard,
    /// What makes room, where anything does.
    leaves: Option<(usize, &'static str)>,
}

const JOIN_BOUNDS: [JoinBound; 3] = [
    JoinBound {
        setting: "rooms = 2",
        there: &[(0, "one"), (1, "two")],
        meets: (1, "three"),
        heard: Heard {
            words: ["there are 2 rooms", "join one of them"],
            retry_ms: 0,
        },
        leaves: None,
    },
    JoinBound {
        setting: "members_per_room = 1",
        there: &[(0, "one"), (1, "two")],
        meets: (1, "one"),
        heard: Heard {
            words: ["`one` is full, with 1 members", "try again later"],
            retry_ms: 10_000,
        },
        leaves: Some((0, "one")),
    },
    JoinBound {
        setting: "rooms_per_session = 2",
        there: &[(0, "one"), (0, "two"), (1, "three")],
        meets: (0, "three"),
        heard: Heard {
            words: ["you are in 2 rooms", "leave one"],
            retry_ms: 0,
        },
        leaves: Some((0, "two")),
    },
];

#[tokio::test]
async fn a_join_that_meets_a_bound_is_refused_and_the_session_lives() {
    for bound in JOIN_BOUNDS {
        println!("{}", bound.setting);
        let (_home, server) = server(bound.setting).await;
        let alice = Session::open(&server.url, "alice", "").await.unwrap();
        let bob = Session::open(&server.url, "bob", "").await.unwrap();
        let mut sessions = [alice, bob];
        for (who, room) in bound.there {
            sessions[*who].join(room, None).await.unwrap();
        }
        let (who, room) = bound.meets;
        for _ in 0..2 {
            let error = sessions[who].join(room, None).await.unwrap_err();
            bound.heard.in_session(&error);
            assert_eq!(error.room, room);
        }
        for (number, (who, room)) in bound.there.iter().enumerate() {
            still_talks(&mut sessions[*who], room, &format!("after-{number}")).await;
        }
        if let Some((leaves, left)) = bound.leaves {
            leave(&mut sessions[leaves], left).await;
            sessions[who].join(room, None).await.unwrap();
            still_talks(&mut sessions[who], room, "in").await;
        }
        server.stop().await;
    }
}

/// The bound on rooms holds for whoever makes one, and those that are there go on.
#[tokio::test]
async fn calls_make_no_more_rooms_than_are_allowed() {
    let (_home, server) = server("rooms = 1").await;
    let mut calls = client(&server.url).await;
    let request = |room: &str| v1::SendRequest {
        name: "alice".into(),
        room: room.into(),
        text: "hi".into(),
        wait: true,
        ..v1::SendRequest::default()
    };
    let first = calls.send(request("one")).await.unwrap().into_inner();
    let mut again = request("two");
    again.token = first.token.clone();
    let heard = Heard {
        words: ["there are 1 rooms", "join one of them"],
        retry_ms: 0,
    };
    heard.in_status(&calls.send(again).await.unwrap_err());
    let create = v1::CreateRoomRequest {
        room: "two".into(),
        name: "alice".into(),
        token: first.token.clone(),
    };
    heard.in_status(&calls.create_room(create).await.unwrap_err());
    let mut again = request("one");
    again.token = first.token;
    let second = calls.send(again).await.unwrap().into_inner();
    assert_eq!(second.decided.unwrap().sequence, 2);
}

/// A session from another address of this machine.
async fn elsewhere(server: &Server, name: &str) -> Result<Session, Status> {
    let endpoint = Endpoint::from_shared(server.url.clone()).unwrap();
    let here: IpAddr = "127.0.0.2".parse().unwrap();
    let channel = endpoint.local_address(Some(here)).connect().await.unwrap();
    Session::over(&mut v1::chat_client::ChatClient::new(channel), name, "").await
}

#[tokio::test]
async fn a_session_too_many_is_refused_until_one_has_ended() {
    let rows = [
        (
            "sessions = 2",
            false,
            Heard {
                words: ["this server has 2 sessions", "come back later"],
                retry_ms: 10_000,
            },
        ),
        (
            "sessions_per_address = 2",
            true,
            Heard {
                words: ["there are 2 sessions from your address", "end one of them"],
                retry_ms: 0,
            },
        ),
    ];
    for (setting, others_may, heard) in rows {
        println!("{setting}");
        let (_home, server) = server(setting).await;
        let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
        let bob = Session::in_room(&server.url, "bob", "lobby").await;
        let refused = Session::open(&server.url, "carol", "").await.err();
        heard.in_status(&refused.expect("there is no room for it"));
        match elsewhere(&server, "dave").await {
            Ok(_) => assert!(others_may, "no session may"),
            Err(status) => {
                assert!(!others_may, "it is another address: {status:?}");
                heard.in_status(&status);
            }
        }
        // Who needs no session is served, and those who have one go on.
        let call = v1::ListRoomsRequest::default();
        let rooms = client(&server.url).await.list_rooms(call).await;
        assert_eq!(rooms.unwrap().into_inner().rooms.len(), 1);
        still_talks(&mut alice, "lobby", "1").await;
        drop(bob);
        let began = Instant::now();
        let mut carol = loop {
            match Session::open(&server.url, "carol", "").await {
                Ok(session) => break session,
                Err(status) => heard.in_status(&status),
            }
            assert!(began.elapsed() < PATIENCE, "no place comes free");
        };
        carol.join("lobby", None).await.unwrap();
        still_talks(&mut carol, "lobby", "1").await;
        server.stop().await;
    }
}

/// Before a request there is no way to say anything: the connection is closed.
#[tokio::test]
async fn a_connection_too_many_is_closed_and_the_others_live() {
    let (_home, server) = server("connections = 2").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let bob = Session::in_room(&server.url, "bob", "lobby").await;
    for _ in 0..10 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let mut bytes = Vec::new();
        let read = timeout(Duration::from_secs(3), socket.read_to_end(&mut bytes)).await;
        // In order, or reset; and before the handshake's five seconds.
        let _ = read.expect("it is closed at once");
        assert!(bytes.is_empty(), "{bytes:?}");
    }
    still_talks(&mut alice, "lobby", "1").await;
    drop(bob);
    let began = Instant::now();
    loop {
        let endpoint = Endpoint::from_shared(server.url.clone()).unwrap();
        // A connection that is closed at once may still have been opened.
        if let Ok(channel) = endpoint.connect().await {
            let mut calls = v1::chat_client::ChatClient::new(channel);
            let opened = Session::over(&mut calls, "carol", "").await;
            if let Ok(mut carol) = opened {
                carol.join("lobby", None).await.unwrap();
                break still_talks(&mut carol, "lobby", "1").await;
            }
        }
        assert!(began.elapsed() < PATIENCE, "no place comes free");
    }
}

#[tokio::test]
async fn a_name_is_free_a_while_after_its_last_session_and_not_before() {
    const HOLD: Duration = Duration::from_secs(2);
    let (_home, server) = server("name_hold_seconds = 2").await;
    let first = Session::open(&server.url, "alice", "").await.unwrap();
    let (token, person) = (first.welcome.token.clone(), first.welcome.person);
    let second = Session::open(&server.url, "alice", &token).await.unwrap();
    drop(first);
    // While a session is left, time does not count.
    let waits = Instant::now();
    while waits.elapsed() < HOLD + Duration::from_millis(200) {
        let status = Session::open(&server.url, "alice", "").await.err().unwrap();
        assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
        sleep(Duration::from_millis(50)).await;
    }
    drop(second);
    let gone = Instant::now();
    let mut refused = 0;
    let stranger = loop {
        match Session::open(&server.url, "alice", "").await {
            Ok(session) => break session,
            Err(status) => {
                refused += 1;
                assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
                let words = "is taken; choose another, or use the token";
                assert!(status.message().contains(words), "{status:?}");
            }
        }
        assert!(gone.elapsed() < PATIENCE, "it never comes free");
        sleep(Duration::from_millis(20)).await;
    };
    // The server's clock counts whole milliseconds.
    let held = gone.elapsed() + Duration::from_millis(1);
    assert!(held >= HOLD && refused > 0, "free after {held:?}");
    assert!(held < HOLD * 5, "held for {held:?}");
    assert_ne!(stranger.welcome.person, person, "it is somebody else now");
    assert_ne!(stranger.welcome.token, token);
    // Who had it comes too late.
    let late = Session::open(&server.url, "alice", &token).await.err();
    assert_eq!(late.unwrap().code(), Code::AlreadyExists);
}

/// Within that while its holder comes back as the same person.
#[tokio::test]
async fn a_name_waits_for_who_has_its_token() {
    let (_home, server) = server("name_hold_seconds = 600").await;
    let alice = Session::open(&server.url, "alice", "").await.unwrap();
    let (token, person) = (alice.welcome.token.clone(), alice.welcome.person);
    drop(alice);
    let alice = Session::open(&server.url, "alice", &token).await.unwrap();
    assert_eq!(alice.welcome.person, person);
}

/// Beyond so many sends the server does not listen, and refuses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_in_flight_are_bounded_and_none_is_refused() {
    const SENDS: usize = 60;
    let mut most_seen = Vec::new();
    for bound in [3, 256] {
        let settings = format!(
            "[limits]\nsends_in_flight = {bound}\nsends_per_second = 1000\nsend_burst = 1000\n{NO_QUARANTINE}"
        );
        let home = Home::new(&settings).flag("--memory");
        let folder = home.path("plugins");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("hostile.wasm"), hostile()).unwrap();
        let home = home.flag("--plugins").flag(folder.to_str().unwrap());
        let server = home.start().await;
        let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
        let mut bob = Session::in_room(&server.url, "bob", "elsewhere").await;
        for number in 0..SENDS {
            // Some milliseconds of work each, so that they pile up.
            let frame = send("lobby", "do:slow", &number.to_string());
            alice.say(frame).await;
        }
        still_talks(&mut bob, "elsewhere", "1").await;
        let (mut acknowledged, mut decided, mut most) = (0_usize, 0_usize, 0);
        while decided < SENDS {
            match alice.next().await.unwrap().expect("the stream lives") {
                Frame::Acknowledged(one) => {
                    assert_eq!(one.client_id, acknowledged.to_string(), "in order");
                    acknowledged += 1;
                }
                Frame::Decided(one) => {
                    assert_eq!(one.result(), v1::Result::Delivered, "{one:?}");
                    decided += 1;
                }
                Frame::Error(error) => panic!("{error:?}"),
                _ => {}
            }
            most = most.max(acknowledged - decided);
        }
        println!("sends_in_flight = {bound}: {most} were under way at most");
        assert!(most <= bound, "{most} were under way");
        most_seen.push(most);
        server.stop().await;
    }
    assert!(most_seen[1] > 3, "nothing piled up, so nothing was tested");
}
