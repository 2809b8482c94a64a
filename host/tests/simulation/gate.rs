//! What stands between a host's tasks and the runtime: a host that is paused does nothing, and one that has crashed
//! never does anything again.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::task::AbortHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Paused,
    Dead,
}

/// One run of a host.
pub struct Gate(Mutex<Inner>);

struct Inner {
    life: Life,
    waiting: Vec<Waker>,
    tasks: Vec<AbortHandle>,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            life: Life::Running,
            waiting: Vec::new(),
            tasks: Vec::new(),
        })))
    }

    /// Spawns a task of this run.
    pub fn spawn(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        let gated = Gated {
            gate: self.clone(),
            future: Some(Box::pin(future)),
        };
        let task = tokio::spawn(gated).abort_handle();
        self.0.lock().unwrap().tasks.push(task);
    }

    pub fn pause(&self) {
        let mut inner = self.0.lock().unwrap();
        if inner.life == Life::Running {
            inner.life = Life::Paused;
        }
    }

    pub fn resume(&self) {
        let waiting = {
            let mut inner = self.0.lock().unwrap();
            if inner.life == Life::Paused {
                inner.life = Life::Running;
            }
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub fn kill(&self) {
        let tasks = {
            let mut inner = self.0.lock().unwrap();
            inner.life = Life::Dead;
            inner.waiting.clear();
            std::mem::take(&mut inner.tasks)
        };
        for task in tasks {
            task.abort();
        }
    }
}

struct Gated {
    gate: Arc<Gate>,
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let life = {
            let mut inner = self.gate.0.lock().unwrap();
            if inner.life == Life::Paused {
                inner.waiting.push(cx.waker().clone());
            }
            inner.life
        };
        match (life, self.future.as_mut()) {
            (Life::Running, Some(future)) => future.as_mut().poll(cx),
            (Life::Paused, _) => Poll::Pending,
            (Life::Dead, _) | (_, None) => {
                self.future = None;
                Poll::Ready(())
            }
        }
    }
}
