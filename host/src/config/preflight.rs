//! What settings ask of this machine, looked at before anything is started: folders that are there and can be used.
//!
//! Whatever else can fail fails where it is used. These fail here, because the words would be poorer further down.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Config;

/// Why the server can't start with these settings here.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The data folder can't be made or written.
    #[error(
        "the data folder {} can't be used: {error}; choose another with --data, or --memory to keep nothing",
        .path.display()
    )]
    Data {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The plugins' folder is not there, or none.
    #[error(
        "the plugin folder {} can't be read: {error}; make it, or choose another with --plugins",
        .path.display()
    )]
    Plugins {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Plugins are required, and there is no folder to find them in.
    #[error("plugins are required ({}), but no folder is set; say --plugins DIR", .names.join(", "))]
    NoFolder {
        /// The plugins.
        names: Vec<String>,
    },
}

/// Makes the data folder, and tries both folders.
///
/// # Errors
/// What is missing or may not be used, and what to do.
pub fn preflight(config: &Config) -> Result<(), Unfit> {
    if !config.memory {
        writable(&config.data).map_err(|error| Unfit::Data {
            path: config.data.clone(),
            error,
        })?;
    }
    match &config.plugins {
        Some(path) => std::fs::read_dir(path)
            .map(drop)
            .map_err(|error| Unfit::Plugins {
                path: path.clone(),
                error,
            }),
        None if config.require.is_empty() => Ok(()),
        None => Err(Unfit::NoFolder {
            names: config.require.clone(),
        }),
    }
}

/// Permissions don't tell (a read-only disk, a full one): only writing does.
fn writable(folder: &Path) -> io::Result<()> {
    // For the owner's eyes only: it will hold what people said, and what proves their names.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    tempfile::Builder::new()
        .prefix(".writable")
        .tempfile_in(folder)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_is_made_where_it_is_missing() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("a").join("b");
        preflight(&Config::new(data.clone())).unwrap();
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 0, "no trace left");
    }

    #[test]
    fn what_is_no_folder_is_told_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config = Config::new(file.path().to_owned());
        let told = preflight(&config).unwrap_err().to_string();
        assert!(told.contains("--data"), "{told}");
        config.memory = true;
        config.plugins = Some(PathBuf::from("/nowhere"));
        let told = preflight(&config).unwrap_err().to_string();
        assert!(
            told.contains("/nowhere") && told.contains("--plugins"),
            "{told}"
        );
        config.plugins = None;
        config.require = vec!["wordlist".to_owned()];
        assert!(preflight(&config).is_err());
    }
}
