//! The calls without a session, and what tells about the server: rooms, members, reflection, health.

use chat_host::proto::v1;
use prost::Message;
use rustix::process::Signal;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::client::{Session, channel, client};
use super::plugin_support::component;
use super::server::{Home, PATIENCE, ROOMY, Server};

async fn server() -> (Home, Server) {
    let home = Home::new(ROOMY).flag("--memory");
    let server = home.start().await;
    (home, server)
}

#[track_caller]
fn assert_refused(what: &str, status: &Status, expected: Code, words: &str) {
    assert_eq!(status.code(), expected, "{what}: {status:?}");
    assert!(status.message().contains(words), "{what}: {status:?}");
}

fn create(room: &str, name: &str, token: &str) -> v1::CreateRoomRequest {
    v1::CreateRoomRequest {
        room: room.into(),
        name: name.into(),
        token: token.into(),
    }
}

fn members(room: &str, after: &str, limit: u32) -> v1::ListMembersRequest {
    v1::ListMembersRequest {
        room: room.into(),
        after: after.into(),
        limit,
    }
}

fn rooms(after: &str, limit: u32) -> v1::ListRoomsRequest {
    v1::ListRoomsRequest {
        after: after.into(),
        limit,
    }
}

#[tokio::test]
async fn a_room_is_made_once() {
    let (_home, server) = server().await;
    let mut calls = client(&server.url).await;
    let made = calls.create_room(create("찻집", "alice", "")).await;
    let made = made.unwrap().into_inner();
    let room = made.room.unwrap();
    assert_eq!((room.name.as_str(), room.head), ("찻집", 0));
    assert!(room.created_ms > 0, "{room:?}");
    assert!(!made.token.is_empty(), "it claimed the name");

    for (what, request, expected, words) in [
        (
            "a room that is there",
            create("찻집", "alice", &made.token),
            Code::AlreadyExists,
            "there is a room `찻집` already",
        ),
        (
            "another's name",
            create("other", "alice", ""),
            Code::AlreadyExists,
            "the name `alice` is taken",
        ),
        (
            "a bad room",
            create("a b", "alice", &made.token),
            Code::InvalidArgument,
            "the room name holds ' '",
        ),
        (
            "a bad name",
            create("other", "", ""),
            Code::InvalidArgument,
            "the name is empty",
        ),
    ] {
        let status = calls.create_room(request).await.unwrap_err();
        assert_refused(what, &status, expected, words);
    }
    let second = calls
        .create_room(create("other", "alice", &made.token))
        .await;
    let second = second.unwrap().into_inner();
    assert_eq!(second.token, "", "the name was claimed before");
    let listed = calls.list_rooms(rooms("", 0)).await.unwrap().into_inner();
    let names: Vec<_> = listed.rooms.iter().map(|room| &*room.name).collect();
    assert_eq!(names, ["other", "찻집"], "and what was refused made none");
    // Who joins finds it.
    let mut alice = Session::open(&server.url, "alice", &made.token)
        .await
        .unwrap();
    let joined = alice.join("찻집", Some(0)).await.unwrap();
    assert_eq!((joined.head, joined.after), (0, 0));
}

