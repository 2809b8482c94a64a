//! A plugin applies in the rooms that its settings name, and in no other: there it judges nothing and answers nothing.

use chat_host::proto::v1::server_frame::Frame;
use chat_host::proto::v1::{self, private_event};

use super::client::{Session, text};
use super::plugin_support::{component, hostile};
use super::server::{Home, ROOMY, until};

fn home(settings: &str) -> Home {
    let home = Home::new(ROOMY);
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hostile.wasm"), hostile()).unwrap();
    std::fs::write(folder.join("hostile.toml"), settings).unwrap();
    home.flag("--plugins").flag(folder.to_str().unwrap())
}

async fn replied(session: &mut Session) -> String {
    match session.private().await.event {
        Some(private_event::Event::Reply(reply)) => reply.body.unwrap().text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_asked_in_its_rooms_and_in_no_other() {
    let home = home("rooms = ['team-*', '!team-quiet']\n");
    let basics = component("basics", "basics");
    std::fs::copy(basics, home.path("plugins/basics.wasm")).unwrap();
    let server = home.start().await;
    let mut alice = Session::in_room(&server.url, "alice", "team-red").await;
    for room in ["team-quiet", "lobby"] {
        alice.join(room, None).await.unwrap();
    }
    // All at once, so that they are decided in batches of several rooms.
    let rooms = ["lobby", "team-red", "team-quiet"];
    for number in 0..60 {
        let room = rooms[number % 3];
        let frame = super::client::send(room, "do:sign", &format!("{room}-{number}"));
        alice.say(frame).await;
    }
    let mut decided = 0;
    alice
        .until(|frame| {
            decided += usize::from(matches!(frame, Frame::Decided(_)));
            (decided == 60).then_some(())
        })
        .await
        .unwrap();
    let mut seen = Session::open(&server.url, "bob", "").await.unwrap();
    for room in rooms {
        seen.join(room, Some(0)).await.unwrap();
        let expected = match room {
            "team-red" => "1.0.0+first",
            _ => "do:sign",
        };
        for _ in 0..20 {
            let event = seen.event().await;
            assert_eq!((&*event.room, text(&event)), (room, expected));
        }
    }

    // Its command is there in its rooms only, and so it is listed.
    let said = alice.post("team-red", "/deed hello", "c1").await.unwrap();
    assert_eq!(said.result(), v1::Result::Handled, "{said:?}");
    for (command, id) in [("/deed hello", "c2"), ("/hostile:deed hello", "c3")] {
        let unknown = alice.post("lobby", command, id).await.unwrap();
        assert_eq!(unknown.result(), v1::Result::Withheld, "{unknown:?}");
        assert!(
            unknown.reason.contains("there is no command"),
            "{unknown:?}"
        );
        alice.private().await;
    }
    for (room, listed) in [("team-red", true), ("lobby", false)] {
        alice
            .post(room, "/help", &format!("help-{room}"))
            .await
            .unwrap();
        let help = replied(&mut alice).await;
        assert_eq!(help.contains("/deed"), listed, "{help}");
        assert!(help.contains("/roll"), "{help}");
    }

    // A change of the rooms alone takes effect while they talk.
    std::fs::write(home.path("plugins/hostile.toml"), "rooms = ['lobby']\n").unwrap();
    until("the new rooms are in force", || {
        home.log().contains("plugin replaced")
    })
    .await;
    for (room, number) in [("lobby", 21), ("team-red", 22)] {
        let decided = alice.post(room, "do:sign", "after").await.unwrap();
        assert_eq!(decided.sequence, number);
    }
    let mut seen = Session::open(&server.url, "cho", "").await.unwrap();
    for (room, expected) in [("lobby", "1.0.0+first"), ("team-red", "do:sign")] {
        let joined = seen.join(room, None).await.unwrap();
        let mut client = super::client::client(&server.url).await;
        let last = super::client::history(&mut client, room)
            .await
            .pop()
            .unwrap();
        assert_eq!((last.sequence, text(&last)), (joined.head, expected));
    }

    // What no room's name can meet changes nothing, and is named.
    std::fs::write(home.path("plugins/hostile.toml"), "rooms = ['a b']\n").unwrap();
    until("it is refused", || {
        home.log().contains("`plugins.hostile.rooms`")
    })
    .await;
    let decided = alice.post("lobby", "do:withhold", "still").await.unwrap();
    assert_eq!(decided.result(), v1::Result::Withheld, "{decided:?}");
    server.stop().await;
}
