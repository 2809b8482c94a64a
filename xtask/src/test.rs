//! `cargo xtask test`: every test there is, live on the terminal, summed on the last line.
//!
//! The tests are told by environment variables what they are given:
//!
//! - `CHAT_HOST_PLUGINS`: the folder of the built plugins, absolute.
//! - `CHAT_HOST_SKIPPED`: a file to which a test that could not run here appends one line,
//!   `SKIPPED: <what>: <why>`, and then returns. Such a test counts as skipped, not as passed.
//! - `CHAT_HOST_TEST_WITHOUT`: what they must do without, joined by commas; absent when nothing.
//! - `CHAT_HOST_SOAK`: `1` when the long runs are wanted; otherwise absent.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};

use crate::args::Selection;
use crate::build::build_tests;
use crate::process::step;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Builds and tests. Whatever happens, the last line is the tally.
pub fn test(workspace: &Workspace, selection: &Selection) -> ExitCode {
    let mut tally = Tally::default();
    if let Err(error) = perform(workspace, selection, &mut tally) {
        eprintln!("error: {error:#}");
        tally.failed_otherwise();
    }
    println!("{tally}");
    if tally.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn perform(workspace: &Workspace, selection: &Selection, tally: &mut Tally) -> Result<()> {
    build_tests(workspace)?;
    let skipped = workspace
        .scratch()?
        .join(format!("skipped-{}", std::process::id()));
    fs::write(&skipped, "").with_context(|| format!("writing {}", skipped.display()))?;
    let ran = run(workspace, selection, &skipped, tally);
    let lines = fs::read_to_string(&skipped);
    fs::remove_file(&skipped)?;
    report(&lines.context("reading what could not run")?, tally);
    ran
}

fn run(
    workspace: &Workspace,
    selection: &Selection,
    skipped: &Path,
    tally: &mut Tally,
) -> Result<()> {
    step("testing");
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--release", "--workspace", "--no-fail-fast", "--"])
        .args(&selection.filter);
    cargo
        .env("CHAT_HOST_PLUGINS", workspace.plugins())
        .env("CHAT_HOST_SKIPPED", skipped);
    cargo
        .env_remove("CHAT_HOST_TEST_WITHOUT")
        .env_remove("CHAT_HOST_SOAK");
    if !selection.without.is_empty() {
        cargo.env("CHAT_HOST_TEST_WITHOUT", selection.without.join(","));
    }
    if selection.soak {
        cargo.env("CHAT_HOST_SOAK", "1");
    }

    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting `cargo test`")?;
    let mut output = child.stdout.take().context("`cargo test` has no output")?;
    let mut line = Vec::new();
    let mut chunk = [0; 8192];
    // Not line by line, so that `test x ... ` is on the terminal while x runs.
    loop {
        let length = output.read(&mut chunk)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        std::io::stdout().write_all(read)?;
        std::io::stdout().flush()?;
        for part in read.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                tally.read(&String::from_utf8_lossy(&line));
                line.clear();
            }
        }
    }
    if !child.wait()?.success() {
        tally.failed_otherwise(); // cargo has said why
    }
    Ok(())
}

fn report(lines: &str, tally: &mut Tally) {
    let skipped: Vec<_> = lines
        .lines()
        .filter_map(|line| line.strip_prefix("SKIPPED: "))
        .collect();
    tally.could_not_run(skipped.len());
    if skipped.is_empty() {
        return;
    }
    println!("not run here:");
    for what in skipped {
        println!("  {what}");
    }
}
