//! What settings ask of this machine, looked at before anything is started: folders that are there and can be used.
//!
//! Whatever else can fail fails where it is used. These fail here, because the words would be poorer further down.

use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Config, keys};

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
        let unfit = |error| Unfit::Data {
            path: config.data.clone(),
            error,
        };
        if config.data.exists() && !config.data.is_dir() {
            return Err(unfit(io::Error::other("it is not a folder")));
        }
        writable(&config.data).map_err(unfit)?;
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

/// Settings of a plugin that is not there. No fault: it may be dropped in later.
#[derive(Debug, PartialEq, Eq)]
pub struct Stranger {
    /// As the settings name it.
    pub name: String,
    /// Where it is not.
    pub folder: PathBuf,
    /// One that is there, and may be meant.
    pub nearest: Option<String>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, folder, .. } = self;
        write!(
            f,
            "there are settings for [plugins.{name}], but no {name}.wasm in {}",
            folder.display()
        )?;
        match &self.nearest {
            Some(near) => write!(f, "; did you mean [plugins.{near}]?"),
            None => Ok(()),
        }
    }
}

/// The settings of plugins that are not in the folder; none where it is not known, or can't be read.
#[must_use]
pub fn strangers(config: &Config) -> Vec<Stranger> {
    let Some(folder) = &config.plugins else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let there: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name();
            Some(file.to_string_lossy().strip_suffix(".wasm")?.to_owned())
        })
        .collect();
    config
        .plugin_settings
        .keys()
        .filter(|name| !there.contains(name))
        .map(|name| Stranger {
            name: name.clone(),
            folder: folder.clone(),
            nearest: keys::nearest(name, there.iter().map(String::as_str)).map(str::to_owned),
        })
        .collect()
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
    fn settings_of_a_plugin_that_is_not_there_are_told_with_the_nearest_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wordlist.wasm"), "").unwrap();
        let mut config = Config::new(PathBuf::new());
        for name in ["wordlist", "wordlst", "quiet"] {
            let settings = super::super::PluginConfig::default();
            config.plugin_settings.insert(name.to_owned(), settings);
        }
        assert_eq!(strangers(&config), [], "no folder is known");
        config.plugins = Some(folder.path().to_owned());
        let told: Vec<String> = strangers(&config).iter().map(ToString::to_string).collect();
        let path = folder.path().display();
        assert_eq!(
            told,
            [
                format!("there are settings for [plugins.quiet], but no quiet.wasm in {path}"),
                format!(
                    "there are settings for [plugins.wordlst], but no wordlst.wasm in {path}; did you mean [plugins.wordlist]?"
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_folder_is_told_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config = Config::new(file.path().to_owned());
        let told = preflight(&config).unwrap_err().to_string();
        assert!(
            told.contains("not a folder") && told.contains("--data"),
            "{told}"
        );
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
