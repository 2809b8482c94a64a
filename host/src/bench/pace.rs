//! When to send: at fixed times that don't move when the server, or this program, is slow.

use std::time::Duration;

/// The times of one sender: every `interval` from its `first` on.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    first_ns: u128,
    interval_ns: u128,
    done: u64,
}

impl Schedule {
    /// Of one of several senders, which share the rate and take turns.
    pub fn new(begin_us: u64, per_second: u32, sender: usize, senders: usize) -> Self {
        let interval_ns = 1_000_000_000 * senders.max(1) as u128 / u128::from(per_second.max(1));
        let first_ns =
            u128::from(begin_us) * 1000 + interval_ns * sender as u128 / senders.max(1) as u128;
        Self {
            first_ns,
            interval_ns,
            done: 0,
        }
    }

    /// When the next message is to be sent, in µs of the run.
    pub fn next_us(&self) -> u64 {
        u64::try_from((self.first_ns + self.interval_ns * u128::from(self.done)) / 1000)
            .unwrap_or(u64::MAX)
    }

    /// The time of the next message, if it has come; each is given once.
    pub fn take_due(&mut self, now_us: u64) -> Option<u64> {
        let next_us = self.next_us();
        if next_us > now_us {
            return None;
        }
        self.done += 1;
        Some(next_us)
    }
}

pub use precise::Alarm;

/// tokio's timers are a millisecond coarse, more than what is measured.
#[cfg(target_os = "linux")]
mod precise {
    use super::Duration;
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// Wakes a task within some 50 µs of a time.
    #[derive(Debug)]
    pub struct Alarm(AsyncFd<OwnedFd>);

    impl Alarm {
        /// One of the system's timers.
        ///
        /// # Errors
        /// When there is none left.
        pub fn new() -> std::io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // Unsound only for a type whose descriptor changes while it is registered; an `OwnedFd` keeps its own.
            #[allow(deprecated)]
            let timer = AsyncFd::new(timer)?;
            Ok(Self(timer))
        }

        /// Waits; can be dropped and called again.
        pub async fn sleep(&self, wait: Duration) {
            let it_value = Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()).max(1), // Zero would switch it off.
            };
            let once = Itimerspec {
                it_interval: Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value,
            };
            if timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).is_err() {
                return tokio::time::sleep(wait).await;
            }
            if let Ok(mut ready) = self.0.readable().await {
                ready.clear_ready();
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod precise {
    use super::Duration;

    /// Wakes a task within two milliseconds of a time.
    #[derive(Debug)]
    pub struct Alarm;

    impl Alarm {
        /// Always there.
        ///
        /// # Errors
        /// None.
        pub fn new() -> std::io::Result<Self> {
            Ok(Self)
        }

        /// Waits; can be dropped and called again.
        pub async fn sleep(&self, wait: Duration) {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_take_turns_at_the_rate() {
        let mut times: Vec<u64> = (0..4)
            .flat_map(|sender| {
                let mut schedule = Schedule::new(1_000, 1_000, sender, 4);
                std::iter::from_fn(move || schedule.take_due(8_999)).collect::<Vec<_>>()
            })
            .collect();
        times.sort_unstable();
        assert_eq!(
            times,
            [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000]
        );
    }

    #[test]
    fn a_pause_of_the_sender_moves_no_time() {
        let mut schedule = Schedule::new(0, 10, 0, 1);
        assert_eq!(schedule.take_due(350_000), Some(0));
        assert_eq!(schedule.take_due(350_000), Some(100_000));
        assert_eq!(schedule.next_us(), 200_000);
    }

    #[tokio::test]
    async fn the_alarm_rings_again_after_a_wait_was_given_up() {
        let alarm = Alarm::new().unwrap();
        let long = Duration::from_secs(3600);
        tokio::select! { biased; () = alarm.sleep(long) => panic!("too early"), () = std::future::ready(()) => {} }
        alarm.sleep(Duration::from_millis(1)).await;
        alarm.sleep(Duration::ZERO).await;
    }
}
