//! What a data folder is: its format, and the number of partitions, fixed when it is made.

use std::path::{Path, PathBuf};

use super::OpenError;
use super::database::Database;

/// The format this host writes. It reads older ones and upgrades them; so far there is none.
pub const FORMAT: u32 = 1;

/// Why a folder's layout is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Written by a newer host.
    #[error(
        "the data folder {path} has format {found}, and this chat-host knows formats up to {FORMAT}; run a newer chat-host"
    )]
    TooNew {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Not one of ours.
    #[error(
        "the data folder {path} holds no layout that chat-host knows ({text:?}); choose another with --data"
    )]
    Unknown {
        /// Which.
        path: PathBuf,
        /// What is there instead.
        text: String,
    },
}

/// Reads the layout, or writes it into a new folder. Returns the number of partitions.
pub(super) fn agree(database: &Database, path: &Path, partitions: u16) -> Result<u16, OpenError> {
    let broken = |reason| OpenError::Database {
        path: path.to_owned(),
        reason,
    };
    let Some(found) = database.meta("layout").map_err(broken)? else {
        write(database, partitions).map_err(broken)?;
        return Ok(partitions);
    };
    let text = String::from_utf8_lossy(&found).into_owned();
    let number = |key: &str| {
        text.split(' ')
            .filter_map(|word| word.split_once('='))
            .find(|(k, _)| *k == key)
            .and_then(|(_, value)| value.parse::<u32>().ok())
    };
    let unknown = || LayoutError::Unknown {
        path: path.to_owned(),
        text: text.clone(),
    };
    let found = number("format").ok_or_else(unknown)?;
    if found > FORMAT {
        return Err(LayoutError::TooNew {
            path: path.to_owned(),
            found,
        }
        .into());
    }
    let partitions = number("partitions").ok_or_else(unknown)?;
    Ok(u16::try_from(partitions).map_err(|_| unknown())?)
}

/// Writes the layout of this host's format.
pub(super) fn write(database: &Database, partitions: u16) -> Result<(), String> {
    let layout = format!("format={FORMAT} partitions={partitions}");
    database.set_meta("layout", layout.as_bytes())
}
