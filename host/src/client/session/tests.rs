//! The promises of a session, without a network.

use super::*;
use crate::proto::v1::private_event::Event as Private;
use crate::proto::v1::room_event::Event;
use crate::proto::v1::server_frame::Frame as Server;
use crate::proto::v1::{
    Acknowledged, Body, Decided, Error, Goodbye, Joined, PrivateEvent, Reply, Result as Outcome,
    RoomEvent, ServerFrame, Welcome, Withheld,
};

/// A session with a clock that only the test moves.
struct Person {
    session: Session,
    now: Instant,
}

impl Person {
    fn new(token: &str) -> Self {
        let now = Instant::now();
        let who = Who {
            name: "alice".into(),
            visit: Visit {
                token: token.into(),
                ..Visit::default()
            },
            room: "lobby".into(),
            last: 50,
        };
        Self {
            session: Session::new(who, now, 1),
            now,
        }
    }

    /// In the room, with events up to `head` seen.
    fn joined(head: u64) -> Self {
        let mut person = Self::new("");
        person.tick();
        person.gets(welcome());
        person.gets(joined(head, head));
        person
    }

    fn tick(&mut self) -> Vec<Action> {
        self.session.tick(self.now)
    }

    /// Waits until the session has something to do, and lets it.
    fn waits(&mut self) -> Vec<Action> {
        self.now = self
            .session
            .deadline()
            .expect("nothing to wait for")
            .max(self.now);
        self.tick()
    }

    fn gets(&mut self, frame: Server) -> Vec<Action> {
        self.session
            .received(self.now, ServerFrame { frame: Some(frame) })
    }

    fn says(&mut self, id: &str) -> Vec<Action> {
        self.session
            .say(self.now, id.into(), format!("text {id}"))
            .expect("room for it")
    }

    fn loses(&mut self, code: Code, why: &str) -> Vec<Action> {
        self.session.lost(
            self.now,
            &Lost {
                code,
                why: why.into(),
            },
        )
    }

    /// Loses the connection, waits, and is in the room again with nothing missed.
    fn comes_back(&mut self) -> Vec<Action> {
        self.loses(Code::Unavailable, "gone");
        self.waits();
        self.gets(welcome());
        let seen = self.session.seen.expect("was in the room");
        self.gets(joined(seen, seen))
    }
}

fn welcome() -> Server {
    Server::Welcome(Welcome {
        name: "alice".into(),
        token: "secret".into(),
        person: 7,
        private_positions: vec![PrivatePosition {
            partition: 2,
            number: 40,
        }],
        ..Welcome::default()
    })
}

fn joined(after: u64, head: u64) -> Server {
    Server::Joined(Joined {
        room: "lobby".into(),
        after,
        head,
        oldest: 1,
        ..Joined::default()
    })
}

fn event(sequence: u64, person: u64, client_id: &str) -> Server {
    Server::RoomEvent(RoomEvent {
        room: "lobby".into(),
        sequence,
        person,
        client_id: client_id.into(),
        event: Some(Event::Message(Body::default())),
        ..RoomEvent::default()
    })
}

fn private(number: u64, event: Private) -> Server {
    Server::PrivateEvent(PrivateEvent {
        partition: 2,
        number,
        event: Some(event),
        ..PrivateEvent::default()
    })
}

fn ack(client_id: &str) -> Server {
    Server::Acknowledged(Acknowledged {
        client_id: client_id.into(),
        ..Acknowledged::default()
    })
}

fn decided(client_id: &str, result: Outcome, sequence: u64) -> Server {
    Server::Decided(Decided {
        client_id: client_id.into(),
        result: result.into(),
        sequence,
        reason: "not nice".into(),
        ..Decided::default()
    })
}

fn error(code: Code, client_id: &str, retry_after_ms: u64) -> Server {
    Server::Error(Error {
        code: code as u32,
        message: "words".into(),
        client_id: client_id.into(),
        retry_after_ms,
        ..Error::default()
    })
}

fn frames<'a>(actions: &'a [Action]) -> Vec<&'a Frame> {
    let frame = |action: &'a Action| match action {
        Action::Send(frame) => frame.frame.as_ref(),
        _ => None,
    };
    actions.iter().filter_map(frame).collect()
}

fn sent<'a>(actions: &'a [Action]) -> Vec<&'a str> {
    let id = |frame: &'a Frame| match frame {
        Frame::Send(send) => Some(send.client_id.as_str()),
        _ => None,
    };
    frames(actions).into_iter().filter_map(id).collect()
}

fn shown(actions: Vec<Action>) -> Vec<Change> {
    let change = |action| match action {
        Action::Show(change) => Some(change),
        _ => None,
    };
    actions.into_iter().filter_map(change).collect()
}

fn join<'a>(actions: &'a [Action]) -> &'a Join {
    let join = |frame: &'a Frame| match frame {
        Frame::Join(join) => Some(join),
        _ => None,
    };
    frames(actions).into_iter().find_map(join).expect("no join")
}

