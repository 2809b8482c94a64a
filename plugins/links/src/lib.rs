//! `links`: judges where links lead, and whether they say so.
//!
//! Domains can be allowed or denied; those that look like another one, or whose link's text names another one, are
//! withheld. Shows review: what is judged is what members would read, after formatting, so a link is found however it was
//! typed. Looks at every letter a bounded number of times, whatever the text is.

mod address;
mod domains;
mod host;
mod look;
mod named;
mod settings;
#[cfg(test)]
mod tests;

use chat_plugin::{Body, Item, Judgement, Manifest, Plugin, Review, Run, State, Target};

use domains::Domains;
use host::Host;
use look::Looks;
use settings::Settings;

struct Links {
    allow: Domains,
    deny: Domains,
    looks: Option<Looks>,
    other_names: bool,
}

impl Plugin for Links {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("links", env!("CARGO_PKG_VERSION"))
    }

    fn start(settings: Settings) -> Result<Self, String> {
        let allow = Domains::of("allow", &settings.allow)?;
        let protect = Domains::of("protect", &settings.protect)?;
        Ok(Links {
            looks: settings.look_alikes.then(|| Looks::of(&[&allow, &protect])),
            deny: Domains::of("deny", &settings.deny)?,
            allow,
            other_names: settings.other_names,
        })
    }
}

impl Review for Links {
    fn review(&mut self, item: &Item, _: State) -> Judgement {
        let judged = match &item.body {
            Body::Plain(text) => self.text(text),
            Body::Styled(runs) => self.runs(runs),
        };
        match judged {
            Ok(()) => Judgement::Allow,
            Err(reason) => Judgement::Withhold(reason),
        }
    }
}

chat_plugin::export!(Links: review);

/// An error is the reason for the sender.
impl Links {
    /// Runs that lead to the same place are one link, and what lies between links is one text, however it is styled.
    fn runs(&self, runs: &[Run]) -> Result<(), String> {
        for alike in runs.chunk_by(|one, next| one.target == next.target) {
            let text: String = alike.iter().map(|run| run.text.as_str()).collect();
            match alike.first().map(|run| &run.target) {
                Some(Target::Url(url)) => self.link(&text, url)?,
                Some(Target::None | Target::Mention) | None => self.text(&text)?,
            }
        }
        Ok(())
    }

    fn text(&self, text: &str) -> Result<(), String> {
        address::hosts(text).try_for_each(|host| self.host(&Host::typed(host)?))
    }

    fn link(&self, text: &str, url: &str) -> Result<(), String> {
        let hosts = host::of_url(url)?;
        hosts.iter().try_for_each(|host| self.host(host))?;
        // A bare address, which most links are, says where it leads.
        if !self.other_names || text == url {
            return Ok(());
        }
        for named in named::hosts(text) {
            if !hosts.iter().any(|host| host.is_of_the_same_site(&named)) {
                let leads = hosts.first().map_or_else(String::new, Host::shown);
                return Err(format!(
                    "the link says {} and leads to {leads}",
                    named.shown()
                ));
            }
        }
        Ok(())
    }

    fn host(&self, host: &Host) -> Result<(), String> {
        if self.deny.cover(&host.ascii).is_some() {
            return Err(format!("links may not lead to {} here", host.shown()));
        }
        if self.allow.cover(&host.ascii).is_some() {
            return Ok(());
        }
        if let Some(looks) = &self.looks {
            looks.judge(host)?;
        }
        if !self.allow.is_empty() {
            return Err(format!(
                "links may lead to certain domains only here, and {} is none of them",
                host.shown()
            ));
        }
        Ok(())
    }
}
