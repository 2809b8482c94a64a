//! What hits hosts and the journal as a whole, at moments that chance picks: crashes, pauses, loss of power, changes of
//! ownership that overlap, hosts that lag.

use std::sync::Arc;
use std::time::Duration;

use chat_host::state::ids::Partition;
use tokio::time::{Instant, sleep};

use crate::host::Host;
use crate::journal::Disk;
use crate::world::{Dice, Plan, Trouble};

/// Hits until the plan's time is over.
pub async fn hit(plan: &Plan, hosts: &[Arc<Host>], disk: &Arc<Disk>) {
    let mut dice = Dice::new(plan.seed).fork(3);
    let until = Instant::now() + plan.chaos;
    let every = plan.every.as_millis() as u64;
    while Instant::now() < until {
        sleep(dice.millis(1, every * 2)).await;
        if plan.trouble.lost == 0 && plan.trouble.unknown == 0 && plan.trouble.late == 0 {
            // A quiet run.
            if !dice.chance(300) {
                continue;
            }
        }
        let host = hosts[dice.index(hosts.len())].clone();
        host.remember();
        let partition = Partition(dice.index(usize::from(plan.partitions)) as u16);
        match dice.between(0, 11) {
            0..=2 => {
                host.crash();
                let wait = dice.pick(&[0, 500, 5_000, 20_000]);
                later(dice.millis(0, wait), move || host.start());
            }
            3 => {
                tokio::spawn(host.clone().drain());
                later(dice.millis(2_000, 6_000), move || host.start());
            }
            4 | 5 => {
                host.pause();
                let wait = dice.pick(&[100, 2_000, 15_000, 90_000]);
                later(dice.millis(1, wait), move || host.resume());
            }
            6 => {
                disk.lose_power();
                let disk = disk.clone();
                let wait = dice.pick(&[10, 1_000, 10_000]);
                later(dice.millis(1, wait), move || disk.restore_power());
            }
            7 => {
                let lag = dice.pick(&[0, 200, 3_000, 9_000]);
                disk.set_lag(host.index, partition, dice.millis(0, lag));
            }
            _ => {
                host.own(partition, true);
                for other in hosts.iter().filter(|other| !Arc::ptr_eq(other, &host)) {
                    if plan.compete {
                        continue;
                    }
                    // The old owner hears of it later, or never.
                    let (other, wait) = (other.clone(), dice.pick(&[0, 1_000, 30_000]));
                    later(dice.millis(0, wait), move || other.own(partition, false));
                }
            }
        }
    }
}

/// Everything works again: hosts run, and the journal takes what it gets.
pub fn heal(plan: &Plan, hosts: &[Arc<Host>], disk: &Arc<Disk>) {
    disk.restore_power();
    disk.set_trouble(Trouble::default());
    for host in hosts {
        for partition in (0..plan.partitions).map(Partition) {
            disk.set_lag(host.index, partition, Duration::ZERO);
        }
        host.resume();
        host.start();
    }
}

fn later(wait: Duration, what: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        sleep(wait).await;
        what();
    });
}
