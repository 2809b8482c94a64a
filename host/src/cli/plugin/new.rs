//! `chat-host plugin new`: a project that builds and passes its own tests at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::super::exit::{Exit, complain};

/// Where the SDK was when this program was built: on the machine of whoever builds it, plugins need no network.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/sdk");

/// What `chat-host plugin new` is given.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The plugin's name: 1 to 64 lower-case letters, digits, `-` and `_`, a letter first
    #[arg(value_name = "NAME")]
    name: String,
    /// What it does, one or more, with commas
    #[arg(
        long,
        value_name = "ROLES",
        value_delimiter = ',',
        default_value = "moderation"
    )]
    role: Vec<Role>,
    /// The folder to make; ./NAME without this
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The folder of the SDK `chat-plugin`, where this program can't find it
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// What a plugin may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Role {
    /// Judges each message
    Moderation,
    /// Answers commands
    Commands,
    /// Lays out bodies
    Formatting,
    /// Judges what members would read
    Review,
    /// Is called when its timers are due
    Timers,
}

pub(super) fn run(args: &NewArgs) -> ExitCode {
    match make(args) {
        Ok(words) => super::super::print(&words),
        Err(words) => {
            complain(&words);
            Exit::Usage.into()
        }
    }
}

fn make(args: &NewArgs) -> Result<String, String> {
    let name = args.name.as_str();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || name.len() > 64
        || !name.chars().all(good)
    {
        return Err(format!(
            "`{name}` can't be a plugin's name: 1 to 64 lower-case letters, digits, `-` and `_`, a letter first"
        ));
    }
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.exists() {
        return Err(format!(
            "{} exists already; name another folder with --dir",
            folder.display()
        ));
    }
    let sdk = args.sdk.clone().unwrap_or_else(|| PathBuf::from(SDK));
    let sdk = fs::canonicalize(&sdk)
        .ok()
        .filter(|sdk| sdk.join("Cargo.toml").is_file())
        .ok_or_else(|| {
            format!(
                "the SDK is not in {}; name the folder `plugins/sdk` of chat-host's sources with --sdk",
                sdk.display()
            )
        })?;
    let mut roles = args.role.clone();
    // A timer is set by a command: one without the other would never be seen.
    if roles.contains(&Role::Timers) {
        roles.push(Role::Commands);
    }
    roles.sort_unstable();
    roles.dedup();
    write(&folder, name, &sdk, &roles)
        .map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
    let file = name.replace('-', "_");
    let shown = folder.display();
    Ok(format!(
        "made {shown}. Next:\n  cd {shown}\n  cargo test\n  cargo build --release --target wasm32-wasip2\n  chat-host plugin run target/wasm32-wasip2/release/{file}.wasm --text 'HELLO EVERYBODY'\n  cp target/wasm32-wasip2/release/{file}.wasm PLUGINS/{name}.wasm   # the folder of a running server\n"
    ))
}

fn write(folder: &Path, name: &str, sdk: &Path, roles: &[Role]) -> std::io::Result<()> {
    let library = name.replace('-', "_");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join(".gitignore"), "/target\n")?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "{}\n[dependencies]\nchat-plugin = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\n# Not a member of a workspace that it may lie in.\n[workspace]\n",
            include_str!("templates/Cargo.toml")
                .replace("NAME", name)
                .replace("LIBRARY", &library),
            sdk.display()
        ),
    )?;
    fs::write(folder.join("src/lib.rs"), source(name, roles))
}

/// The plugin's source: the part that all have, then a part for each role, then a test for each.
fn source(name: &str, roles: &[Role]) -> String {
    let has = |role| roles.contains(&role);
    let mut uses = vec!["Manifest", "Plugin"];
    let mut parts = Vec::new();
    let mut tests = Vec::new();
    for role in roles {
        let (words, part, test): (&[&str], _, _) = match role {
            Role::Moderation => (
                &["Message", "Moderation", "State", "Verdict"],
                include_str!("templates/moderation.rs.txt"),
                include_str!("templates/moderation_test.rs.txt"),
            ),
            Role::Commands if has(Role::Timers) => (
                &["Call", "Commands", "Effect", "Timer"],
                include_str!("templates/commands_timers.rs.txt"),
                include_str!("templates/commands_timers_test.rs.txt"),
            ),
            Role::Commands => (
                &["Call", "Commands", "Effect"],
                include_str!("templates/commands.rs.txt"),
                include_str!("templates/commands_test.rs.txt"),
            ),
            Role::Formatting => (
                &["Body", "Formatting", "Item", "Run"],
                include_str!("templates/formatting.rs.txt"),
                include_str!("templates/formatting_test.rs.txt"),
            ),
            Role::Review => (
                &["Body", "Item", "Judgement", "Review", "State"],
                include_str!("templates/review.rs.txt"),
                include_str!("templates/review_test.rs.txt"),
            ),
            Role::Timers => (
                &["Effect", "RoomId", "State", "Timer", "Timers"],
                include_str!("templates/timers.rs.txt"),
                include_str!("templates/timers_test.rs.txt"),
            ),
        };
        uses.extend(words);
        parts.push(part);
        tests.push(test);
    }
    uses.sort_unstable();
    uses.dedup();
    let exported: Vec<String> = roles
        .iter()
        .filter_map(|role| role.to_possible_value())
        .map(|role| role.get_name().to_owned())
        .collect();
    let command = if has(Role::Timers) {
        ".command(\"NAME\", \"SECONDS TEXT\", \"Says the text later\")"
    } else if has(Role::Commands) {
        ".command(\"NAME\", \"[TEXT]\", \"Counts how often it was called in this room\")"
    } else {
        ""
    };
    include_str!("templates/lib.rs.txt")
        .replace("USES", &uses.join(", "))
        .replace("COMMAND", command)
        .replace("PARTS", &parts.join("\n"))
        .replace("ROLES", &exported.join(", "))
        .replace("TESTS", &tests.join("\n"))
        .replace("NAME", name)
}
