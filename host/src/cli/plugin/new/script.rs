//! A new plugin in Python or JavaScript: logic and its tests, the bindings, the interface, golden cases, and how it is
//! built.
//!
//! A template holds several files, each under a line `@@ FILE`. That of a role has parts of them, each under a line
//! `@@ FILE SLOT`, which go where the slot's name stands in the file.

use std::path::Path;
use std::{fs, io};

use super::Role;

/// The interface, as this program has it.
const INTERFACE: &str = include_str!("../../../../../wit/1.0/plugin.wit");

/// The templates of a language.
pub(super) struct Script {
    base: &'static str,
    role: fn(Role, bool) -> &'static str,
    /// Files that are written as they are, but for the name of the plugin whose they are here.
    pinned: &'static [(&'static str, &'static str, &'static str)],
    /// What to type next, between `cd` and the tools of the host.
    next: &'static [&'static str],
}

pub(super) const PYTHON: Script = Script {
    base: include_str!("../templates/python/base.txt"),
    role: |role, has_timers| match role {
        Role::Moderation => include_str!("../templates/python/moderation.txt"),
        Role::Commands if has_timers => include_str!("../templates/python/commands_timers.txt"),
        Role::Commands => include_str!("../templates/python/commands.txt"),
        Role::Formatting => include_str!("../templates/python/formatting.txt"),
        Role::Review => include_str!("../templates/python/review.txt"),
        Role::Timers => include_str!("../templates/python/timers.txt"),
    },
    pinned: &[(
        "requirements.txt",
        include_str!("../../../../../plugins/python/requirements.txt"),
        "",
    )],
    next: &["python3 -m unittest", "sh build.sh"],
};

pub(super) const JAVASCRIPT: Script = Script {
    base: include_str!("../templates/javascript/base.txt"),
    role: |role, has_timers| match role {
        Role::Moderation => include_str!("../templates/javascript/moderation.txt"),
        Role::Commands if has_timers => include_str!("../templates/javascript/commands_timers.txt"),
        Role::Commands => include_str!("../templates/javascript/commands.txt"),
        Role::Formatting => include_str!("../templates/javascript/formatting.txt"),
        Role::Review => include_str!("../templates/javascript/review.txt"),
        Role::Timers => include_str!("../templates/javascript/timers.txt"),
    },
    pinned: &[(
        "package-lock.json",
        include_str!("../../../../../plugins/javascript/package-lock.json"),
        "\"shout\"",
    )],
    next: &["npm test", "npm ci", "npm run build"],
};

/// What to type next.
pub(super) fn next(shown: &str, name: &str, script: &Script) -> String {
    let mut words = format!("made {shown}. Next:\n  cd {shown}\n");
    for line in script.next {
        words += &format!("  {line}\n");
    }
    words
        + &format!(
            "  chat-host plugin test {name}.wasm cases.toml\n  cp {name}.wasm PLUGINS   # the folder of a running server\n"
        )
}

/// # Errors
/// Where a file can't be written.
pub(super) fn write(folder: &Path, name: &str, script: &Script, roles: &[Role]) -> io::Result<()> {
    let put = |file: &str, content: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, content)
    };
    let named = |text: &str| {
        text.replace("VERB", &super::verb(name))
            .replace("NAME", name)
    };
    let has_timers = roles.contains(&Role::Timers);
    let parts: Vec<&str> = roles
        .iter()
        .map(|role| (script.role)(*role, has_timers))
        .collect();
    for (file, content) in sections(script.base) {
        let slot = |slot: &str| -> String {
            let head = format!("{file} {slot}");
            let parts = parts.iter().flat_map(|part| sections(part));
            parts
                .filter(|(name, _)| *name == head)
                .map(|(_, part)| part)
                .collect()
        };
        let filled = content
            .replace("IMPORTS\n", &slot("IMPORTS"))
            .replace("PARTS\n", &slot("PARTS"))
            .replace("COMMAND", slot("COMMAND").trim_end());
        put(file, &named(&filled))?;
    }
    for (file, content, whose) in script.pinned {
        let content = if whose.is_empty() {
            (*content).to_owned()
        } else {
            content.replace(whose, &format!("\"{name}\""))
        };
        put(file, &content)?;
    }
    put("wit/deps/chat-plugin/plugin.wit", INTERFACE)?;
    put("wit/world.wit", &named(&world(roles)))?;
    put("cases.toml", &named(&cases(roles)))
}

/// What the plugin uses of the interface.
fn world(roles: &[Role]) -> String {
    let mut lines = vec!["  export chat:plugin/plugin@1.0.0;".to_owned()];
    let has = |role| roles.contains(&role);
    if has(Role::Commands) && !has(Role::Timers) {
        lines.insert(0, "  import chat:plugin/state@1.0.0;".into());
    }
    lines.extend(
        roles
            .iter()
            .map(|role| format!("  export chat:plugin/{}@1.0.0;", role.word())),
    );
    format!(
        "// What `NAME` is: of the plugin interface, the parts that it uses. What is not named here the component can't call.\npackage local:plugin;\n\nworld ours {{\n{}\n}}\n",
        lines.join("\n")
    )
}

/// Golden cases of these roles, the same in every language. A timer is seen through the command that sets it.
fn cases(roles: &[Role]) -> String {
    let has_timers = roles.contains(&Role::Timers);
    let of = |role: &Role| match role {
        Role::Moderation => include_str!("../templates/cases/moderation.toml"),
        Role::Commands if has_timers => include_str!("../templates/cases/commands_timers.toml"),
        Role::Commands => include_str!("../templates/cases/commands.toml"),
        Role::Formatting => include_str!("../templates/cases/formatting.toml"),
        Role::Review => include_str!("../templates/cases/review.toml"),
        Role::Timers => "",
    };
    let mut all = include_str!("../templates/cases/base.toml").to_owned();
    all.extend(roles.iter().map(of));
    all
}

/// A template's parts: what follows `@@ `, and the lines below it.
fn sections(template: &str) -> impl Iterator<Item = (&str, &str)> {
    template
        .split("@@ ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
}
