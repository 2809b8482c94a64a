//! Clients that are run by scripts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::{PATIENCE, program};

/// A client in a pipe.
pub struct Pipe {
    /// It.
    pub process: Child,
    input: Option<ChildStdin>,
    /// What it writes, both ways.
    pub lines: Receiver<String>,
}

impl Pipe {
    /// Starts it.
    pub fn open(home: &Path, arguments: &[&str]) -> Self {
        let mut process = program(home, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (all, lines) = channel();
        let errors = all.clone();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|l| drop(all.send(l)))
        });
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|l| drop(errors.send(format!("stderr: {l}"))));
        });
        let input = process.stdin.take();
        Self {
            process,
            input,
            lines,
        }
    }

    /// Writes it a line.
    pub fn writes(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line that contains `text`.
    pub fn reads(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(e) => panic!("no line with {text:?} ({e}), but {before:#?}"),
            }
        }
    }

    /// Waits for a line with each of these texts, in any order.
    pub fn reads_all(&self, texts: &[&str]) {
        let mut missing = texts.to_vec();
        while !missing.is_empty() {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => missing.retain(|text| !line.contains(text)),
                Err(e) => panic!("no line with {missing:?} ({e})"),
            }
        }
    }

    /// Ends its input, and waits until it ends.
    pub fn ends(&mut self) -> i32 {
        self.input = None;
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a command to its end.
pub fn runs(home: &Path, arguments: &[&str]) -> Output {
    program(home, arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it wrote.
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it complained of.
pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
