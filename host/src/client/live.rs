//! Runs a session against a server: its actions become I/O, and what happens becomes its input.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;

use super::change::{Change, Stop};
use super::link::{Link, News, Server};
use super::outbox::{Full, Outbox};
use super::session::{Action, Session, Who};
use super::tokens::{self, Tokens};

/// News taken at one wake, so that a long catch-up is shown in few steps.
const AT_ONCE: usize = 256;

/// A running session.
pub struct Live {
    session: Session,
    link: Link,
    server: Server,
    tokens: Option<Tokens>,
    name: String,
    /// What is to be shown.
    news: Vec<Change>,
    stop: Option<Stop>,
    /// There is something new to keep for the next start.
    unkept: bool,
    /// The proof was made by this run, so the name may turn out to be another's.
    new_token: bool,
    /// That nothing can be kept has been said.
    complained: bool,
}

impl Live {
    /// Connects when [`Live::changes`] is first awaited. Without `tokens` the name is lost at the end.
    #[must_use]
    pub fn new(server: Server, mut who: Who, tokens: Option<Tokens>) -> Self {
        let name = who.name.clone();
        let (proof, trouble) = tokens::proof(tokens.as_ref(), &name);
        who.visit = proof.visit;
        Self {
            session: Session::new(who, Instant::now(), rand::random()),
            link: Link::Closed,
            server,
            tokens,
            name,
            complained: trouble.is_some(),
            news: trouble.map(Change::Note).into_iter().collect(),
            stop: None,
            unkept: false,
            new_token: proof.new,
        }
    }

    /// What is not yet decided.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        self.session.outbox()
    }

    /// Sends a message, now or as soon as there is a connection.
    ///
    /// # Errors
    /// [`Full`], when too much is on its way already.
    pub fn say(&mut self, text: String) -> Result<(), Full> {
        let actions = self.session.say(Instant::now(), client_id(), text)?;
        self.act(actions);
        Ok(())
    }

    /// Waits until something is to be shown. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`Stop`], when the session is over; what was to be shown before has been.
    pub async fn changes(&mut self) -> Result<Vec<Change>, Stop> {
        loop {
            if !self.news.is_empty() {
                return Ok(std::mem::take(&mut self.news));
            }
            if let Some(stop) = &self.stop {
                return Err(stop.clone());
            }
            tokio::select! {
                news = self.link.next() => {
                    self.heard(news);
                    for _ in 0..AT_ONCE {
                        let Some(news) = self.link.next().now_or_never() else { break };
                        self.heard(news);
                    }
                    self.keep();
                }
                () = until(self.session.deadline()) => {
                    let actions = self.session.tick(Instant::now());
                    self.act(actions);
                }
            }
        }
    }

    fn heard(&mut self, news: News) {
        let now = Instant::now();
        let actions = match news {
            News::Opened => Vec::new(),
            News::Frame(frame) => self.session.received(now, frame),
            News::Lost(lost) => self.session.lost(now, &lost),
        };
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect => self.link = Link::open(self.server.clone()),
                Action::Send(frame) => self.link.send(frame),
                Action::Disconnect => self.link = Link::Closed,
                Action::Keep => {
                    self.unkept = true;
                    self.new_token = false;
                }
                Action::Show(change) => self.news.push(change),
                Action::Stop(stop) => {
                    if let (Stop::NameTaken(_), true, Some(tokens)) =
                        (&stop, self.new_token, &self.tokens)
                    {
                        tokens.forget(&self.name, &self.session.visit().token);
                    }
                    self.stop = Some(stop);
                }
            }
        }
    }

    /// Keeps what the next start needs, once for all that came together.
    fn keep(&mut self) {
        let Some(tokens) = self.tokens.as_ref().filter(|_| self.unkept) else {
            return;
        };
        self.unkept = false;
        if let Err(e) = tokens.write(&self.name, self.session.visit().clone())
            && !self.complained
        {
            self.complained = true;
            let words = tokens.unkept(&self.name, &e);
            self.news.push(Change::Note(words));
        }
    }
}

/// A fresh id for a message.
#[must_use]
pub fn client_id() -> String {
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    ulid::Ulid::from_parts(now_ms, rand::random()).to_string()
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
