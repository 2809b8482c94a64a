//! What the user asked for: the command line as a [`Task`].
//!
//! By hand rather than with a parser crate, which would take longer to compile than all the rest of xtask.

use std::ffi::OsString;

use anyhow::{Context as _, Result, anyhow, bail};

/// What `cargo xtask help` prints, and a wrong command line.
pub const USAGE: &str = "\
Usage: cargo xtask <task>

  setup                 get what is missing to build
  build                 set up, and build the server and the plugins
  serve [-- ARGS]       build, then run `chat-host serve` with the plugins and ARGS
  test [--without WHAT]... [--soak] [-- FILTER]
                        build, then run every test there is
                          --without  a thing the tests must do without, e.g. kafka
                          --soak     also the long runs
  lint                  formatting and clippy, for this machine and for the plugins' target
  help                  this text";

/// One task with its arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    Help,
    Setup,
    Build,
    Serve { server_args: Vec<String> },
    Test(Selection),
    Lint,
}

/// Which tests run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Things that tests have to do without, by the names the tests know them by.
    pub without: Vec<String>,
    /// Whether the long runs are included.
    pub soak: bool,
    /// What the test binaries are given, usually a part of a test's name.
    pub filter: Vec<String>,
}

/// Reads the arguments that follow `cargo xtask`.
///
/// # Errors
/// An unknown task or argument, with what was possible instead.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Task> {
    let mut args = args.map(|arg| {
        arg.into_string()
            .map_err(|arg| anyhow!("the argument {} is not valid UTF-8", arg.display()))
    });
    let task = match args.next().transpose()?.as_deref() {
        None | Some("help" | "--help" | "-h") => Task::Help,
        Some("setup") => Task::Setup,
        Some("build") => Task::Build,
        Some("lint") => Task::Lint,
        Some("serve") => return serve(args),
        Some("test") => return test(args),
        Some(other) => bail!("there is no task `{other}`"),
    };
    match args.next().transpose()? {
        Some(extra) if task != Task::Help => bail!("the argument `{extra}` has no meaning here"),
        _ => Ok(task),
    }
}

fn serve(mut args: impl Iterator<Item = Result<String>>) -> Result<Task> {
    match args.next().transpose()?.as_deref() {
        None | Some("--") => Ok(Task::Serve {
            server_args: args.collect::<Result<_>>()?,
        }),
        Some("--help" | "-h") => Ok(Task::Help),
        Some(other) => {
            bail!(
                "the argument `{other}` stands before `--`; what is for the server comes after it"
            )
        }
    }
}

fn test(mut args: impl Iterator<Item = Result<String>>) -> Result<Task> {
    let mut selection = Selection::default();
    while let Some(arg) = args.next().transpose()? {
        match arg.as_str() {
            "--" => {
                selection.filter = args.collect::<Result<_>>()?;
                break;
            }
            "--help" | "-h" => return Ok(Task::Help),
            "--soak" => selection.soak = true,
            "--without" => {
                let what = args.next().transpose()?;
                selection
                    .without
                    .push(what.context("`--without` names nothing, e.g. `--without kafka`")?);
            }
            other => match other.strip_prefix("--without=") {
                Some(what) => selection.without.push(what.to_owned()),
                None => bail!("the argument `{other}` is unknown; a test's name comes after `--`"),
            },
        }
    }
    if let Some(what) = selection.without.iter().find(|what| !is_name(what)) {
        bail!("`--without {what}`: a name has only letters, digits and `-`");
    }
    Ok(Task::Test(selection))
}

/// The names reach the tests joined by commas.
fn is_name(what: &str) -> bool {
    !what.is_empty()
        && what.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !what.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn nothing_asks_for_help() {
        assert_eq!(parsed("").unwrap(), Task::Help);
    }

    #[test]
    fn what_follows_the_dashes_is_the_servers() {
        let server_args = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()];
        assert_eq!(
            parsed("serve -- --listen 127.0.0.1:0").unwrap(),
            Task::Serve { server_args }
        );
        assert!(
            parsed("serve --listen")
                .unwrap_err()
                .to_string()
                .contains("after it")
        );
    }

    #[test]
    fn tests_can_be_narrowed() {
        let task = parsed("test --without kafka --soak --without=network -- reload").unwrap();
        let without = vec!["kafka".to_owned(), "network".to_owned()];
        let filter = vec!["reload".to_owned()];
        assert_eq!(
            task,
            Task::Test(Selection {
                without,
                soak: true,
                filter
            })
        );
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong_with_it() {
        for (line, part) in [
            ("biuld", "`biuld`"),
            ("build now", "`now`"),
            ("test reload", "comes after `--`"),
            ("test --without", "names nothing"),
            ("test --without --soak", "`--without --soak`"),
        ] {
            let message = parsed(line).unwrap_err().to_string();
            assert!(message.contains(part), "`{line}` says: {message}");
        }
    }
}
