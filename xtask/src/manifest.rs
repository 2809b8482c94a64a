//! The plugin crates: what `plugins/*/Cargo.toml` says of them.
//!
//! Reads the few keys it needs line by line; a TOML parser would be most of xtask's compile time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// One crate below `plugins/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Where the crate is.
    pub folder: PathBuf,
    /// The package's name; the plugin's too.
    pub package: String,
    /// What cargo calls the built library, without an extension.
    pub library: String,
    /// Whether it makes a component; the SDK, for one, does not.
    pub is_component: bool,
}

/// All crates below `plugins`, by name.
///
/// # Errors
/// When the folder or a manifest can't be read.
pub fn all(plugins: &Path) -> Result<Vec<Manifest>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(plugins).with_context(|| format!("reading {}", plugins.display()))? {
        let path = entry?.path().join("Cargo.toml");
        if path.is_file() {
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let mut manifest =
                read(&text).with_context(|| format!("{} names no package", path.display()))?;
            manifest.folder = path.parent().unwrap_or(plugins).to_owned();
            found.push(manifest);
        }
    }
    found.sort_by(|a, b| a.package.cmp(&b.package));
    Ok(found)
}

fn read(text: &str) -> Option<Manifest> {
    let package = quoted(section(text, "[package]").find_map(|line| value(line, "name"))?)?;
    let library = section(text, "[lib]")
        .find_map(|line| value(line, "name"))
        .and_then(quoted);
    let is_component = section(text, "[lib]").any(|line| line.contains("\"cdylib\""));
    Some(Manifest {
        folder: PathBuf::new(),
        package: package.to_owned(),
        library: library.map_or_else(|| package.replace('-', "_"), str::to_owned),
        is_component,
    })
}

/// The lines below `heading` up to the next one, without comments. None of the values read here has a `#`.
fn section<'a>(text: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let below = lines.skip_while(move |line| *line != heading).skip(1);
    below.take_while(|line| !line.starts_with('['))
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.trim_start().strip_prefix('=')
}

fn quoted(value: &str) -> Option<&str> {
    value.trim().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_a_cdylib() {
        let text = "[package]\nname = \"word-list\" # the stem\nversion.workspace = true\n\n\
                    [lib]\ncrate-type = [\n  \"cdylib\",\n  \"rlib\",\n]\n\n[dependencies]\nname = \"other\"\n";
        let package = "word-list".to_owned();
        let library = "word_list".to_owned();
        assert_eq!(
            read(text),
            Some(Manifest {
                folder: PathBuf::new(),
                package,
                library,
                is_component: true
            })
        );
    }

    #[test]
    fn a_library_keeps_its_own_name_and_is_no_plugin() {
        let text =
            "[package]\nname=\"chat-plugin\"\n[lib]\nname = \"sdk\"\n# crate-type = [\"cdylib\"]\n";
        let package = "chat-plugin".to_owned();
        let library = "sdk".to_owned();
        assert_eq!(
            read(text),
            Some(Manifest {
                folder: PathBuf::new(),
                package,
                library,
                is_component: false
            })
        );
    }

    #[test]
    fn a_manifest_without_a_package_is_nothing() {
        assert_eq!(read("[workspace]\nname = \"x\"\n"), None);
    }
}
