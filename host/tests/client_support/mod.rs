//! A real server, and a person at a real terminal.

#![allow(dead_code)] // Each test binary uses its own part.

pub mod pipe;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-host");
/// What has not happened by then will not happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills it.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub url: String,
}

impl Server {
    /// On a free port.
    pub fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0")
    }

    /// On a free port, with the plugins of a folder.
    pub fn start_with(data: &Path, plugins: &Path) -> Self {
        Self::start_as(data, "127.0.0.1:0", &["--plugins".as_ref(), plugins])
    }

    /// At an address.
    pub fn start_at(data: &Path, listen: &str) -> Self {
        Self::start_as(data, listen, &[])
    }

    /// At an address, with more arguments.
    pub fn start_as(data: &Path, listen: &str, more: &[&Path]) -> Self {
        let mut process = Command::new(PROGRAM)
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .args(more)
            .current_dir(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let stdout = process.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout).lines();
        let url = loop {
            let line = lines
                .next()
                .expect("the server says where it listens")
                .expect("text");
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        // Its output must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A person at a terminal that runs the client. Dropping it kills the client.
pub struct Person {
    process: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    slave: Box<dyn SlavePty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
    settings: String,
}

impl Person {
    /// Sits down and enters the lobby.
    pub fn enters(name: &str, url: &str, home: &Path) -> Self {
        Self::enters_at((90, 24), "xterm-256color", name, url, home)
    }

    /// Sits down at a terminal that tells this size and this kind.
    pub fn enters_at(
        (cols, rows): (u16, u16),
        term: &str,
        name: &str,
        url: &str,
        home: &Path,
    ) -> Self {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let settings = format!("{:?}", pair.master.get_termios());
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["chat", "--name", name, "--server", url]);
        command.env("HOME", home);
        command.env("XDG_STATE_HOME", home.join("state"));
        command.env("TERM", term);
        command.cwd(home);
        let process = pair
            .slave
            .spawn_command(command)
            .expect("the client starts");
        let screen = Arc::new((Mutex::new(vt100::Parser::new(24, 90, 0)), Condvar::new()));
        let mut output = pair.master.try_clone_reader().expect("its output");
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                seen.0.lock().expect("no panic").process(&bytes[..read]);
                seen.1.notify_all();
            }
        });
        let keys = pair.master.take_writer().expect("its input");
        Self {
            process,
            master: pair.master,
            slave: pair.slave,
            keys,
            screen,
            settings,
        }
    }

    /// Types, as it comes from a keyboard.
    pub fn types(&mut self, text: &str) {
        self.keys
            .write_all(text.as_bytes())
            .expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    /// Types a message and sends it.
    pub fn says(&mut self, text: &str) {
        self.types(text);
        self.sees(text);
        self.types("\r");
    }

    /// Pastes, as a terminal does it.
    pub fn pastes(&mut self, text: &str) {
        self.types(&format!("\u{1b}[200~{text}\u{1b}[201~"));
    }

    /// Makes the window larger or smaller.
    pub fn resizes(&mut self, columns: u16, rows: u16) {
        self.screen
            .0
            .lock()
            .expect("no panic")
            .screen_mut()
            .set_size(rows, columns);
        self.master
            .resize(PtySize {
                rows,
                cols: columns,
                pixel_width: 0,
                pixel_height: 0,
            })
            .expect("the terminal is resized");
    }

    /// Waits until the screen satisfies `condition`.
    pub fn waits_until(&self, what: &str, condition: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut parser = self.screen.0.lock().expect("no panic");
        while !condition(parser.screen()) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{what} did not come; the screen is\n{}",
                parser.screen().contents()
            );
            parser = self
                .screen
                .1
                .wait_timeout(parser, left)
                .expect("no panic")
                .0;
        }
    }

    /// Waits until a text is on the screen.
    pub fn sees(&self, text: &str) {
        self.waits_until(text, |screen| screen.contents().contains(text));
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.screen.0.lock().expect("no panic").screen().contents()
    }

    /// Waits until the client ends, and says with which code.
    pub fn ends(&mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("its status") {
                return status.exit_code();
            }
            assert!(
                Instant::now() < end,
                "the client does not end; the screen is\n{}",
                self.screen()
            );
            std::thread::yield_now();
        }
    }

    /// Checks that the terminal is as it was before.
    pub fn finds_the_terminal_restored(&self) {
        self.waits_until("the ordinary screen", |screen| {
            !screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor()
        });
        assert_eq!(format!("{:?}", self.master.get_termios()), self.settings);
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client without a terminal; its tokens are kept in `home`.
pub fn program(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env("HOME", home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("TZ", "UTC");
    command
}
