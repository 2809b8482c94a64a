//! What a data folder is: its format, and the number of partitions, fixed when it is made.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::database::Database;
use super::{OpenError, data_folder};

/// The format this host writes. It reads older ones and upgrades them; so far there is none.
pub const FORMAT: u32 = 1;

/// Partitions of a new folder, unless somebody says otherwise.
pub const PARTITIONS: u16 = 4;

/// Why a folder's layout is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Written by a newer host.
    #[error(
        "the data folder {} has format {found}, and this chat-host knows formats up to {FORMAT}; run a newer chat-host",
        .path.display()
    )]
    TooNew {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Not one of ours.
    #[error(
        "the data folder {} holds no layout that chat-host knows ({text:?}); choose another with --data",
        .path.display()
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
        path: data_folder(path).to_owned(),
        text: text.clone(),
    };
    let found = number("format").ok_or_else(unknown)?;
    if found > FORMAT {
        return Err(LayoutError::TooNew {
            path: data_folder(path).to_owned(),
            found,
        }
        .into());
    }
    let kept = number("partitions").ok_or_else(unknown)?;
    let kept = u16::try_from(kept).map_err(|_| unknown())?;
    // The usual number is what everybody asks for who says nothing.
    if partitions != kept && partitions != PARTITIONS {
        warn!(
            asked = partitions,
            kept,
            data = %data_folder(path).display(),
            "the number of partitions is fixed when a data folder is made; it keeps its own"
        );
    }
    Ok(kept)
}

/// Writes the layout of this host's format.
pub(super) fn write(database: &Database, partitions: u16) -> Result<(), String> {
    let layout = format!("format={FORMAT} partitions={partitions}");
    database.set_meta("layout", layout.as_bytes())
}
