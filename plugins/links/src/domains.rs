//! Lists of domains, each of which stands for those below it.

use std::collections::HashSet;

use crate::host::Host;

const DOMAINS: usize = 10_000;
/// So many labels are looked at from the right, so that a host of a hundred labels costs no more than another.
pub(crate) const LABELS: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Domains {
    /// In lower-case ASCII.
    names: HashSet<String>,
}

impl Domains {
    /// The domains that the operator listed in the setting `name`. An error says which is none.
    pub(crate) fn of(name: &str, listed: &[String]) -> Result<Self, String> {
        if listed.len() > DOMAINS {
            let count = listed.len();
            return Err(format!(
                "`{name}` has {count} domains; at most {DOMAINS} are allowed"
            ));
        }
        let names = listed.iter().map(|domain| {
            let wrong = |why: &str| {
                format!(
                    "`{name}` lists `{domain}`, which {why}; list domains such as `example.org`"
                )
            };
            let host = Host::typed(domain).map_err(|_| wrong("is no domain"))?;
            let odd = |letter: char| "/:@?#*% ".contains(letter);
            if domain.contains(odd) || host.ascii.starts_with('.') {
                return Err(wrong("is no domain"));
            }
            if host.ascii.split('.').count() > LABELS {
                return Err(wrong("has more than 8 labels"));
            }
            Ok(host.ascii)
        });
        Ok(Domains {
            names: names.collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The listed domain that `host` is, or is below of.
    pub(crate) fn cover(&self, host: &str) -> Option<&str> {
        if self.names.is_empty() {
            return None;
        }
        upward(host).find_map(|domain| self.names.get(domain).map(String::as_str))
    }
}

/// `c`, `b.c`, `a.b.c`: a host's domains from the top, as far as lists go.
pub(crate) fn upward(host: &str) -> impl Iterator<Item = &str> {
    let below_dots = host
        .rmatch_indices('.')
        .filter_map(|(dot, _)| host.get(dot + 1..));
    below_dots.chain([host]).take(LABELS)
}
