//! Addresses in running text: where a client could see one, and which part of it is the host.

/// The hosts of all `http://…` and `https://…` in `text`. They do not overlap.
pub(crate) fn hosts(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").filter_map(|(colon, mark)| {
        let before = text.get(..colon)?.as_bytes();
        let is = |scheme: &[u8]| {
            let start = before.len().checked_sub(scheme.len());
            start
                .and_then(|start| before.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(scheme))
        };
        if !is(b"http") && !is(b"https") {
            return None;
        }
        let found = bare(host(text.get(colon + mark.len()..)?));
        (!found.is_empty()).then_some(found)
    })
}

/// The host in what follows `https://`: neither the user before it nor the port behind it.
pub(crate) fn host(rest: &str) -> &str {
    let ends = |letter: char| {
        matches!(letter, '/' | '?' | '#' | '\\' | '<' | '>' | '"' | '`')
            || letter.is_whitespace()
            || letter.is_control()
    };
    let authority = rest.split(ends).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.starts_with('[') {
        // An address of version 6 has colons.
        return host.split_inclusive(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

/// The host without what a sentence puts behind it: marks, or a particle as in `example.com에서`.
pub(crate) fn bare(host: &str) -> &str {
    if host.starts_with('[') {
        return host;
    }
    let is_mark = |letter: char| {
        letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"-._%~".contains(letter)
    };
    let host = host.split(is_mark).next().unwrap_or_default();
    let host = host.trim_end_matches(|letter: char| !letter.is_alphanumeric());
    let top = host.rsplit(is_dot).next().unwrap_or_default();
    // No top-level domain mixes ASCII with other letters.
    match top.find(|letter: char| !letter.is_ascii()) {
        Some(particle) if particle > 0 => host
            .get(..host.len() - top.len() + particle)
            .unwrap_or(host),
        _ => host,
    }
}

/// The dots of domains: what browsers take for one.
pub(crate) fn is_dot(letter: char) -> bool {
    matches!(letter, '.' | '。' | '．' | '｡')
}
