//! The plugins' folder: one component a plugin, each replaced whole or not at all.
//!
//! A server may be watching the folder, so an unchanged component is not touched, and a changed one appears under its
//! name in one step.

use std::fs;
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
    if plugins.is_empty() {
        return Ok(());
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
    for plugin in plugins {
        let to = folder.join(format!("{}.wasm", plugin.package));
        if publish(&built.join(format!("{}.wasm", plugin.library)), &to)? {
            process::step(&format!("new: {}", as_typed(&to).display()));
        }
    }
    Ok(())
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
