//! The tools a build needs: checks that they are here, and installs what it may.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::workspace::cargo;

/// The oldest Rust that builds the workspace, as major and minor; the same as `rust-version` in `Cargo.toml`.
const OLDEST_RUST: (u32, u32) = (1, 95);

/// Checks what `cargo build` needs of the machine.
///
/// # Errors
/// When something is missing or too old and can't be installed from here, with the command that would do it.
pub fn check() -> Result<()> {
    for command in [&mut Command::new("rustc"), &mut cargo()] {
        recent(&process::text(command.arg("--version"))?)?;
    }
    let chosen = env::var("CC").unwrap_or_default();
    // It may be a line such as `ccache gcc`.
    match chosen.split_whitespace().next() {
        Some(program) if !process::works(Command::new(program).arg("--version")) => {
            bail!(
                "there is no `{program}`, which the variable CC names as the C compiler; unset it or install that"
            )
        }
        None if !process::works(Command::new("cc").arg("--version")) => {
            install("cc", "wasmtime's build compiles C", "build-essential")?;
        }
        _ => {}
    }
    Ok(())
}

/// Checks that cargo has its `fmt` and `clippy`.
///
/// # Errors
/// When one is missing and rustup can't add it.
pub fn check_linters() -> Result<()> {
    for (task, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !process::works(cargo().args([task, "--version"])) {
            process::step(&format!("installing {component}"));
            process::text(Command::new("rustup").args(["component", "add", component]))
                .with_context(|| {
                    format!("`cargo {task}` is missing; run `rustup component add {component}`")
                })?;
        }
    }
    Ok(())
}

/// `told` is what `rustc --version` prints, e.g. `rustc 1.95.0 (59807616e 2026-04-14)`.
fn recent(told: &str) -> Result<()> {
    let version = told.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("`{}` is not a version that is understood here", told.trim());
    };
    if (major, minor) < OLDEST_RUST {
        let (need_major, need_minor) = OLDEST_RUST;
        bail!(
            "`{}` is too old: {need_major}.{need_minor} is needed; run `rustup update stable`",
            told.trim()
        );
    }
    Ok(())
}

fn install(program: &str, reason: &str, package: &str) -> Result<()> {
    let by_hand = format!(
        "`{program}` is missing ({reason}); install it, e.g. with `apt-get install {package}`"
    );
    let Some(mut apt_get) = privileged_apt_get() else {
        bail!(by_hand)
    };
    process::step(&format!(
        "installing {package}: `{program}` is missing ({reason})"
    ));
    let Some(mut update) = privileged_apt_get() else {
        bail!(by_hand)
    };
    process::text(update.args(["-q", "update"])).context(by_hand.clone())?;
    process::text(apt_get.args(["-q", "-y", "--no-install-recommends", "install", package]))
        .context(by_hand.clone())?;
    if !process::works(Command::new(program).arg("--version")) {
        bail!(by_hand);
    }
    Ok(())
}

/// An `apt-get` that may install without asking anybody, where there is one.
fn privileged_apt_get() -> Option<Command> {
    if !process::works(Command::new("apt-get").arg("--version")) {
        return None;
    }
    let mut command = Command::new("env");
    if process::text(Command::new("id").arg("-u")).ok()?.trim() != "0" {
        if !process::works(Command::new("sudo").args(["-n", "true"])) {
            return None;
        }
        command = Command::new("sudo");
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for fine in [
            "rustc 1.95.0 (59807616e 2026-04-14)",
            "cargo 1.100.0-nightly (x)",
            "rustc 2.0.0",
        ] {
            assert!(recent(fine).is_ok(), "{fine}");
        }
        let old = recent("rustc 1.94.1 (x)").unwrap_err().to_string();
        assert!(
            old.contains("too old") && old.contains("rustup update"),
            "{old}"
        );
        assert!(recent("1.95").is_err());
    }
}
