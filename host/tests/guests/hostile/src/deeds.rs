//! What a hostile plugin does to its host: each deed attacks one bound.
#![allow(clippy::disallowed_methods)] // Sleeping is one of them.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Duration;

use crate::chat::plugin::{directory, log, state};

/// The word after `do:`.
pub fn deed(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("do:")?;
    after
        .split(|c: char| !c.is_ascii_lowercase() && c != '-')
        .next()
}

/// Does it; returns only from those that a host survives by bounding them.
pub fn perform(deed: &str) {
    match deed {
        "loop" => loop {
            black_box(0);
        },
        "sleep" => std::thread::sleep(Duration::from_secs(20)),
        "nap-and-work" => loop {
            std::thread::sleep(Duration::from_millis(1));
            black_box((0..1000).sum::<u64>());
        },
        "poll" => loop {
            std::thread::sleep(Duration::ZERO);
        },
        "stdin" => {
            let mut bytes = Vec::new();
            let _ = std::io::stdin().read_to_end(&mut bytes);
        }
        "trap" => core::arch::wasm32::unreachable(),
        "panic" => panic!("as I was told"),
        "memory" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
                black_box(&hoard);
            }
        }
        "memory-grow" => {
            while core::arch::wasm32::memory_grow::<0>(16) != usize::MAX {}
            core::arch::wasm32::unreachable()
        }
        "recursion" => {
            black_box(recurse(1));
        }
        "stderr" => {
            let line = [b'e'; 4096];
            for _ in 0..500 {
                let _ = std::io::stderr().write_all(&line);
            }
        }
        "stdout" => {
            for n in 0..2_000 {
                println!("{n} {}", "o".repeat(500));
            }
        }
        "log" => {
            let line = "l".repeat(5_000);
            for _ in 0..500 {
                log::write(log::Level::Info, &line);
            }
        }
        "host-calls" => loop {
            black_box(directory::name(1));
        },
        "state" => {
            black_box(state::get(0, "key"));
        }
        "write" => {
            let _ = state::put(0, "key", Some(b"value"), None);
        }
        // Each until the host says that it is enough.
        "hoard" => {
            for n in 0_u32.. {
                if state::put(0, &format!("hoard {n}"), Some(&[7; 60_000]), None).is_err() {
                    break;
                }
            }
        }
        "keys" => {
            // Others at each message, so that they add up.
            let seed = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos());
            for n in 0..9_000 {
                if state::add(0, &format!("{seed} {n}"), 1, None).is_err() {
                    break;
                }
            }
        }
        "other-room" => {
            assert!(state::put(1, "key", Some(b"value"), None).is_err());
            assert!(state::add(u32::MAX, "key", 1, None).is_err());
            assert!(state::get(1, "key").is_none());
        }
        "huge-value" => {
            let _ = state::put(0, "key", Some(&vec![0; 24 << 20]), None);
        }
        "resources" => {
            let mut held = Vec::new();
            for _ in 0..1_000_000 {
                held.push(std::io::stderr());
                black_box(std::fs::File::open("/etc/passwd").is_err());
            }
        }
        "escape" => {
            assert!(std::fs::read_dir("/").is_err(), "a folder");
            assert!(std::fs::File::open("/etc/passwd").is_err(), "a file");
            assert_eq!(std::env::vars().count(), 0, "an environment");
            assert!(std::env::args().count() <= 1, "arguments");
            assert!(std::net::TcpStream::connect("127.0.0.1:1").is_err());
            assert!(
                std::net::UdpSocket::bind("127.0.0.1:0").is_err(),
                "a socket"
            );
            assert!(std::time::SystemTime::now() > std::time::UNIX_EPOCH);
            let mut bytes = Vec::new();
            assert_eq!(std::io::stdin().read_to_end(&mut bytes).unwrap_or(0), 0);
        }
        "exit" => std::process::exit(0),
        "brink" => {
            // Just under a message's limit.
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_millis(40) {
                black_box(0);
            }
        }
        "slow" => {
            // Work of some milliseconds: well within a message's limit.
            black_box((0..2_000_000_u64).fold(0, |sum, n| black_box(sum ^ n)));
        }
        _ => {}
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[(depth % 64) as usize]
}
