//! Why a version of a plugin is not used, in words for the operator.

use super::Fault;

/// A plugin that does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plugin `{name}` does not load: {reason}")]
pub struct LoadError {
    /// The file's stem.
    pub name: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Its file can't be read.
    #[error("its file can't be read: {0}")]
    Read(String),
    /// Its file is not there any more.
    #[error("its file is gone, or changed while it was read")]
    Gone,
    /// It is required, and its file is not in the folder.
    #[error(
        "it is required, and there is no such file in {0}; put it there, or take it out of `require`"
    )]
    Required(String),
    /// It is required, and disabled.
    #[error("it is required, and disabled; enable it, or take it out of `require`")]
    RequiredDisabled,
    /// Its file is too large.
    #[error("its file has {0} bytes, and at most {max} are read", max = super::folder::FILE_BYTES)]
    TooLarge(u64),
    /// Its file is a link that leads out of the folder.
    #[error("its file is a link that leads out of the plugin folder; put the file itself there")]
    OutsideFolder,
    /// The file's stem can't be a name.
    #[error(
        "a plugin's file name is 1 to 64 lower-case letters, digits, `-` and `_`, then `.wasm`"
    )]
    Name,
    /// Not a component, or one that the compiler refuses.
    #[error("it is not a WebAssembly component that compiles: {0}{remedy}", remedy = remedy(.0))]
    Compile(String),
    /// The compiler could not be run.
    #[error("the compiler can't be run: {0}")]
    Compiler(String),
    /// It compiles, and its code does not fit the sandbox: too many parts, tables or memories.
    #[error("it compiles, but this host can't load it: {0}")]
    Load(String),
    /// It wants what the sandbox does not give.
    #[error("it imports what this host does not give: {0}")]
    Link(String),
    /// It could reach services outside, and may not.
    #[error(
        "it imports `{import}` and has no grant for it; name the hosts that it may reach, as `http = [\"HOST\"]` in {plugin}.toml"
    )]
    Ungranted {
        /// Its name.
        plugin: String,
        /// What it imports.
        import: String,
    },
    /// It is built for an interface that this host does not know.
    #[error(
        "it answers the interface chat:plugin {0}, and this host knows 1.x; build it with chat-plugin 1"
    )]
    Interface(String),
    /// It has a role that this host does not know.
    #[error(
        "it has the role `{0}` of the interface chat:plugin {1}, which this host does not know; update the host"
    )]
    UnknownRole(String, String),
    /// A component, but no plugin.
    #[error(
        "it does not export chat:plugin/plugin, so it is not a plugin; build it with chat-plugin 1"
    )]
    NotAPlugin,
    /// It would never be called.
    #[error(
        "it has no role: export at least one of moderation, commands, formatting, review and timers"
    )]
    NoRole,
    /// What it says of itself breaks the interface.
    #[error("what it says of itself is wrong: {0}")]
    Manifest(String),
    /// Its settings can't be used.
    #[error("its settings can't be used: {0}")]
    Settings(String),
    /// `start` returned an error.
    #[error("it does not start: {0}")]
    Start(String),
    /// It failed while it was described, started or tried.
    #[error("it fails when it is tried: {0}")]
    Fault(#[from] Fault),
    /// It lacks roles of the version it would replace.
    #[error("it lacks {0}, which the version before it has; set `may-lose-roles` if that is meant")]
    LosesRoles(String),
}

/// What to do about a file that is no component.
fn remedy(told: &str) -> &'static str {
    if told.contains("component parser") {
        "; it is a core module: build it for the target wasm32-wasip2, or make a component of it"
    } else if told.contains("magic number") || told.contains("unexpected end-of-file") {
        "; it is no WebAssembly, or not all of it: build it again, and copy it whole"
    } else {
        ""
    }
}
