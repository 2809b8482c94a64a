//! Whether the server is ready: told to whoever asks over HTTP or gRPC.

use tokio::sync::watch;

/// Where the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// Not all is there yet.
    #[default]
    Starting,
    /// Takes messages.
    Ready,
    /// Takes none for now: the disk or the log does not allow it. Recovers by itself.
    Unable,
    /// Ends what it has, and takes nothing new.
    Draining,
}

impl Readiness {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unable => "unable",
            Self::Draining => "draining",
        }
    }
}

/// A handle to the one answer. All clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(watch::Sender<Readiness>);

impl Health {
    /// Changes the answer.
    pub fn set(&self, readiness: Readiness) {
        self.0.send_replace(readiness);
    }

    /// Changes the answer by what it was, and tells watchers if it is another.
    pub fn change(&self, by: impl FnOnce(Readiness) -> Readiness) {
        self.0.send_if_modified(|now| {
            let before = std::mem::replace(now, by(*now));
            before != *now
        });
    }

    /// The answer now.
    #[must_use]
    pub fn get(&self) -> Readiness {
        *self.0.borrow()
    }

    /// The answer and its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Readiness> {
        self.0.subscribe()
    }
}
