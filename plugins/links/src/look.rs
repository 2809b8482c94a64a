//! Look-alikes: hosts that people would take for others, as Unicode's report on security (UTS 39) has it.

use std::collections::HashMap;

use unicode_security::RestrictionLevel;
use unicode_security::RestrictionLevelDetection as _;
use unicode_security::confusable_detection::skeleton;

use crate::domains::{Domains, upward};
use crate::host::Host;

/// What others are not to look like.
#[derive(Debug)]
pub(crate) struct Looks {
    /// By how they look.
    protected: HashMap<String, String>,
}

impl Looks {
    pub(crate) fn of(lists: &[&Domains]) -> Self {
        let domains = lists.iter().flat_map(|list| list.iter());
        let protected = domains.map(|domain| {
            let (unicode, _) = idna::domain_to_unicode(domain);
            (look(&unicode), domain.to_owned())
        });
        Looks {
            protected: protected.collect(),
        }
    }

    /// An error is the reason for the sender.
    pub(crate) fn judge(&self, host: &Host) -> Result<(), String> {
        if !self.protected.is_empty() {
            let domains = upward(&host.unicode).zip(upward(&host.ascii));
            // Capitals matter to who reads (`paypaI`), and only where the host was typed as it is.
            let capitals = host.typed.contains(char::is_uppercase);
            let typed = capitals.then(|| upward(&host.typed).zip(upward(&host.ascii)));
            for (shown, ascii) in domains.chain(typed.into_iter().flatten()) {
                match self.protected.get(&look(shown)) {
                    Some(protected) if protected == ascii => return Ok(()),
                    Some(protected) => {
                        return Err(format!(
                            "{} looks like `{protected}` and is not",
                            host.shown()
                        ));
                    }
                    None => {}
                }
            }
        }
        if host.unicode.is_ascii() {
            return Ok(());
        }
        let mixed =
            |label: &str| !label.check_restriction_level(RestrictionLevel::HighlyRestrictive);
        if host.unicode.split('.').any(mixed) {
            return Err(format!(
                "{} mixes letters that do not belong together",
                host.shown()
            ));
        }
        let top_is_ascii = host.unicode.rsplit('.').next().is_some_and(str::is_ascii);
        let disguised = |label: &str| !label.is_ascii() && look(label).is_ascii();
        if top_is_ascii && host.unicode.split('.').any(disguised) {
            return Err(format!(
                "{} is spelt to look like another domain",
                host.shown()
            ));
        }
        Ok(())
    }
}

/// Two that look alike have one look. Lower case comes last, because the skeleton of `0` is `O`.
fn look(domain: &str) -> String {
    skeleton(domain).collect::<String>().to_lowercase()
}
