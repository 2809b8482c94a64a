//! The plugins' folder: one component a plugin, each replaced whole or not at all.
//!
//! A server may be watching the folder, so an unchanged component is not touched, and a changed one appears under its
//! name in one step. A component whose crate is gone is taken out again, unless somebody else has put a file there.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::manifest::Manifest;
use crate::process;
use crate::workspace::{Workspace, as_typed};

/// Builds all plugins and puts them into the plugins' folder. The target has to be installed.
///
/// # Errors
/// When one does not build or can't be put there.
pub fn build(workspace: &Workspace, crates: &[Manifest]) -> Result<()> {
    let plugins: Vec<_> = crates
        .iter()
        .filter(|manifest| manifest.is_component)
        .collect();
    let folder = workspace.plugins();
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let list = workspace.scratch()?.join("components");
    let earlier = Published::read(&list);
    if plugins.is_empty() {
        return take_out(&folder, &earlier, &list, Published::default());
    }
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--target", crate::wasip2::TARGET]);
    cargo.args(
        plugins
            .iter()
            .flat_map(|plugin| ["--package", plugin.package.as_str()]),
    );
    process::build("building the plugins", &mut cargo)?;

    let built = workspace.target.join(crate::wasip2::TARGET).join("release");
    let mut published = Published::default();
    for plugin in plugins {
        settings(plugin, &folder, &mut published)?;
        let name = format!("{}.wasm", plugin.package);
        let to = folder.join(&name);
        if publish(&built.join(format!("{}.wasm", plugin.library)), &to)? {
            process::step(&format!("new: {}", as_typed(&to).display()));
        }
        published.0.insert(name, hash(&to).unwrap_or_default());
    }
    take_out(&folder, &earlier, &list, published)
}

/// Puts the settings that a plugin comes with beside it, before it is there itself. Those that are there are the
/// operator's, and stay.
fn settings(plugin: &Manifest, folder: &Path, published: &mut Published) -> Result<()> {
    let name = format!("{}.toml", plugin.package);
    let (from, to) = (plugin.folder.join(&name), folder.join(&name));
    if !from.exists() {
        return Ok(());
    }
    if !to.exists() && publish(&from, &to)? {
        process::step(&format!("new: {}", as_typed(&to).display()));
    }
    published.0.insert(name, hash(&from).unwrap_or_default());
    Ok(())
}

/// What was put into the folder: names of files, and a hash of what they held.
#[derive(Debug, Default, PartialEq, Eq)]
struct Published(BTreeMap<String, u64>);

impl Published {
    /// What can't be read is forgotten; then nothing is taken out.
    fn read(list: &Path) -> Self {
        let text = fs::read_to_string(list).unwrap_or_default();
        let entry = |line: &str| {
            let (hash, name) = line.split_once(' ')?;
            Some((name.to_owned(), hash.parse().ok()?))
        };
        Self(text.lines().filter_map(entry).collect())
    }

    fn write(&self, list: &Path) -> Result<()> {
        let lines = self.0.iter().map(|(name, hash)| format!("{hash} {name}\n"));
        fs::write(list, lines.collect::<String>())
            .with_context(|| format!("writing {}", list.display()))
    }
}

/// Removes what was published earlier and is not any more, where it is still what was published; keeps the new list.
fn take_out(folder: &Path, earlier: &Published, list: &Path, published: Published) -> Result<()> {
    for (name, was) in &earlier.0 {
        let path = folder.join(name);
        if !published.0.contains_key(name) && hash(&path) == Some(*was) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            process::step(&format!("gone: {}", as_typed(&path).display()));
        }
    }
    published.write(list)
}

fn hash(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

/// Returns whether there was anything new.
fn publish(from: &Path, to: &Path) -> Result<bool> {
    let content = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    // What can't be read is as good as absent: it is replaced.
    if fs::read(to).is_ok_and(|published| published == content) {
        return Ok(false);
    }
    let unfinished = unfinished(to);
    fs::write(&unfinished, &content)
        .with_context(|| format!("writing {}", unfinished.display()))?;
    fs::rename(&unfinished, to).with_context(|| format!("replacing {}", to.display()))?;
    Ok(true)
}

/// In the same folder, for a rename across file systems is not atomic; not ending in `.wasm`, which a server would load.
fn unfinished(to: &Path) -> PathBuf {
    to.with_extension(format!("wasm.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_without_its_crate_is_taken_out_and_nobody_elses_file() {
        let folder = std::env::temp_dir().join(format!("xtask-taken-out-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let list = folder.join("list");
        let mut earlier = Published::default();
        for name in ["stays.wasm", "goes.wasm", "replaced.wasm"] {
            fs::write(folder.join(name), name).unwrap();
            let hash = hash(&folder.join(name)).unwrap();
            earlier.0.insert(name.to_owned(), hash);
        }
        earlier.write(&list).unwrap();
        assert_eq!(Published::read(&list), earlier);
        fs::write(folder.join("replaced.wasm"), "the user's").unwrap();
        fs::write(folder.join("own.wasm"), "the user's").unwrap();

        let hash = earlier.0["stays.wasm"];
        let now = || Published([("stays.wasm".to_owned(), hash)].into());
        take_out(&folder, &Published::read(&list), &list, now()).unwrap();

        let there = |name: &str| folder.join(name).exists();
        assert!(!there("goes.wasm"));
        assert!(there("stays.wasm") && there("replaced.wasm") && there("own.wasm"));
        assert_eq!(Published::read(&list), now());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_what_changed_is_replaced() {
        let folder = std::env::temp_dir().join(format!("xtask-components-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("built"), folder.join("echo.wasm"));

        fs::write(&from, "one").unwrap();
        assert!(publish(&from, &to).unwrap());
        assert!(!publish(&from, &to).unwrap());
        fs::write(&from, "two").unwrap();
        assert!(publish(&from, &to).unwrap());

        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            2,
            "an unfinished file was left"
        );
        assert_ne!(unfinished(&to).extension().unwrap(), "wasm");
        fs::remove_dir_all(&folder).unwrap();
    }
}
