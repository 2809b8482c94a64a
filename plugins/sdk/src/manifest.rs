//! What a plugin says it is.

/// A command as people type it: `/name`, then what `usage` shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command {
    /// 1–32 lower-case letters, digits and `-`, without the slash.
    pub name: String,
    /// What may follow the name, e.g. `NAME TEXT`; may be empty. At most 128 bytes.
    pub usage: String,
    /// One line, at most 256 bytes.
    pub summary: String,
}

/// What a plugin says it is. Must be the same at every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The stem of the component's file name. It keys the plugin's state and outlives its versions.
    pub name: String,
    /// Any text of 1–64 bytes; semver by custom.
    pub version: String,
    /// At most 64; empty without the role `commands`.
    pub commands: Vec<Command>,
    /// Order within a role: lower first, then by name. The operator's setting goes before it.
    pub priority: i32,
    /// The largest batch this plugin wants (1 to 256); 0 leaves it to the host.
    pub batch: u32,
}

impl Manifest {
    /// A plugin without commands, of priority 0, that leaves the batch to the host.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Manifest {
            name: name.into(),
            version: version.into(),
            commands: Vec::new(),
            priority: 0,
            batch: 0,
        }
    }

    /// The manifest with one more command.
    #[must_use]
    pub fn command(
        mut self,
        name: impl Into<String>,
        usage: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        self.commands.push(Command {
            name: name.into(),
            usage: usage.into(),
            summary: summary.into(),
        });
        self
    }

    /// The manifest with this priority.
    #[must_use]
    pub fn priority(self, priority: i32) -> Self {
        Manifest { priority, ..self }
    }
}
