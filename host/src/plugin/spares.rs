//! The thread that makes spare instances, so that a trap or a reload waits for nothing.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use super::version::Stock;

/// When full, a stock is not refilled now; the next instance taken from it asks again.
const WAITING: usize = 64;

/// The thread. Ends when every [`Refills`] is gone or it is told to.
pub(super) struct Spares {
    refills: Refills,
    thread: Option<JoinHandle<()>>,
}

/// Asks for refills.
#[derive(Clone)]
pub(super) struct Refills(SyncSender<Wanted>);

enum Wanted {
    Refill(Weak<Stock>),
    End,
}

impl Refills {
    /// Asks for what is missing in `stock`, soon.
    pub(super) fn ask(&self, stock: &Arc<Stock>) {
        let _ = self.0.try_send(Wanted::Refill(Arc::downgrade(stock)));
    }
}

impl Spares {
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("plugin-spares".into())
            .spawn(move || refill(&receiver))?;
        Ok(Self {
            refills: Refills(sender),
            thread: Some(thread),
        })
    }

    pub(super) fn refills(&self) -> Refills {
        self.refills.clone()
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        let _ = self.refills.0.send(Wanted::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn refill(wanted: &Receiver<Wanted>) {
    while let Ok(Wanted::Refill(stock)) = wanted.recv() {
        if let Some(stock) = stock.upgrade() {
            stock.fill();
        }
    }
}
