//! What can be wrong with settings, told to the person who made them.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag, with its dashes.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A line of a file, counted from 1.
    File(PathBuf, usize),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such key.
    #[error("{at}: there is no key `{name}`{}", meant(.nearest))]
    UnknownKey {
        /// Where it is written.
        at: Source,
        /// As it is written, with what it is in.
        name: String,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// A variable begins like ours and is none.
    #[error("there is no variable {name}{}", meant(.nearest))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// The value is not allowed.
    #[error("{at}: `{key}` is {value}; allowed is {allowed}")]
    Value {
        /// Where it is written.
        at: Source,
        /// The key, with dots.
        key: String,
        /// As it is written.
        value: String,
        /// What the key's rule allows.
        allowed: String,
    },
    /// A key is there twice, in two spellings.
    #[error("{at}: `{key}` is there already; leave one of both")]
    Twice {
        /// The second one.
        at: Source,
        /// The key.
        key: String,
    },
    /// The folder of the plugins as `plugins = "DIR"`, and a table of a plugin besides.
    #[error(
        "{at}: `plugins = \"DIR\"` and `[plugins.NAME]` exclude each other, for TOML has one value a name; keep the tables, and write the folder as `folder = \"DIR\"` below `[plugin]`"
    )]
    PluginsTwice {
        /// The table.
        at: Source,
    },
    /// The file is not TOML.
    #[error("{at}: {message}")]
    Syntax {
        /// Where.
        at: Source,
        /// What the parser says.
        message: String,
    },
    /// The file can't be read.
    #[error("the settings file {} can't be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no place for the data.
    #[error(
        "no folder for the data: neither XDG_DATA_HOME nor HOME is set; say --data DIR, or --memory to keep nothing"
    )]
    NoData,
}

fn meant(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

/// All that is wrong, so that it can be put right at once.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
