//! Pictures of the screen, in several sizes and scripts.

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::change::{Change, State};
use super::look::bits;
use super::*;
use crate::proto::v1::private_event::Event as Private;
use crate::proto::v1::room_event::Event as Said;
use crate::proto::v1::run::Target;
use crate::proto::v1::{
    Body, Command, Joined, Members, PrivateEvent, RoomEvent, Run, Topic, Welcome, Whisper,
};

/// 2025-11-21 20:15 in Seoul.
const EVENING: u64 = 1_763_723_700_000;

/// A screen with a person before it.
struct Seat {
    model: Model,
    prompt: Prompt,
    terminal: Terminal<TestBackend>,
    now: Instant,
    sequence: u64,
}

impl Seat {
    fn new(columns: u16, rows: u16) -> Self {
        let mut seat = Self {
            model: Model::new("alice", "lobby"),
            prompt: Prompt::default(),
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
            now: Instant::now(),
            sequence: 0,
        };
        seat.hears(Change::Welcome(Welcome {
            name: "alice".into(),
            person: 7,
            message_bytes: 4096,
            commands: vec![
                Command {
                    name: "roll".into(),
                    usage: "[sides]".into(),
                    summary: "rolls a die".into(),
                    ..Command::default()
                },
                Command {
                    name: "rooms".into(),
                    summary: "lists the rooms".into(),
                    ..Command::default()
                },
            ],
            ..Welcome::default()
        }));
        seat.hears(Change::Joined(Joined {
            room: "lobby".into(),
            topic: "차 한잔 ☕ and talk".into(),
            members: Some(members(&["alice", "bob", "홍길동"])),
            ..Joined::default()
        }));
        seat.hears(Change::State(State::Online));
        seat
    }

    fn hears(&mut self, change: Change) {
        self.model.apply(change, self.now, EVENING + 90_000);
    }

    fn event(&mut self, sender: &str, event: Said) {
        self.sequence += 1;
        let own = sender == "alice";
        let event = RoomEvent {
            room: "lobby".into(),
            sequence: self.sequence,
            time_ms: EVENING + self.sequence * 1000,
            sender: sender.into(),
            person: if own { 7 } else { 9 },
            client_id: format!("c{}", self.sequence),
            plugin: if sender.is_empty() {
                "poll".into()
            } else {
                String::new()
            },
            event: Some(event),
            ..RoomEvent::default()
        };
        self.hears(Change::Said { event, own });
    }

    fn says(&mut self, sender: &str, text: &str) {
        self.event(sender, Said::Message(body(&[run(text, 0)])));
    }

    fn draws(&mut self) -> Drawn {
        let clock = Clock::at(TimeZone::fixed(jiff::tz::offset(9)));
        let (model, prompt, now) = (&self.model, &mut self.prompt, self.now);
        let mut drawn = None;
        self.terminal
            .draw(|frame| drawn = Some(draw(frame, model, prompt, Look::new(false), &clock, now)))
            .unwrap();
        drawn.unwrap()
    }

    fn presses(&mut self, code: KeyCode) -> Wish {
        self.presses_with(code, KeyModifiers::NONE)
    }

    fn presses_with(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Wish {
        let drawn = self.draws();
        on_key(
            KeyEvent::new(code, modifiers),
            &mut self.model,
            &mut self.prompt,
            &drawn,
        )
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.presses(KeyCode::Char(c));
        }
    }

    fn wants_older(&mut self) -> Option<u64> {
        let at_top = self.draws().at_top;
        self.model.wants_older(at_top)
    }

    fn picture(&mut self) -> String {
        self.draws();
        self.terminal.backend().to_string()
    }
}

fn members(names: &[&str]) -> Members {
    Members {
        room: "lobby".into(),
        count: u32::try_from(names.len()).unwrap(),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
    }
}

fn run(text: &str, style: u32) -> Run {
    Run {
        text: text.into(),
        style,
        target: None,
    }
}

fn link_to(text: &str, url: &str) -> Run {
    Run {
        target: Some(Target::Url(url.into())),
        ..run(text, 0)
    }
}

fn body(runs: &[Run]) -> Body {
    Body {
        text: "as decided".into(),
        runs: runs.to_vec(),
    }
}