#[tokio::test]
async fn members_are_listed_by_name_each_once() {
    let (_home, server) = server().await;
    let mut calls = client(&server.url).await;
    let mut sessions = Vec::new();
    for name in ["dave", "alice", "홍길동", "carol", "bob"] {
        sessions.push(Session::in_room(&server.url, name, "lobby").await);
    }
    let token = sessions[0].welcome.token.clone();
    let mut device = Session::open(&server.url, "dave", &token).await.unwrap();
    device.join("lobby", None).await.unwrap();
    let mut list = async |after: &str, limit| {
        let list = calls.list_members(members("lobby", after, limit)).await;
        let list = list.unwrap().into_inner();
        (list.names, list.count)
    };
    assert_eq!(
        list("", 0).await.0,
        ["alice", "bob", "carol", "dave", "홍길동"]
    );
    for (after, limit, expected) in [
        ("", 2, vec!["alice", "bob"]),
        ("bob", 2, vec!["carol", "dave"]),
        ("dave", 2, vec!["홍길동"]),
        ("홍길동", 2, vec![]),
    ] {
        let (names, count) = list(after, limit).await;
        assert_eq!(
            (names, count),
            (expected.iter().map(|n| (*n).to_owned()).collect(), 5)
        );
    }
    // A second device is no second member, and who leaves is none.
    drop(sessions.remove(0));
    drop(sessions.remove(0));
    let began = Instant::now();
    while list("", 0).await.1 == 5 {
        assert!(began.elapsed() < PATIENCE, "who left is still there");
    }
    assert_eq!(list("", 0).await.0, ["bob", "carol", "dave", "홍길동"]);

    for (what, request, expected, words) in [
        (
            "no room",
            members("nowhere", "", 0),
            Code::NotFound,
            "there is no room `nowhere`",
        ),
        (
            "a bad room",
            members("", "", 0),
            Code::InvalidArgument,
            "the room name is empty",
        ),
        (
            "a large page",
            members("lobby", "", 1001),
            Code::InvalidArgument,
            "`limit` is 1001",
        ),
    ] {
        let status = calls.list_members(request).await.unwrap_err();
        assert_refused(what, &status, expected, words);
    }
    calls.create_room(create("empty", "eve", "")).await.unwrap();
    let empty = calls.list_members(members("empty", "", 0)).await.unwrap();
    assert_eq!(empty.into_inner(), v1::ListMembersResponse::default());
}

#[tokio::test]
async fn rooms_are_listed_by_name_with_what_they_are() {
    let home = Home::new(ROOMY).flag("--memory");
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(component("basics", "basics"), folder.join("basics.wasm")).unwrap();
    let home = home.flag("--plugins").flag(folder.to_str().unwrap());
    let server = home.start().await;
    let mut calls = client(&server.url).await;
    let none = calls.list_rooms(rooms("", 0)).await.unwrap().into_inner();
    assert!(none.rooms.is_empty());

    // More than a page, spread over the partitions.
    let mut alice = Session::open(&server.url, "alice", "").await.unwrap();
    let mut names: Vec<String> = (0..45).map(|number| format!("room-{number:02}")).collect();
    for name in names.iter().rev() {
        alice.join(name, None).await.unwrap();
    }
    let _bob = Session::in_room(&server.url, "bob", "room-07").await;
    alice.post("room-07", "/topic 차 한잔", "1").await.unwrap();
    alice.post("room-07", "hello", "2").await.unwrap();

    let mut listed: Vec<v1::Room> = Vec::new();
    for (page, expected) in [20, 20, 5, 0].into_iter().enumerate() {
        let after = listed.last().map_or("", |room| &*room.name).to_owned();
        let rooms = calls.list_rooms(rooms(&after, 20)).await.unwrap();
        let rooms = rooms.into_inner().rooms;
        assert_eq!(rooms.len(), expected, "page {page}");
        listed.extend(rooms);
    }
    names.sort();
    let heard: Vec<_> = listed.iter().map(|room| room.name.clone()).collect();
    assert_eq!(heard, names);
    for room in &listed {
        let expected = match &*room.name {
            "room-07" => ("차 한잔", 2, 2),
            _ => ("", 1, 0),
        };
        assert_eq!(
            (&*room.topic, room.members, room.head),
            expected,
            "{room:?}"
        );
        assert!(room.created_ms > 0, "{room:?}");
    }
    let status = calls.list_rooms(rooms("", 1001)).await.unwrap_err();
    let words = "`limit` is 1001; at most 1000";
    assert_refused("a large page", &status, Code::InvalidArgument, words);
}

/// As much of a file's descriptor as a tool needs to call what it describes.
#[derive(Clone, PartialEq, prost::Message)]
struct FileDescriptor {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<ServiceDescriptor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ServiceDescriptor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<MethodDescriptor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MethodDescriptor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input: String,
    #[prost(bool, tag = "5")]
    client_streams: bool,
    #[prost(bool, tag = "6")]
    server_streams: bool,
}

