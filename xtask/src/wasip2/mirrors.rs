//! Which Debian mirrors this machine uses, from its apt sources in either of their two formats.

use std::fs;
use std::path::Path;

/// Tried when no configured mirror answers.
const EVERYWHERE: &str = "http://deb.debian.org/debian";

/// The mirrors to try, most promising first. `codename` is the machine's release, e.g. `bookworm`.
pub fn configured(apt: &Path, codename: &str) -> Vec<String> {
    let mut files = vec![apt.join("sources.list")];
    let parts = fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten();
    files.extend(parts.map(|entry| entry.path()));
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(from_lines(&text, codename)),
            Some("sources") => found.extend(from_stanzas(&text, codename)),
            _ => {}
        }
    }
    // Others name their suites after Debian's; a mirror of Debian is at a path of that name nearly always.
    found.sort_by_key(|uri| !uri.ends_with("/debian"));
    found.push(EVERYWHERE.to_owned());
    let mut mirrors: Vec<String> = Vec::new();
    for uri in found {
        if !mirrors.contains(&uri) {
            mirrors.push(uri);
        }
    }
    mirrors
}

/// `deb [signed-by=/a/key] http://deb.debian.org/debian bookworm main`
fn from_lines(text: &str, codename: &str) -> Vec<String> {
    let mirror = |line: &str| {
        let rest = line.trim().strip_prefix("deb")?;
        let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
        let rest = if rest.starts_with('[') {
            rest.split_once(']')?.1
        } else {
            rest
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        (suite == codename && words.any(|component| component == "main"))
            .then(|| usable(uri))
            .flatten()
    };
    text.lines().filter_map(mirror).collect()
}

/// The deb822 format: stanzas of `Key: value`, a value going on in lines that begin with a blank.
fn from_stanzas(text: &str, codename: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let has = |key: &str, word: &str| {
            field(stanza, key).any(|value| value.eq_ignore_ascii_case(word))
        };
        if has("Types", "deb")
            && has("Suites", codename)
            && has("Components", "main")
            && !has("Enabled", "no")
        {
            found.extend(field(stanza, "URIs").filter_map(usable));
        }
    }
    found
}

/// The words of one field.
fn field<'a>(stanza: &'a [&'a str], key: &str) -> impl Iterator<Item = &'a str> {
    let mut inside = false;
    let values = stanza.iter().filter_map(move |line| {
        if line.starts_with([' ', '\t']) {
            return inside.then_some(*line);
        }
        let (name, value) = line.split_once(':')?;
        inside = name.trim().eq_ignore_ascii_case(key);
        inside.then_some(value)
    });
    values.flat_map(str::split_whitespace)
}

/// Cdroms and files have no other release on them.
fn usable(uri: &str) -> Option<String> {
    ["http://", "https://"]
        .iter()
        .any(|scheme| uri.starts_with(scheme))
        .then(|| uri.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_release_give_its_mirror() {
        let text = "# deb http://old.example/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/a/key.gpg] https://mirror.example/debian/ bookworm main contrib\n\
                    deb http://mirror.example/debian-security bookworm-security main\n\
                    deb-src http://source.example/debian bookworm main\n\
                    deb cdrom:[Debian 12]/ bookworm main\n\
                    deb https://docker.example/linux/debian bookworm stable\n";
        assert_eq!(
            from_lines(text, "bookworm"),
            ["https://mirror.example/debian"]
        );
    }

    #[test]
    fn the_stanzas_of_a_release_give_its_mirror() {
        let text = "Types: deb deb-src\n# a snapshot\nURIs: http://one.example/debian\n http://two.example/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /a/key.gpg\n\n\
                    Types: deb\nURIs: http://one.example/debian-security\nSuites: bookworm-security\n\
                    Components: main\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n";
        assert_eq!(
            from_stanzas(text, "bookworm"),
            ["http://one.example/debian", "http://two.example/debian"]
        );
    }

    #[test]
    fn debians_own_come_first_and_everybodys_last() {
        let apt = std::env::temp_dir().join(format!("xtask-mirrors-{}", std::process::id()));
        fs::create_dir_all(apt.join("sources.list.d")).unwrap();
        let mirror = "deb http://mirror.example/debian bookworm main\n";
        fs::write(
            apt.join("sources.list"),
            format!("deb http://a.example bookworm main\n{mirror}"),
        )
        .unwrap();
        fs::write(apt.join("sources.list.d/more.list"), mirror).unwrap();
        fs::write(
            apt.join("sources.list.d/off.list.disabled"),
            "deb http://off.example/debian bookworm main",
        )
        .unwrap();

        let mirrors = configured(&apt, "bookworm");

        fs::remove_dir_all(&apt).unwrap();
        assert_eq!(
            mirrors,
            [
                "http://mirror.example/debian",
                "http://a.example",
                EVERYWHERE
            ]
        );
    }
}
