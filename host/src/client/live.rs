//! Runs a session against a server: its actions become I/O, and what happens becomes its input.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tonic::transport::Channel;

use super::change::{Change, Stop};
use super::link::{Link, News};
use super::outbox::{Full, Outbox};
use super::session::{Action, Session, Who};
use super::tokens::Tokens;

/// News taken at one wake, so that a long catch-up is shown in few steps.
const AT_ONCE: usize = 256;

/// A running session.
pub struct Live {
    session: Session,
    link: Link,
    channel: Channel,
    tokens: Option<Tokens>,
    name: String,
    /// What is to be shown.
    news: Vec<Change>,
    stop: Option<Stop>,
    /// There is something new to keep for the next start.
    unkept: bool,
}

impl Live {
    /// Connects when [`Live::changes`] is first awaited. Without `tokens` the name is lost at the end.
    #[must_use]
    pub fn new(channel: Channel, mut who: Who, tokens: Option<Tokens>) -> Self {
        let name = who.name.clone();
        if let Some(kept) = tokens.as_ref().and_then(|t| t.read(&name)) {
            who.visit = kept;
        }
        Self {
            session: Session::new(who, Instant::now(), rand::random()),
            link: Link::Closed,
            channel,
            tokens,
            name,
            news: Vec::new(),
            stop: None,
            unkept: false,
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
                Action::Connect => self.link = Link::open(self.channel.clone()),
                Action::Send(frame) => self.link.send(frame),
                Action::Disconnect => self.link = Link::Closed,
                Action::Keep => self.unkept = true,
                Action::Show(change) => self.news.push(change),
                Action::Stop(stop) => self.stop = Some(stop),
            }
        }
    }

    /// Keeps what the next start needs, once for all that came together.
    fn keep(&mut self) {
        let Some(tokens) = self.tokens.as_ref().filter(|_| self.unkept) else {
            return;
        };
        self.unkept = false;
        if let Err(e) = tokens.write(&self.name, self.session.visit().clone()) {
            self.news.push(Change::Note(format!(
                "the proof that `{}` is your name can't be kept in {} ({e}); after this session the name stays taken",
                self.name,
                tokens.folder().display()
            )));
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
