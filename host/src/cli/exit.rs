//! The exit codes of the client's commands: few and stable, so that scripts can rely on them.

use std::process::ExitCode;

use tonic::{Code, Status};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done. For `send`: acknowledged; with `--wait`: delivered or handled.
    Done,
    /// 1: something went wrong here or in the server.
    Failure,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the server refused it: invalid, withheld (with `--wait`), not allowed.
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
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => {
                Self::Unreachable
            }
            Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented => Self::Refused,
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

/// What to do about a name that is taken.
#[must_use]
pub fn name_taken(name: &str, words: &str, tokens: Option<&std::path::Path>) -> String {
    let proof = tokens.map_or_else(
        || "no folder for tokens is known, for HOME is not set".to_owned(),
        |file| format!("its proof would be in {}", file.display()),
    );
    format!(
        "the name `{name}` belongs to somebody else ({words}); choose another with --name, or, if it is yours, start where you first used it: {proof}"
    )
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
    fn a_status_becomes_the_code_that_a_script_expects() {
        assert_eq!(Exit::of(&Status::unavailable("")), Exit::Unreachable);
        assert_eq!(Exit::of(&Status::already_exists("")), Exit::NameTaken);
        assert_eq!(Exit::of(&Status::invalid_argument("")), Exit::Refused);
        assert_eq!(Exit::of(&Status::internal("")), Exit::Failure);
    }
}