/// An evening in a room.
fn evening(seat: &mut Seat) {
    seat.says("홍길동", "안녕하세요! 다들 잘 지내셨어요? 👋");
    seat.says("alice", "hello 👨‍👩‍👧‍👦");
    seat.event("bob", Said::Action(body(&[run("puts the kettle on", 0)])));
    seat.event(
        "bob",
        Said::Message(body(&[
            run("look at ", 0),
            run("this", bits::STRONG | bits::EMPHASIS),
            run(": ", 0),
            run(
                "fn main() {\n    println!(\"안녕\");\n}\n",
                bits::CODE | bits::BLOCK,
            ),
            run("and ", 0),
            run("that", bits::CODE),
            run(", see ", 0),
            link_to("the book", "https://doc.rust-lang.org/book/"),
            run(" ", 0),
            Run {
                target: Some(Target::Mention(true)),
                ..run("@alice", 0)
            },
        ])),
    );
    seat.event(
        "홍길동",
        Said::Message(body(&[run("tea is ready", bits::QUOTE), run("where?", 0)])),
    );
    seat.event(
        "",
        Said::Notice(body(&[run("the poll is open until 21:00", 0)])),
    );
    seat.event(
        "홍길동",
        Said::Topic(Topic {
            topic: "차 한잔 ☕ and talk".into(),
        }),
    );
    seat.hears(Change::Private(PrivateEvent {
        time_ms: EVENING + 60_000,
        event: Some(Private::Whisper(Whisper {
            from: "bob".into(),
            to: "alice".into(),
            body: Some(body(&[run("psst", 0)])),
        })),
        ..PrivateEvent::default()
    }));
}

#[test]
fn an_evening_on_eighty_columns() {
    let mut seat = Seat::new(80, 20);
    evening(&mut seat);
    seat.types("see you, 홍길동 👋");
    insta::assert_snapshot!(seat.picture());
}

#[test]
fn an_evening_on_a_narrow_screen() {
    let mut seat = Seat::new(32, 24);
    evening(&mut seat);
    insta::assert_snapshot!(seat.picture());
}

#[test]
fn an_evening_on_a_wide_screen() {
    let mut seat = Seat::new(130, 18);
    evening(&mut seat);
    insta::assert_snapshot!(seat.picture());
}

#[test]
fn the_members_cover_a_narrow_screen_when_asked_for() {
    let mut seat = Seat::new(32, 8);
    seat.says("bob", "hello");
    seat.presses(KeyCode::F(2));
    insta::assert_snapshot!(seat.picture());
    seat.presses(KeyCode::F(2));
    assert!(seat.picture().contains("hello"));
}

#[test]
fn a_long_line_and_a_new_day() {
    let mut seat = Seat::new(50, 12);
    seat.says("bob", "short");
    seat.sequence += 24 * 3600;
    seat.says(
        "bob",
        &format!(
            "한국어 {} https://example.org/{}",
            "words and words ".repeat(4),
            "x".repeat(60)
        ),
    );
    insta::assert_snapshot!(seat.picture());
}

#[test]
fn text_of_others_does_not_reach_the_terminal_as_escapes() {
    let mut seat = Seat::new(60, 6);
    seat.says(
        "mal\u{1b}[2Jlory",
        "\u{1b}]0;title\u{7}\u{202e}desrever\u{202c} \u{9b}31m",
    );
    let picture = seat.picture();
    assert!(
        !picture.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']),
        "{picture:?}"
    );
    insta::assert_snapshot!(picture);
}

#[test]
fn what_is_on_its_way_withheld_or_refused_is_told_apart() {
    let mut seat = Seat::new(60, 12);
    seat.says("bob", "hello");
    let kept = |id: &str| (format!("c-{id}"), format!("text {id}"));
    let (client_id, text) = kept("withheld");
    seat.hears(Change::Pending {
        client_id: client_id.clone(),
        text: text.clone(),
    });
    seat.hears(Change::Withheld {
        client_id,
        text,
        reason: "be kind".into(),
        plugin: "wordlist".into(),
    });
    let (client_id, text) = kept("failed");
    seat.hears(Change::Pending {
        client_id: client_id.clone(),
        text: text.clone(),
    });
    seat.hears(Change::Failed {
        client_id,
        text,
        reason: "too long".into(),
    });
    let (client_id, text) = kept("pending");
    seat.hears(Change::Pending { client_id, text });
    assert_eq!(seat.model.pending.len(), 1);
    insta::assert_snapshot!(seat.picture());
}

#[test]
fn a_lost_connection_is_shown_with_the_time_until_the_next_attempt() {
    let mut seat = Seat::new(70, 6);
    seat.says("bob", "hello");
    seat.hears(Change::Pending {
        client_id: "c".into(),
        text: "mine".into(),
    });
    seat.hears(Change::State(State::Waiting {
        delay: Duration::from_millis(2500),
        why: "connection refused".into(),
    }));
    let picture = seat.picture();
    assert!(picture.contains("○ offline, again in 3 s"), "{picture}");
    assert!(
        picture.contains("1 message will be sent then; connection refused"),
        "{picture}"
    );
}

