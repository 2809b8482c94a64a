//! Durable means synced: a trace of the server's system calls shows a sync between each record and the first byte that
//! tells anybody of it.

use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, kill_process};

use super::client::Session;
use super::server::{Home, PROGRAM, ROOMY, pid, until};
use super::skipped::skip;

/// A line of the trace.
struct Call<'t> {
    line: usize,
    /// Of the thread.
    thread: &'t str,
    text: &'t str,
}

struct Trace<'t>(Vec<Call<'t>>);

impl<'t> Trace<'t> {
    fn parse(text: &'t str) -> Self {
        let call = |(line, text): (usize, &'t str)| {
            let (thread, text) = text.split_once(' ')?;
            let text = text.trim_start();
            Some(Call { line, thread, text })
        };
        Self(text.lines().enumerate().filter_map(call).collect())
    }

    /// The first call from a line on that fits.
    fn first(
        &self,
        what: &str,
        from: usize,
        fits: impl Fn(&Call<'_>) -> bool,
    ) -> Result<&Call<'t>, String> {
        let mut calls = self.0.iter();
        calls
            .find(|call| call.line >= from && fits(call))
            .ok_or_else(|| format!("no {what} after line {from}"))
    }

    /// Where the first sync of the journal that began after `from` is complete.
    fn synced(&self, from: usize) -> Result<usize, String> {
        let begun = self.first("sync of the journal", from, is_sync)?;
        let ended = if begun.text.contains("<unfinished") {
            self.first("end of the sync", begun.line + 1, |call| {
                call.thread == begun.thread && call.text.contains("sync resumed>")
            })?
        } else {
            begun
        };
        if !ended.text.ends_with("= 0") {
            return Err(format!("a sync failed: {}", ended.text));
        }
        Ok(ended.line)
    }

    /// Whether what carries these marks, client id and text, was durable before anybody was told.
    fn judge(&self, marks: &[(String, String)]) -> Result<(), String> {
        for (id, text) in marks {
            let record = |call: &Call<'_>| is_journal(call) && call.text.contains(text.as_str());
            let ingress = self.first("ingress record", 0, record)?;
            let durable = self.synced(ingress.line)?;
            let told = self.first("acknowledgement", 0, |call| {
                is_socket(call) && call.text.contains(id.as_str())
            })?;
            if told.line <= durable {
                return Err(format!("acknowledged before it was durable: {}", told.text));
            }
            let outcome = self.first("outcome record", durable, record)?;
            let durable = self.synced(outcome.line)?;
            let seen = self.first("event", 0, |call| {
                is_socket(call) && call.text.contains(text.as_str())
            })?;
            if seen.line <= durable {
                return Err(format!("seen before it was durable: {}", seen.text));
            }
        }
        Ok(())
    }
}

fn is_sync(call: &Call<'_>) -> bool {
    let sync = call.text.starts_with("fdatasync(") || call.text.starts_with("fsync(");
    sync && is_journal(call)
}

fn is_journal(call: &Call<'_>) -> bool {
    call.text.contains("/data/journal/")
}

/// To a client: what begins there may be seen.
fn is_socket(call: &Call<'_>) -> bool {
    let send = ["write(", "writev(", "sendto(", "sendmsg("];
    send.iter().any(|name| call.text.starts_with(name))
        && (call.text.contains("<TCP:") || call.text.contains("<socket:"))
}

/// The server under a tracer.
fn traced(tracer: u32) -> Option<u32> {
    let path = format!("/proc/{tracer}/task/{tracer}/children");
    let children = std::fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn works(trace: &Path) -> Result<(), String> {
    let mut strace = Command::new("strace");
    strace.arg("-f").arg("-o").arg(trace).arg("true");
    match strace.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_sync_lies_between_each_record_and_who_is_told_of_it() {
    let home = Home::new(ROOMY);
    let file = home.path("trace");
    if let Err(why) = works(&file) {
        return skip("syncs before acknowledgements (needs strace)", &why);
    }
    let path = file.to_str().unwrap();
    let calls = "trace=fdatasync,fsync,write,pwrite64,writev,sendto,sendmsg";
    #[rustfmt::skip]
    let tracer = ["strace", "-f", "-qq", "-yy", "-s", "4096", "-e", calls, "-e", "signal=none", "-o", path, PROGRAM];
    let server = home.start_as(&tracer, "127.0.0.1:0").await;
    let mut alice = Session::in_room(&server.url, "alice", "lobby").await;
    let mut reader = Session::in_room(&server.url, "reader", "lobby").await;
    let marks: Vec<(String, String)> = (0..5)
        .map(|_| {
            let (id, text) = (rand::random::<u64>(), rand::random::<u64>());
            (format!("id-{id:016x}"), format!("text-{text:016x}"))
        })
        .collect();
    for (id, text) in &marks {
        alice.post("lobby", text, id).await.unwrap();
        alice.event().await;
        reader.event().await;
    }
    let child = traced(server.pid).expect("the tracer has a child");
    kill_process(pid(child), Signal::TERM).unwrap();
    assert_eq!(server.wait().await.code(), Some(0), "{}", home.log());
    until("the trace is complete", || {
        std::fs::metadata(&file).is_ok_and(|file| file.len() > 0)
    })
    .await;

    let trace = std::fs::read_to_string(&file).unwrap();
    Trace::parse(&trace).judge(&marks).unwrap();

    // The judge must be able to object: to a journal that never syncs, and to one that does so too late.
    let mut never = Trace::parse(&trace);
    never.0.retain(|call| !is_sync(call));
    never.judge(&marks).unwrap_err();
    let mut late = Trace::parse(&trace);
    let end = trace.lines().count();
    for call in &mut late.0 {
        if is_sync(call) {
            call.line += end;
        }
    }
    let objection = late.judge(&marks).unwrap_err();
    assert!(objection.contains("before it was durable"), "{objection}");
}
