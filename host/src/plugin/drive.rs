//! Runs one call into a guest on the calling thread, and ends it when its time is up.
//!
//! A guest that computes hands the thread back at each tick of the epoch; one that waits inside the host does so by
//! waiting. So both are looked at here, and an overdue call is ended by dropping it. Knows no wasmtime.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::engine::TICK;
use super::limits::Deadline;

/// A call that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It computed for too long.
    Running(Duration),
    /// It waited for too long.
    Waiting(Duration),
}

/// How many times its time on the clock a guest may be late because the machine gave it no processor.
const CROWDED: u32 = 4;

/// Drives `call` to its end or to its deadline.
///
/// # Errors
/// [`Overdue`], when the call was ended; it has been dropped then.
pub(super) fn drive<F: Future>(call: F, deadline: Deadline) -> Result<F::Output, Overdue> {
    let started = Instant::now();
    let mut call = pin!(call);
    // Most calls end before the first tick: they never pay for a waker or a look at the processor's clock.
    if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(answer);
    }
    let before = started.elapsed().min(TICK * 2);
    let processor = processor_time();
    let mut parked = Duration::ZERO;
    let wake = Arc::new(Unpark {
        thread: std::thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(wake.clone());
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Ok(answer);
        }
        let ran = before + processor_time().saturating_sub(processor);
        // Time for which the machine ran something else is not the guest's, within reason.
        let spent = ran + parked;
        let on_clock = started.elapsed();
        if ran >= deadline.running
            || spent >= deadline.wall
            || on_clock >= deadline.wall.saturating_mul(CROWDED)
        {
            return Err(if ran >= parked {
                Overdue::Running(ran)
            } else {
                Overdue::Waiting(on_clock)
            });
        }
        // One that handed back the thread at a tick has woken itself.
        if !wake.woken.swap(false, Ordering::Acquire) {
            let parks = Instant::now();
            std::thread::park_timeout(deadline.wall.saturating_sub(spent));
            parked += parks.elapsed();
            wake.woken.store(false, Ordering::Relaxed);
        }
    }
}

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Wakes the thread that drives the call.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Deadline = Deadline {
        running: Duration::from_millis(30),
        wall: Duration::from_millis(30),
    };

    #[test]
    fn what_is_ready_is_answered() {
        assert_eq!(drive(async { 7 }, SHORT), Ok(7));
    }

    #[test]
    fn what_never_wakes_has_waited_for_too_long() {
        let overdue = drive(std::future::pending::<()>(), SHORT);
        assert!(matches!(overdue, Err(Overdue::Waiting(_))), "{overdue:?}");
    }

    #[test]
    fn what_computes_and_yields_has_run_for_too_long() {
        let overdue = drive(
            std::future::poll_fn(|context| {
                let until = Instant::now() + TICK;
                while Instant::now() < until {}
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }),
            SHORT,
        );
        assert!(matches!(overdue, Err(Overdue::Running(_))), "{overdue:?}");
    }

    #[test]
    fn what_another_thread_wakes_goes_on() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let other = std::thread::spawn(move || sender.send(9));
        assert_eq!(drive(receiver, SHORT), Ok(Ok(9)));
        assert_eq!(other.join().unwrap(), Ok(()));
    }
}
