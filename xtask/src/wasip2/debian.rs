//! Debian's packages of Rust's source and of the C library for WebAssembly, without installing them.
//!
//! Apt is run with a configuration, lists and cache of our own, so the machine's packages and package state stay as they
//! are and no rights are needed. What the machine says of proxies and credentials still counts, and signatures are
//! checked. A machine that was installed before the release we need may lack its keys; they come in a newer keyring
//! package of the machine's own release, which the keys it has vouch for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use super::{TARGET, mirrors};
use crate::process;

/// Where Rust's source is packaged soon after each release of Rust; the packages fit every Debian, being only data.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];

/// The keys of all releases, once it is recent enough.
const KEYRING: &str = "usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacked packages.
pub struct Sources {
    /// The folder with Rust's `library`.
    pub rust: PathBuf,
    /// The folder with the target's `libc.a` and `crt1*.o`.
    pub libc: PathBuf,
}

/// Gets the source of Rust `release` and the C library, unpacked below `work`.
///
/// # Errors
/// When this is not a Debian-like machine, or no mirror has them, with the reason of each mirror.
pub fn fetch(release: &str, work: &Path) -> Result<Sources> {
    for tool in ["apt-get", "dpkg-deb"] {
        process::text(Command::new(tool).arg("--version")).context("not a Debian-like system")?;
    }
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = os
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or_default();
    let codename = codename.trim_matches('"');
    let mut reasons = Vec::new();
    for mirror in mirrors::configured(Path::new("/etc/apt"), codename) {
        match from_mirror(&mirror, codename, release, work) {
            Ok(sources) => return Ok(sources),
            Err(reason) => reasons.push(format!("{mirror}: {reason:#}")),
        }
    }
    Err(anyhow!("{}", reasons.join("; ")))
}

fn from_mirror(mirror: &str, codename: &str, release: &str, work: &Path) -> Result<Sources> {
    let apt = Apt::new(work)?;
    let keys = Path::new("/").join(KEYRING);
    let keys = keys.exists().then_some(keys);
    if let Err(reason) = apt.update(mirror, &SUITES, keys.as_deref()) {
        let newer = apt
            .newer_keys(mirror, codename, keys.as_deref())
            .context(reason)?;
        apt.update(mirror, &SUITES, Some(&newer))?;
    }
    let versions = apt.versions("rust-src")?;
    let version = versions
        .iter()
        .find(|version| version.starts_with(&format!("{release}+")));
    let version =
        version.with_context(|| format!("no rust-src {release}, only {}", versions.join(", ")))?;
    let rust = apt
        .unpack("rust-src", Some(version))?
        .join("usr/src")
        .join(format!("rustc-{release}"));
    // The newest, which is nearest to the one that a recent Rust is tested with.
    let libc = apt
        .unpack("wasi-libc", apt.versions("wasi-libc")?.first())?
        .join("usr/lib")
        .join(TARGET);
    Ok(Sources { rust, libc })
}

/// An apt that leaves the machine's own alone.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(work: &Path) -> Result<Self> {
        let folder = work.join("apt");
        for name in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("status"), "")?;
        let here = folder.display();
        // Cleared are the machine's hooks, which would act on its own state; skipped are files that we don't read.
        let conf = format!(
            "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n#clear DPkg::Post-Invoke;\n\
             Dir::State \"{here}/state\";\nDir::State::lists \"{here}/state/lists\";\n\
             Dir::State::status \"{here}/status\";\nDir::Cache \"{here}/cache\";\n\
             Dir::Etc::SourceList \"{here}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
             APT::Sandbox::User \"root\";\nAPT::Update::Error-Mode \"any\";\nAcquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::Retries \"2\";\nAcquire::http::Timeout \"30\";\nAcquire::https::Timeout \"30\";\n"
        );
        fs::write(folder.join("apt.conf"), conf)?;
        Ok(Self { folder })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .arg("-c")
            .arg(self.folder.join("apt.conf"));
        command
    }

    /// Reads what the suites offer. Without a keyring, the keys that apt trusts anyway count.
    fn update(&self, mirror: &str, suites: &[&str], keys: Option<&Path>) -> Result<()> {
        let option = keys
            .map(|keys| format!("[signed-by={}] ", keys.display()))
            .unwrap_or_default();
        let lines = suites
            .iter()
            .map(|suite| format!("deb {option}{mirror} {suite} main\n"));
        fs::write(self.folder.join("sources.list"), lines.collect::<String>())?;
        process::text(self.command("apt-get").args(["-q", "update"])).map(drop)
    }

    /// The keyring that the machine's own release has by now.
    fn newer_keys(&self, mirror: &str, codename: &str, keys: Option<&Path>) -> Result<PathBuf> {
        self.update(mirror, &[codename], keys)?;
        Ok(self.unpack("debian-archive-keyring", None)?.join(KEYRING))
    }

    /// Newest first.
    fn versions(&self, package: &str) -> Result<Vec<String>> {
        let told = process::text(self.command("apt-cache").args(["madison", package]))?;
        Ok(versions(&told))
    }

    fn unpack(&self, package: &str, version: Option<&String>) -> Result<PathBuf> {
        let what = version.map_or_else(
            || package.to_owned(),
            |version| format!("{package}={version}"),
        );
        process::text(self.command("apt-get").args(["-q", "download", &what]))?;
        let files = fs::read_dir(&self.folder)?
            .flatten()
            .map(|entry| entry.path());
        let prefix = format!("{package}_");
        let is_it = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        };
        let file = files
            .into_iter()
            .find(is_it)
            .with_context(|| format!("apt-get left no file of {package}"))?;
        let folder = self.folder.join(package);
        process::text(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&folder))?;
        fs::remove_file(&file)?;
        Ok(folder)
    }
}

/// ` rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages`
fn versions(madison: &str) -> Vec<String> {
    madison
        .lines()
        .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_the_second_column() {
        let told = "  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://x trixie-backports/main amd64 Packages\n  \
                    rust-src | 1.85.1+dfsg1-1 | http://x trixie/main amd64 Packages\n";
        assert_eq!(versions(told), ["1.96.1+dfsg1-2~bpo13+1", "1.85.1+dfsg1-1"]);
        assert!(versions("").is_empty());
    }
}
