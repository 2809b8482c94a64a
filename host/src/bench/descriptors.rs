//! Room for thousands of sockets: a process may have 1,024 files open unless it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Ours beside the connections, and a server's own files, for a child inherits the limit.
const OTHERS: u64 = 1_000;

/// The system does not allow so many open files.
#[derive(Debug, thiserror::Error)]
#[error(
    "{needed} open files are needed for so many connections, and the limit is {limit}; raise it with `ulimit -n {needed}` or ask for fewer members"
)]
pub struct TooFew {
    needed: u64,
    limit: u64,
}

/// Raises this process's limit so that `connections` fit.
///
/// # Errors
/// [`TooFew`] where the system refuses.
pub fn allow(connections: usize) -> Result<(), TooFew> {
    let needed = connections as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= needed {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(needed)); // Beyond the hard limit only root may go.
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(needed),
            maximum,
        },
    )
    .map_err(|_| TooFew {
        needed,
        limit: limit.maximum.unwrap_or(current),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_connections_are_always_allowed() {
        assert!(allow(10).is_ok());
    }

    #[test]
    fn too_many_are_refused_with_what_to_do() {
        let message = TooFew {
            needed: 21_000,
            limit: 4_096,
        }
        .to_string();
        assert!(
            message.contains("limit is 4096") && message.contains("ulimit -n 21000"),
            "{message}"
        );
    }
}