fn hello<'a>(actions: &'a [Action]) -> &'a Hello {
    let hello = |frame: &'a Frame| match frame {
        Frame::Hello(hello) => Some(hello),
        _ => None,
    };
    frames(actions)
        .into_iter()
        .find_map(hello)
        .expect("no hello")
}

#[test]
fn a_first_visit_says_hello_keeps_the_token_and_joins() {
    let mut person = Person::new("");
    let first = person.tick();
    assert!(first.contains(&Action::Connect));
    assert_eq!(hello(&first).token, "");
    let welcomed = person.gets(welcome());
    assert!(welcomed.contains(&Action::Keep));
    assert_eq!(person.session.visit().token, "secret");
    assert_eq!((join(&welcomed).after, join(&welcomed).last), (None, 50));
    assert!(
        !format!("{:?}", shown(welcomed)).contains("secret"),
        "no view may learn the token"
    );
}

#[test]
fn it_resumes_after_what_it_has_seen() {
    let mut person = Person::joined(10);
    person.gets(event(11, 9, "x"));
    person.gets(private(41, Private::Reply(Reply::default())));
    person.loses(Code::Unavailable, "gone");
    let hello_again = person.waits();
    let hello = hello(&hello_again);
    assert_eq!(hello.token, "secret");
    assert_eq!(
        hello.private_after,
        [PrivatePosition {
            partition: 2,
            number: 41
        }]
    );
    assert_eq!(join(&person.gets(welcome())).after, Some(11));
}

#[test]
fn nothing_is_shown_twice_and_nothing_is_left_out() {
    let mut person = Person::joined(10);
    assert_eq!(shown(person.gets(event(11, 9, "x"))).len(), 1);
    assert_eq!(shown(person.gets(event(11, 9, "x"))).len(), 0);
    // 12 is missing: ask for it again instead of showing 13.
    let actions = person.gets(event(13, 9, "z"));
    assert!(actions.contains(&Action::Disconnect));
    person.waits();
    assert_eq!(join(&person.gets(welcome())).after, Some(11));
    person.gets(joined(11, 13));
    assert_eq!(shown(person.gets(event(12, 9, "y"))).len(), 1);
    assert_eq!(shown(person.gets(event(13, 9, "z"))).len(), 1);
    assert_eq!(
        shown(person.gets(private(41, Private::Reply(Reply::default())))).len(),
        1
    );
    assert_eq!(
        shown(person.gets(private(41, Private::Reply(Reply::default())))).len(),
        0
    );
}

#[test]
fn what_is_said_before_the_room_is_entered_is_sent_then() {
    let mut person = Person::new("");
    assert!(sent(&person.says("a")).is_empty());
    person.tick();
    assert!(sent(&person.gets(welcome())).is_empty());
    assert_eq!(sent(&person.gets(joined(0, 0))), ["a"]);
}

#[test]
fn undecided_messages_are_sent_again_in_order_under_the_same_ids() {
    let mut person = Person::joined(10);
    for id in ["a", "b", "c"] {
        person.says(id);
    }
    person.gets(ack("a"));
    assert_eq!(sent(&person.comes_back()), ["a"]);
    assert_eq!(sent(&person.gets(ack("a"))), ["b"]);
    assert_eq!(sent(&person.gets(ack("b"))), ["c"]);
    for (sequence, id) in [(11, "a"), (12, "b"), (13, "c")] {
        person.gets(event(sequence, 7, id));
    }
    assert!(person.session.outbox().is_empty());
}

#[test]
fn what_arrived_although_the_connection_was_lost_is_not_sent_again() {
    let mut person = Person::joined(10);
    person.says("a");
    person.loses(Code::Unavailable, "gone");
    person.waits();
    person.gets(welcome());
    assert_eq!(sent(&person.gets(joined(10, 11))), ["a"]);
    person.gets(event(11, 7, "a"));
    assert!(person.session.outbox().is_empty());
    // The answer to the repeat changes nothing.
    assert!(shown(person.gets(decided("a", Outcome::Delivered, 11))).is_empty());
}

#[test]
fn a_refused_send_is_sent_again_after_the_time_and_nothing_overtakes_it() {
    let mut person = Person::joined(10);
    person.says("a");
    person.says("b");
    let began = person.now;
    assert!(sent(&person.gets(error(Code::ResourceExhausted, "a", 1500))).is_empty());
    assert_eq!(sent(&person.waits()), ["a"]);
    assert_eq!(person.now - began, Duration::from_millis(1500));
    assert_eq!(sent(&person.gets(ack("a"))), ["b"]);
}

#[test]
fn a_send_refused_for_good_is_shown_with_the_servers_words_and_the_next_one_goes() {
    let mut person = Person::joined(10);
    person.says("a");
    person.says("b");
    let actions = person.gets(error(Code::InvalidArgument, "a", 0));
    assert_eq!(sent(&actions), ["b"]);
    assert_eq!(
        shown(actions),
        [Change::Failed {
            client_id: "a".into(),
            text: "text a".into(),
            reason: "words".into()
        }]
    );
}

