//! The exit codes of the client's commands: few and stable, so that scripts can rely on them.

use std::process::ExitCode;

use tonic::{Code, Status};

/// What `--help` says of them, in README's words.
pub const CODES: &str = "Exit codes:
  0  done
  1  failed
  2  wrong usage or settings
  3  refused by the server
  4  no server there or no answer in time
  5  the name is taken";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done. For `send`: acknowledged; with `--wait`: delivered or handled.
    Done,
    /// 1: something went wrong here or in the server.
    Failure,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the server refused it: invalid, withheld (`send --wait`, `chat` in a pipe), not allowed.
    Refused,
    /// 4: the server could not be reached, or did not answer or decide in time. For `send` and `chat`: what was not
    /// acknowledged may or may not arrive; sent again under the same client id it can't arrive twice.
    Unreachable,
    /// 5: the name is somebody else's.
    NameTaken,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::NameTaken => 5,
        }
    }

    /// What a status means for a command.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        match status.code() {
            Code::Ok => Self::Done,
            Code::AlreadyExists | Code::Unauthenticated => Self::NameTaken,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::Unimplemented => Self::Unreachable,
            Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange => Self::Refused,
            Code::Unknown | Code::Internal | Code::DataLoss => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Says what went wrong on standard error.
pub fn complain(words: &str) {
    use std::io::Write;
    // Nobody may be reading; the exit code tells it too.
    let _ = writeln!(
        std::io::stderr(),
        "chat-host: {}",
        crate::client::clean::clean(words)
    );
}

/// What to do about a name that is taken. `words` are the server's; `was_ours`: a proof of the name was kept here,
/// in `folder`.
#[must_use]
pub fn name_taken(
    name: &str,
    words: &str,
    was_ours: bool,
    folder: Option<&std::path::Path>,
) -> String {
    if !words.contains("is taken") {
        // Ours, and refused for another reason.
        return words.to_owned();
    }
    let lower = name.to_lowercase();
    let case = if lower == name {
        String::new()
    } else {
        format!(", which is the same as `{lower}`,")
    };
    match folder {
        Some(_) if was_ours => format!(
            "somebody else has taken the name `{name}`{case} since you last used it, for a server gives a name up some time after its last session (60 s, unless its `name_hold_seconds` says otherwise): choose another with --name"
        ),
        Some(folder) => format!(
            "the name `{name}`{case} is taken: choose another with --name, or, if it is yours, start where you first used it: its proof is not in {} here",
            folder.display()
        ),
        None => format!(
            "the name `{name}`{case} is taken: choose another with --name, or, if it is yours, set HOME to where its proof is kept"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_stable() {
        let all = [
            Exit::Done,
            Exit::Failure,
            Exit::Usage,
            Exit::Refused,
            Exit::Unreachable,
            Exit::NameTaken,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn help_and_readme_say_the_same() {
        let words: Vec<String> = CODES
            .lines()
            .skip(1)
            .map(|line| line.trim().replacen("  ", " ", 1))
            .collect();
        let readme = include_str!("../../../README.md").replace('\n', " ");
        let sentence = format!("Exit codes: {}.", words.join(", "));
        assert!(readme.contains(&sentence), "README does not say {sentence}");
    }

    #[test]
    fn a_taken_name_says_whose_it_is_and_what_to_do() {
        let folder = std::path::Path::new("/home/a/tokens");
        let words = "the name `Al` is taken; choose another";
        let taken = |was_ours, folder| name_taken("Al", words, was_ours, folder);
        for (said, about) in [
            (taken(true, Some(folder)), "somebody else has taken"),
            (taken(false, Some(folder)), "/home/a/tokens"),
            (taken(false, None), "HOME"),
        ] {
            assert!(said.contains(about), "{said}");
            assert!(said.contains("the same as `al`"), "{said}");
            assert!(said.contains("choose another with --name"), "{said}");
        }
        let others = "the name `Al` has 64 sessions already; end one of them";
        assert_eq!(name_taken("Al", others, true, Some(folder)), others);
    }

    #[test]
    fn a_status_becomes_the_code_that_a_script_expects() {
        assert_eq!(Exit::of(&Status::unavailable("")), Exit::Unreachable);
        assert_eq!(Exit::of(&Status::already_exists("")), Exit::NameTaken);
        assert_eq!(Exit::of(&Status::invalid_argument("")), Exit::Refused);
        assert_eq!(Exit::of(&Status::internal("")), Exit::Failure);
    }
}
