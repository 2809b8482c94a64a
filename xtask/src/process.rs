//! Running other programs, so that the user sees progress as it happens and a reason when it fails.

use std::env;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Tells the user which step begins.
pub fn step(what: &str) {
    eprintln!("==> {what}");
}

/// Runs it on our terminal.
///
/// # Errors
/// When it does not start or does not succeed, with its command line.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs it unseen, and returns what it printed.
///
/// # Errors
/// When it does not start or does not succeed, with what it complained about.
pub fn text(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting `{}`", line(command)))?;
    judge(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether it can be started and succeeds.
pub fn works(command: &mut Command) -> bool {
    text(command).is_ok()
}

/// Runs it unseen, and ends it when it takes longer than `limit`.
///
/// # Errors
/// As [`text`], and when the time is over.
pub fn within(limit: Duration, command: &mut Command) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("starting `{}`", line(command)))?;
    let pipe = child.stderr.take();
    let (ended, end) = mpsc::sync_channel(1);
    // Its standard error closes when it ends; the thread ends with it, at the latest by the kill below.
    thread::spawn(move || {
        let mut stderr = Vec::new();
        // What could be read is all there is to tell.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut stderr));
        let _ = ended.send(stderr);
    });
    let Ok(stderr) = end.recv_timeout(limit) else {
        // It may have ended just now, which is as good.
        let _ = child.kill();
        child.wait()?;
        bail!(
            "`{}` was not done after {} s",
            line(command),
            limit.as_secs()
        );
    };
    let output = Output {
        status: child.wait()?,
        stdout: Vec::new(),
        stderr,
    };
    judge(command, &output)
}

/// Runs a cargo that builds, and says nothing at all when there was nothing to do.
///
/// # Errors
/// When it does not start or does not succeed; it has then said why.
pub fn build(heading: &str, command: &mut Command) -> Result<()> {
    if std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always"); // it writes to a pipe, and we to the terminal
    }
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{}`", line(command)))?;
    let mut begun = false;
    for told in child
        .stderr
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(|pipe| pipe.split(b'\n'))
    {
        let told = told?;
        let told = String::from_utf8_lossy(&told);
        if told.contains("Finished") && told.contains("profile") {
            continue;
        }
        if !begun {
            step(heading);
            begun = true;
        }
        eprintln!("{told}");
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

fn judge(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    bail!(
        "`{}` failed ({}): {}",
        line(command),
        output.status,
        complaint(&stderr)
    )
}

/// The line that says most about a failure: the first error of a compiler, the last of apt, or else the last line.
fn complaint(stderr: &str) -> &str {
    let mut lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let by_apt = |line: &&str| line.starts_with("E: ");
    let by_cargo = lines.clone().find(|line| line.starts_with("error"));
    by_cargo
        .or_else(|| lines.clone().rfind(by_apt))
        .or_else(|| lines.next_back())
        .unwrap_or("it said nothing")
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_line_that_says_most() {
        assert_eq!(
            complaint("   Compiling std\nerror[E1]: a\nerror: could not compile"),
            "error[E1]: a"
        );
        assert_eq!(complaint("info: a\nerror: b\n  0: a frame\n"), "error: b");
        assert_eq!(complaint("Err:1 http://x\nE: not found\n"), "E: not found");
        assert_eq!(complaint("gone\n\n"), "gone");
        assert_eq!(complaint(""), "it said nothing");
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let error = within(Duration::from_millis(50), Command::new("sleep").arg("60")).unwrap_err();
        assert!(error.to_string().contains("was not done"), "{error}");
    }

    #[test]
    fn a_failure_tells_its_reason() {
        let error = within(
            Duration::from_secs(60),
            Command::new("sh").args(["-c", "echo error: no >&2; exit 3"]),
        );
        assert!(error.unwrap_err().to_string().ends_with("error: no"));
    }
}
