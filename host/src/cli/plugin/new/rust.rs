//! A new plugin in Rust: a crate that depends on the SDK.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Role;

/// Where the SDK was when this program was built: on the machine of whoever builds it, plugins need no network.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/sdk");

/// The folder of the SDK: the one that is named, or the one that this program was built with.
///
/// # Errors
/// Where it is not there.
pub(super) fn sdk(named: Option<&Path>) -> Result<PathBuf, String> {
    let sdk = named.unwrap_or(Path::new(SDK));
    fs::canonicalize(sdk)
        .ok()
        .filter(|sdk| sdk.join("Cargo.toml").is_file())
        .ok_or_else(|| {
            format!(
                "the SDK is not in {}; name the folder `plugins/sdk` of chat-host's sources with --sdk",
                sdk.display()
            )
        })
}

/// What to type next.
pub(super) fn next(shown: &str, name: &str, roles: &[Role]) -> String {
    let file = name.replace('-', "_");
    let judges = roles.contains(&Role::Moderation);
    let speaks = roles.contains(&Role::Commands) || roles.contains(&Role::Timers);
    let text = match (judges, speaks) {
        (false, true) => format!("/{} 60 tea", super::verb(name)),
        _ => "HELLO EVERYBODY".to_owned(),
    };
    format!(
        "made {shown}. Next:\n  cd {shown}\n  cargo test\n  cargo build --release --target wasm32-wasip2\n  chat-host plugin run target/wasm32-wasip2/release/{file}.wasm --text '{text}'\n  cp target/wasm32-wasip2/release/{file}.wasm PLUGINS/{name}.wasm   # the folder of a running server\n"
    )
}

pub(super) fn write(folder: &Path, name: &str, sdk: &Path, roles: &[Role]) -> io::Result<()> {
    let library = name.replace('-', "_");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join(".gitignore"), "/target\n")?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "{}\n[dependencies]\nchat-plugin = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\n# Not a member of a workspace that it may lie in.\n[workspace]\n",
            include_str!("../templates/Cargo.toml")
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
                include_str!("../templates/moderation.rs.txt"),
                include_str!("../templates/moderation_test.rs.txt"),
            ),
            Role::Commands if has(Role::Timers) => (
                &["Call", "Commands", "Effect", "Timer"],
                include_str!("../templates/commands_timers.rs.txt"),
                include_str!("../templates/commands_timers_test.rs.txt"),
            ),
            Role::Commands => (
                &["Call", "Commands", "Effect"],
                include_str!("../templates/commands.rs.txt"),
                include_str!("../templates/commands_test.rs.txt"),
            ),
            Role::Formatting => (
                &["Body", "Formatting", "Item", "Run"],
                include_str!("../templates/formatting.rs.txt"),
                include_str!("../templates/formatting_test.rs.txt"),
            ),
            Role::Review => (
                &["Body", "Item", "Judgement", "Review", "State"],
                include_str!("../templates/review.rs.txt"),
                include_str!("../templates/review_test.rs.txt"),
            ),
            Role::Timers => (
                &["Effect", "RoomId", "State", "Timer", "Timers"],
                include_str!("../templates/timers.rs.txt"),
                include_str!("../templates/timers_test.rs.txt"),
            ),
        };
        uses.extend(words);
        parts.push(part);
        tests.push(test);
    }
    uses.sort_unstable();
    uses.dedup();
    let exported: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    let command = if has(Role::Timers) {
        ".command(\"VERB\", \"SECONDS TEXT\", \"Says the text later\")"
    } else if has(Role::Commands) {
        ".command(\"VERB\", \"[TEXT]\", \"Counts how often it was called in this room\")"
    } else {
        ""
    };
    include_str!("../templates/lib.rs.txt")
        .replace("USES", &uses.join(", "))
        .replace("COMMAND", command)
        .replace("PARTS", &parts.join("\n"))
        .replace("ROLES", &exported.join(", "))
        .replace("TESTS", &tests.join("\n"))
        .replace("VERB", &super::verb(name))
        .replace("NAME", name)
}
