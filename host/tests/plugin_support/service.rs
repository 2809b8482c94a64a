//! A small service outside, on this machine: says what its path asks for, and remembers what it was asked.
#![allow(dead_code, missing_docs)] // Each test binary uses a part of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(there, _)| there == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What it says to a request, in bytes; none: nothing, until the other side gives up.
pub type Say = Arc<dyn Fn(&Asked) -> Option<Vec<u8>> + Send + Sync>;

pub struct Service {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    say: Say,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    asked: Vec<Asked>,
    given_up: usize,
}

/// An orderly answer.
pub fn answer(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into())
}

impl Service {
    /// One that says what `say` makes of a request.
    pub fn start(say: impl Fn(&Asked) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            say: Arc::new(say),
            seen: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = shared.clone();
        // Its threads end with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    pub fn connections(&self) -> usize {
        self.shared.seen.lock().unwrap().connections
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.shared.seen.lock().unwrap().asked.clone()
    }

    /// Waits until it was asked so often.
    pub fn until_asked(&self, times: usize) {
        self.wait("it was asked", |seen| seen.asked.len() >= times);
    }

    /// Waits until so many who asked have closed their connection without an answer.
    pub fn until_given_up(&self, times: usize) {
        self.wait("they gave up", |seen| seen.given_up >= times);
    }

    fn wait(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let seen = self.shared.seen.lock().unwrap();
        let patience = std::time::Duration::from_secs(60);
        let waiting = |seen: &mut Seen| !condition(seen);
        let (seen, waited) = self
            .shared
            .changed
            .wait_timeout_while(seen, patience, waiting)
            .unwrap();
        assert!(
            !waited.timed_out(),
            "waited in vain until {what}: {:?}",
            seen.asked
        );
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        self.seen.lock().unwrap().connections += 1;
        let Some(asked) = read(&mut stream) else {
            return;
        };
        self.see(|seen| seen.asked.push(asked.clone()));
        let said = (self.say)(&asked);
        match said {
            // Who asked may have left.
            Some(bytes) => drop(stream.write_all(&bytes)),
            None => {
                // Ends when the other side closes.
                let _ = stream.read(&mut [0]);
                self.see(|seen| seen.given_up += 1);
            }
        }
    }

    fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        let read = reader.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let mut asked = Asked {
        line: line()?,
        ..Asked::default()
    };
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        asked.headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = asked.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}
