//! What a link's text says of where it leads: the domains that it names.

use crate::address::{self, is_dot};
use crate::host::Host;

/// Endings that make a word a domain though nothing else does. Countries have two letters.
const TOPS: [&str; 24] = [
    "app", "biz", "blog", "cloud", "club", "com", "dev", "edu", "gov", "info", "int", "live",
    "mil", "name", "net", "news", "online", "org", "page", "shop", "site", "store", "tech", "xyz",
];
/// Countries whose ending is more often that of a file.
const FILES: [&str; 12] = [
    "cc", "cs", "gz", "js", "md", "pl", "ps", "py", "rs", "sh", "so", "ts",
];

/// The hosts that `text` names.
pub(crate) fn hosts(text: &str) -> impl Iterator<Item = Host> {
    text.split(is_between)
        .filter(|word| word.contains(is_dot))
        .filter_map(|word| {
            let (word, is_sure) = match word.find("://") {
                Some(scheme) => (word.get(scheme + 3..)?, true),
                None => (word, false),
            };
            let host = Host::typed(address::bare(address::host(word))).ok()?;
            let is_domain = host.ascii.contains('.')
                && (is_sure || host.ascii.starts_with("www.") || has_top(&host.ascii));
            is_domain.then_some(host)
        })
}

/// What stands between words. A bar is part of no domain either.
fn is_between(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(
            letter,
            '(' | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '<'
                | '>'
                | '"'
                | '\''
                | '`'
                | ','
                | ';'
                | '!'
                | '|'
                | '«'
                | '»'
                | '“'
                | '”'
                | '‘'
                | '’'
                | '「'
                | '」'
                | '、'
                | '，'
        )
}

fn has_top(ascii: &str) -> bool {
    let top = ascii.rsplit('.').next().unwrap_or_default();
    let is_country = top.len() == 2 && top.bytes().all(|byte| byte.is_ascii_lowercase());
    TOPS.contains(&top) || top.starts_with("xn--") || (is_country && !FILES.contains(&top))
}