#[test]
fn the_view_stays_where_it_is_while_messages_come_and_older_ones_are_fetched() {
    let mut seat = Seat::new(40, 10);
    seat.sequence = 100;
    for i in 101..=130 {
        seat.says("bob", &format!("message {i}"));
    }
    seat.presses(KeyCode::PageUp);
    seat.presses(KeyCode::PageUp);
    let scrolled = seat.picture();
    seat.says("bob", "news");
    let page = (51..=100).map(|sequence| RoomEvent {
        sequence,
        time_ms: EVENING,
        sender: "bob".into(),
        event: Some(Said::Message(body(&[run(
            &format!("message {sequence}"),
            0,
        )]))),
        ..RoomEvent::default()
    });
    seat.model.first_is(101);
    seat.model.older(page.collect(), 1);
    let later = seat.picture();
    let conversation = |picture: &str| {
        picture
            .lines()
            .skip(1)
            .take(7)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(conversation(&scrolled), conversation(&later));
    assert!(later.contains("1 new below"), "{later}");
    insta::assert_snapshot!(later);
    // Resizing keeps the place, too.
    seat.terminal.backend_mut().resize(30, 8);
    assert!(seat.picture().contains("message 116"), "{}", seat.picture());
    seat.presses(KeyCode::Esc);
    assert!(seat.picture().contains("news"));
}

#[test]
fn scrolling_up_ends_at_the_oldest_and_asks_for_older_ones() {
    let mut seat = Seat::new(40, 10);
    seat.model.older = Older::More;
    for i in 1..=30 {
        seat.says("bob", &format!("message {i}."));
    }
    assert_eq!(seat.wants_older(), None);
    for _ in 0..10 {
        seat.presses(KeyCode::PageUp);
    }
    let picture = seat.picture();
    assert!(picture.contains("message 1."), "{picture}");
    assert_eq!(seat.wants_older(), Some(1));
    for _ in 0..10 {
        seat.presses(KeyCode::PageDown);
    }
    assert!(seat.picture().contains("message 30."));
    assert_eq!(seat.model.place, None);
}

#[test]
fn every_size_can_be_drawn() {
    for columns in 1..90 {
        for rows in [1, 2, 4, 5, 6, 9, 24] {
            let mut seat = Seat::new(columns, rows);
            evening(&mut seat);
            seat.types("안녕 and a long line that needs several rows");
            seat.presses(KeyCode::PageUp);
            seat.draws();
        }
    }
}

#[test]
fn keys_do_what_they_say() {
    let mut seat = Seat::new(80, 10);
    seat.types("/ro");
    seat.presses(KeyCode::Tab);
    assert_eq!(seat.prompt.text(), "/roll");
    assert!(
        seat.picture().contains("/roll  /rooms"),
        "{}",
        seat.picture()
    );
    seat.types("6");
    assert!(
        seat.picture().contains("/roll [sides] — rolls a die"),
        "{}",
        seat.picture()
    );
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Say("/roll 6".into()));
    seat.prompt.sent("/roll 6".into());
    seat.types("one");
    seat.presses_with(KeyCode::Enter, KeyModifiers::ALT);
    seat.types("two");
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Say("one\ntwo".into()));
    seat.prompt.sent("one\ntwo".into());
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Nothing);
    seat.types("/quit");
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Leave);
    assert_eq!(
        seat.presses_with(KeyCode::Char('c'), KeyModifiers::CONTROL),
        Wish::Leave
    );
}

#[test]
fn the_cursor_stands_where_the_next_letter_goes() {
    let mut seat = Seat::new(80, 10);
    seat.types("안녕");
    seat.draws();
    let cursor = seat.terminal.get_cursor_position().unwrap();
    // Two columns for the mark, two for each syllable.
    assert_eq!((cursor.x, cursor.y), (6, 9));
}

#[test]
fn the_keys_are_shown_until_the_next_key_which_is_not_lost() {
    let mut seat = Seat::new(80, 20);
    for (show, hide) in [
        (
            (KeyCode::F(1), KeyModifiers::NONE),
            (KeyCode::Esc, KeyModifiers::NONE),
        ),
        (
            (KeyCode::Char('g'), KeyModifiers::CONTROL),
            (KeyCode::F(1), KeyModifiers::NONE),
        ),
    ] {
        seat.presses_with(show.0, show.1);
        assert!(seat.picture().contains("Keys of the full screen"));
        seat.presses_with(hide.0, hide.1);
        assert!(!seat.picture().contains("Keys of the full screen"));
    }
    seat.types("/KEYS");
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Nothing);
    assert!(seat.picture().contains("//text"));
    seat.types("hi");
    assert_eq!(seat.prompt.text(), "hi");
    assert!(!seat.picture().contains("//text"));
}

#[test]
fn nothing_is_sent_that_can_not_be_read_or_is_no_command() {
    let mut seat = Seat::new(19, 6);
    seat.types("hi");
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Nothing);
    assert_eq!(seat.prompt.text(), "hi");
    let picture = seat.picture();
    for words in ["20", "columns x 5 rows", "19 x 6"] {
        assert!(picture.contains(words), "{picture}");
    }
    let mut seat = Seat::new(80, 6);
    seat.types("/");
    assert_eq!(seat.presses(KeyCode::Enter), Wish::Nothing);
    assert!(seat.picture().contains("a lone `/`"), "{}", seat.picture());
}