#[test]
fn a_withheld_message_is_shown_once_whichever_frame_tells_first() {
    let told = || {
        private(
            41,
            Private::Withheld(Withheld {
                client_id: "a".into(),
                reason: "not nice".into(),
                plugin: "p".into(),
            }),
        )
    };
    for private_first in [true, false] {
        let mut person = Person::joined(10);
        person.says("a");
        person.gets(ack("a"));
        let mut news = [told(), decided("a", Outcome::Withheld, 0)];
        if !private_first {
            news.reverse();
        }
        let changes: Vec<_> = news
            .into_iter()
            .flat_map(|n| shown(person.gets(n)))
            .collect();
        assert!(
            matches!(&changes[..], [Change::Withheld { text, reason, .. }] if text == "text a" && reason == "not nice"),
            "{changes:?}"
        );
    }
}

#[test]
fn a_delivered_message_counts_as_done_when_its_event_is_seen() {
    let mut person = Person::joined(10);
    person.says("a");
    person.gets(ack("a"));
    assert!(shown(person.gets(decided("a", Outcome::Delivered, 12))).is_empty());
    person.gets(event(11, 9, "x"));
    assert!(!person.session.outbox().is_empty());
    // A plugin's answer, which carries no client id.
    let changes = shown(person.gets(event(12, 0, "")));
    assert!(
        changes.contains(&Change::Done {
            client_id: "a".into()
        }),
        "{changes:?}"
    );
    assert!(person.session.outbox().is_empty());
}

#[test]
fn a_message_out_of_order_is_sent_again_under_the_same_id() {
    let mut person = Person::joined(10);
    person.says("a");
    person.gets(ack("a"));
    person.gets(decided("a", Outcome::SendAgain, 0));
    assert_eq!(sent(&person.waits()), ["a"]);
}

#[test]
fn goodbye_is_honoured() {
    let mut person = Person::joined(10);
    let began = person.now;
    let actions = person.gets(Server::Goodbye(Goodbye {
        reason: "restart".into(),
        reconnect_after_ms: 3000,
    }));
    assert!(actions.contains(&Action::Disconnect));
    assert!(person.waits().contains(&Action::Connect));
    assert!(person.now - began >= Duration::from_secs(3));
}

#[test]
fn a_server_that_is_silent_is_given_up_and_tried_again() {
    let mut person = Person::new("");
    person.tick();
    assert!(person.waits().contains(&Action::Disconnect));
    assert!(person.waits().contains(&Action::Connect));
    // Also later, when an acknowledgement does not come.
    let mut person = Person::joined(10);
    person.says("a");
    assert!(person.waits().contains(&Action::Disconnect));
    person.waits();
    person.gets(welcome());
    assert_eq!(sent(&person.gets(joined(10, 10))), ["a"]);
}

#[test]
fn a_taken_name_is_the_end() {
    let mut person = Person::new("");
    person.tick();
    let actions = person.loses(Code::AlreadyExists, "taken");
    assert!(actions.contains(&Action::Stop(Stop::NameTaken("taken".into()))));
    assert_eq!(person.session.deadline(), None);
}

#[test]
fn a_refused_room_is_the_end_and_a_busy_one_is_asked_again() {
    let mut person = Person::new("");
    person.tick();
    person.gets(welcome());
    person.gets(error(Code::ResourceExhausted, "", 2000));
    assert_eq!(join(&person.waits()).room, "lobby");
    let actions = person.gets(error(Code::InvalidArgument, "", 0));
    assert!(actions.contains(&Action::Stop(Stop::Refused("words".into()))));
}

#[test]
fn events_forgotten_meanwhile_are_said_to_be_missing() {
    let mut person = Person::joined(10);
    person.loses(Code::Unavailable, "gone");
    person.waits();
    person.gets(welcome());
    let actions = person.gets(Server::Error(Error {
        code: Code::OutOfRange as u32,
        room: "lobby".into(),
        oldest: 100,
        ..Error::default()
    }));
    assert_eq!(join(&actions).after, Some(99));
    assert!(matches!(&shown(actions)[..], [Change::Note(words)] if words.starts_with("89 events")));
}

#[test]
fn a_room_that_begins_anew_is_entered_anew() {
    // Somebody else has made the room again already, or nobody has.
    for code in [Code::OutOfRange, Code::NotFound] {
        let mut person = Person::joined(10);
        person.says("a");
        person.loses(Code::Unavailable, "gone");
        person.waits();
        person.gets(welcome());
        let actions = person.gets(error(code, "", 0));
        assert_eq!((join(&actions).after, join(&actions).last), (None, 50));
        assert_eq!(sent(&person.gets(joined(0, 1))), ["a"]);
        assert_eq!(shown(person.gets(event(1, 9, "x"))).len(), 1);
    }
}

#[test]
fn unknown_frames_are_passed_over() {
    let mut person = Person::joined(10);
    assert!(
        person
            .session
            .received(person.now, ServerFrame { frame: None })
            .is_empty()
    );
}
