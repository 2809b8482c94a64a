//! Hosts: what a client would connect to, in ASCII, and what people would read.

use std::borrow::Cow;

use url::Url;

/// Longer than any host is, also in letters of several bytes. What is longer is not decoded.
const BYTES: usize = 400;
/// As much of a host as a reason shows.
const SHOWN: usize = 100;

/// A host's name, or its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// As a resolver takes it: lower case, in Punycode where needed, without a dot at the end.
    pub(crate) ascii: String,
    /// The same in the letters that it stands for.
    pub(crate) unicode: String,
    /// As it was typed, where capitals are what people see.
    pub(crate) typed: String,
}

impl Host {
    /// The host that `typed` is, read as a browser would. An error is a reason for the sender.
    pub(crate) fn typed(typed: &str) -> Result<Self, String> {
        if typed.len() > BYTES {
            return Err(unreadable(typed));
        }
        let url = Url::parse(&format!("https://{typed}/")).map_err(|_| unreadable(typed))?;
        let ascii = url.host_str().ok_or_else(|| unreadable(typed))?;
        Ok(Host::of(ascii, typed))
    }

    fn of(ascii: &str, typed: &str) -> Self {
        // A dot at the end means the same host.
        let ascii = ascii.strip_suffix('.').unwrap_or(ascii);
        let (unicode, _) = idna::domain_to_unicode(ascii);
        Host {
            ascii: ascii.into(),
            unicode,
            typed: typed.into(),
        }
    }

    /// Whether one is the other, or is below it.
    pub(crate) fn is_of_the_same_site(&self, other: &Host) -> bool {
        let (one, another) = (self.site(), other.site());
        let below = |host: &str, domain: &str| {
            let rest = host.strip_suffix(domain);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        below(one, another) || below(another, one)
    }

    fn site(&self) -> &str {
        self.ascii.strip_prefix("www.").unwrap_or(&self.ascii)
    }

    /// For a reason: as machines read it, which can't look like another one.
    pub(crate) fn shown(&self) -> String {
        format!("`{}`", cut(&self.ascii))
    }
}

/// The hosts that an address leads to: one, but for `mailto` with several people.
pub(crate) fn of_url(url: &str) -> Result<Vec<Host>, String> {
    if let Some(mail) = strip_prefix(url, "mailto:") {
        let people = mail.split('?').next().unwrap_or_default();
        return people.split(',').map(of_mail).collect();
    }
    let (_, rest) = url.split_once(':').ok_or_else(|| unreadable(url))?;
    let typed = crate::address::host(rest.trim_start_matches(['/', '\\']));
    if typed.len() > BYTES {
        return Err(unreadable(typed));
    }
    let url = Url::parse(url).map_err(|_| unreadable(url))?;
    let ascii = url.host_str().ok_or_else(|| unreadable(url.as_str()))?;
    Ok(vec![Host::of(ascii, typed)])
}

fn of_mail(person: &str) -> Result<Host, String> {
    let person = match person.contains("%40") {
        true => Cow::Owned(person.replace("%40", "@")),
        false => Cow::Borrowed(person),
    };
    let (_, host) = person.rsplit_once('@').ok_or_else(|| unreadable(&person))?;
    Host::typed(host)
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn unreadable(address: &str) -> String {
    format!("the address `{}` can't be read", cut(address))
}

fn cut(text: &str) -> Cow<'_, str> {
    if text.chars().nth(SHOWN).is_none() {
        return Cow::Borrowed(text);
    }
    let start: String = text.chars().take(SHOWN).collect();
    Cow::Owned(start + "…")
}
