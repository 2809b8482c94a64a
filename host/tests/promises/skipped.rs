//! What can't be tested on this machine, and why.

use std::io::Write;

/// Notes that `what` was not tested. The test returns after it, and is not counted as passed.
pub fn skip(what: &str, why: &str) {
    let line = format!("SKIPPED: {what}: {why}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("CHAT_HOST_SKIPPED") {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        // One write, so that lines of other tests don't mix in.
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// A user without rights.
pub const NOBODY: u32 = 65_534;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