async fn reflected(
    server: &Server,
    asked: Vec<MessageRequest>,
) -> Result<Vec<MessageResponse>, Status> {
    let mut reflection = ServerReflectionClient::new(channel(&server.url).await);
    let asked = asked.into_iter().map(|message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    });
    let asked: Vec<_> = asked.collect();
    let count = asked.len();
    let answers = reflection.server_reflection_info(tokio_stream::iter(asked));
    let mut answers = answers.await?.into_inner();
    let mut heard = Vec::new();
    for _ in 0..count {
        let answer = timeout(PATIENCE, answers.message()).await;
        let answer: ServerReflectionResponse = answer.unwrap()?.expect("an answer");
        heard.push(answer.message_response.unwrap());
    }
    Ok(heard)
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_the_chat() {
    let (_home, server) = server().await;
    let asked = vec![
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("chat.v1.Chat".into()),
    ];
    let mut heard = reflected(&server, asked).await.unwrap().into_iter();
    let Some(MessageResponse::ListServicesResponse(list)) = heard.next() else {
        panic!("no list")
    };
    let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    for name in ["chat.v1.Chat", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let Some(MessageResponse::FileDescriptorResponse(files)) = heard.next() else {
        panic!("no file")
    };
    let files = files.file_descriptor_proto;
    let files = files
        .iter()
        .map(|file| FileDescriptor::decode(&**file).unwrap());
    let chat = files
        .filter(|file| file.package == "chat.v1")
        .flat_map(|file| file.services)
        .find(|service| service.name == "Chat")
        .expect("the chat is described");
    let methods: Vec<_> = chat
        .methods
        .iter()
        .map(|m| (&*m.name, &*m.input, m.client_streams, m.server_streams))
        .collect();
    assert_eq!(
        methods,
        [
            ("Connect", ".chat.v1.ClientFrame", true, true),
            ("Send", ".chat.v1.SendRequest", false, false),
            ("Watch", ".chat.v1.WatchRequest", false, true),
            ("History", ".chat.v1.HistoryRequest", false, false),
            ("ListRooms", ".chat.v1.ListRoomsRequest", false, false),
            ("CreateRoom", ".chat.v1.CreateRoomRequest", false, false),
            ("ListMembers", ".chat.v1.ListMembersRequest", false, false),
        ]
    );
    let nothing = MessageRequest::FileContainingSymbol("chat.v1.Nothing".into());
    let status = reflected(&server, vec![nothing]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

#[tokio::test]
async fn health_is_serving_until_the_drain_begins() {
    let home = Home::new(ROOMY)
        .flag("--memory")
        .flag("--drain")
        .flag("30s");
    let server = home.start().await;
    let mut health = HealthClient::new(channel(&server.url).await);
    let mut watched = Vec::new();
    for service in ["", "chat.v1.Chat"] {
        let began = Instant::now();
        // The first report is a task of its own.
        loop {
            match health.check(of(service)).await {
                Ok(answer) => {
                    if answer.into_inner().status() == ServingStatus::Serving {
                        break;
                    }
                }
                Err(status) => assert_eq!(status.code(), Code::NotFound, "{status:?}"),
            }
            assert!(began.elapsed() < PATIENCE, "`{service}` does not serve");
        }
        let mut watch = health.watch(of(service)).await.unwrap().into_inner();
        let now = timeout(PATIENCE, watch.message()).await.unwrap().unwrap();
        assert_eq!(now.unwrap().status(), ServingStatus::Serving, "{service}");
        watched.push(watch);
    }
    let status = health.check(of("chat.v1.Nothing")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");

    server.signal(Signal::TERM);
    for mut watch in watched {
        loop {
            let then = timeout(PATIENCE, watch.message()).await.unwrap().unwrap();
            // It may be said again that it serves.
            match then.expect("a status before the end").status() {
                ServingStatus::Serving => {}
                status => break assert_eq!(status, ServingStatus::NotServing),
            }
        }
    }
    drop(health);
    assert_eq!(server.wait().await.code(), Some(0));
    assert!(!home.log().contains("cut off"), "{}", home.log());
}
