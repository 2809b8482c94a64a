//! One seed, from the first start to the verdict; and many of them.

use std::sync::Arc;
use std::time::Duration;

use chat_host::journal::Log;
use chat_host::state::ids::Partition;
use tokio::time::{Instant, sleep};

use crate::checker::{Evidence, check};
use crate::faults;
use crate::host::Host;
use crate::journal::{Disk, Plant};
use crate::member::{Member, Record};
use crate::replay::replay;
use crate::world::{Dice, Plan};

/// How long members may take to get everything decided once nothing fails any more.
const SETTLE: Duration = Duration::from_secs(300);

/// What a run leaves.
pub struct Run {
    pub evidence: Evidence,
    /// A number that differs where anything differs that happened.
    pub trace: u64,
}

/// Runs a seed; `plant` is a defect to be found.
pub fn run(seed: u64, plant: Option<Plant>) -> Run {
    run_plan(&Plan::of(seed), plant)
}

pub fn run_plan(plan: &Plan, plant: Option<Plant>) -> Run {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(simulate(plan, plant))
}

async fn simulate(plan: &Plan, plant: Option<Plant>) -> Run {
    let began = Instant::now();
    let dice = Dice::new(plan.seed);
    let disk = Disk::new(dice.fork(2), plan.partitions, plan.trouble, plant);
    let hosts: Vec<Arc<Host>> = (0..plan.hosts)
        .map(|index| Host::new(index, plan, disk.clone(), began))
        .collect();
    for host in &hosts {
        host.start();
    }
    let assigning = (!plan.compete).then(|| tokio::spawn(assign(plan.clone(), hosts.clone())));
    let mut records = Vec::new();
    let mut members = Vec::new();
    for index in 0..plan.members {
        let member = Member::new(index, plan, &hosts, disk.clone());
        records.push(member.record.clone());
        members.push(tokio::spawn(member.run()));
    }

    faults::hit(plan, &hosts, &disk).await;
    faults::heal(plan, &hosts, &disk);

    let until = Instant::now() + SETTLE;
    while Instant::now() < until && !records.iter().all(|r| r.lock().unwrap().is_done) {
        revive(plan, &hosts, &disk);
        sleep(Duration::from_millis(500)).await;
    }
    // What was sent more than an hour ago may still land.
    if plan.waits_for_late {
        sleep(Duration::from_secs(4000)).await;
    }
    let until = Instant::now() + SETTLE;
    while Instant::now() < until && !have_seen(&records, &disk, plan) {
        revive(plan, &hosts, &disk);
        sleep(Duration::from_millis(500)).await;
    }
    disk.close();
    let until = Instant::now() + SETTLE;
    while Instant::now() < until && !have_decided(plan, &hosts, &disk) {
        sleep(Duration::from_millis(500)).await;
    }
    if let Some(assigning) = assigning {
        assigning.abort();
    }
    for host in &hosts {
        for partition in (0..plan.partitions).map(Partition) {
            host.own(partition, false);
        }
    }
    let until = Instant::now() + SETTLE;
    while Instant::now() < until && !have_folded(plan, &hosts, &disk) {
        revive(plan, &hosts, &disk);
        sleep(Duration::from_millis(500)).await;
    }
    let mut wrong = Vec::new();
    for host in &hosts {
        if let Some(reason) = host.refused() {
            wrong.push(format!("host {} does not start: {reason}", host.index));
        }
    }
    for member in members {
        member.abort();
    }
    let mut replay = replay(&disk, plan.partitions);
    replay.wrong.extend(wrong);
    let evidence = Evidence {
        members: records.iter().map(|r| r.lock().unwrap().clone()).collect(),
        replay,
        stores: hosts.iter().map(|host| host.store()).collect(),
        partitions: plan.partitions,
    };
    let trace = disk.trace();
    for host in &hosts {
        host.crash();
    }
    Run { evidence, trace }
}

/// What Kafka's coordinator does: a partition that nobody owns is given to a host that serves.
async fn assign(plan: Plan, hosts: Vec<Arc<Host>>) {
    loop {
        for partition in (0..plan.partitions).map(Partition) {
            if !hosts.iter().any(|host| host.owns(partition))
                && let Some(host) = hosts.iter().find(|host| host.is_serving())
            {
                host.own(partition, true);
            }
        }
        sleep(Duration::from_millis(700)).await;
    }
}

/// What an operator does: a host whose place in the log was trimmed away stands still, and is started again.
fn revive(plan: &Plan, hosts: &[Arc<Host>], disk: &Arc<Disk>) {
    for host in hosts {
        let stands_still = (0..plan.partitions).map(Partition).any(|partition| {
            let folded = host.folded(partition);
            folded.is_some_and(|next| next < disk.oldest((partition, Log::Outcomes)))
        });
        if stands_still {
            host.crash();
        }
        host.start();
    }
}

fn have_decided(plan: &Plan, hosts: &[Arc<Host>], disk: &Arc<Disk>) -> bool {
    (0..plan.partitions).map(Partition).all(|partition| {
        let end = disk.end((partition, Log::Ingress));
        hosts
            .iter()
            .any(|host| host.decided(partition) == Some(end))
    })
}

fn have_folded(plan: &Plan, hosts: &[Arc<Host>], disk: &Arc<Disk>) -> bool {
    (0..plan.partitions).map(Partition).all(|partition| {
        let end = disk.end((partition, Log::Outcomes));
        hosts.iter().all(|host| host.folded(partition) == Some(end))
    })
}

/// Whether members have seen all there is.
fn have_seen(records: &[Arc<std::sync::Mutex<Record>>], disk: &Arc<Disk>, plan: &Plan) -> bool {
    let replay = replay(disk, plan.partitions);
    // A timer that is set will be seen.
    !replay.has_timers()
        && records.iter().all(|record| {
            let record = record.lock().unwrap();
            let mut rooms = record.rooms.iter();
            let private = replay.private.get(&record.person).into_iter().flatten();
            rooms.all(|(room, seen)| replay.rooms.get(room).map_or(0, |r| r.len() as u64) == *seen)
                && private.into_iter().all(|(partition, events)| {
                    record.private.get(partition) == Some(&(events.len() as u64))
                })
        })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}

/// Seeds that have found something, one a line, with what.
const PINNED: &str = include_str!("pinned_seeds.txt");

/// The pinned seeds.
fn pinned() -> impl Iterator<Item = u64> {
    let lines = PINNED.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split_whitespace().next()?.parse().unwrap()))
}

/// Runs the pinned seeds and then the others, on two threads; ten that break a promise end it.
#[test]
fn the_promises_hold_whatever_fails() {
    if let Some(seed) = number("CHAT_HOST_TEST_SEED") {
        let run = run(seed, None);
        println!(
            "seed {seed}: {:?}, trace {:016x}",
            Plan::of(seed),
            run.trace
        );
        let wrong = check(&run.evidence);
        if let Ok(id) = std::env::var("CHAT_HOST_TEST_ID") {
            run.evidence.tell(&id);
        }
        assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
        return;
    }
    let count = number("CHAT_HOST_TEST_SEEDS").unwrap_or(1000);
    let failed = std::sync::Mutex::new(Vec::new());
    let pinned: Vec<u64> = pinned().collect();
    let others = (0..count).filter(|seed| !pinned.contains(seed));
    let seeds: Vec<u64> = pinned.iter().copied().chain(others).collect();
    let work = |half: usize| {
        for seed in seeds.iter().copied().skip(half).step_by(2) {
            let wrong = std::panic::catch_unwind(|| check(&run(seed, None).evidence))
                .unwrap_or_else(|_| vec!["it panicked; see above".into()]);
            if !wrong.is_empty() {
                let mut failed = failed.lock().unwrap();
                failed.push((seed, wrong));
            }
            if failed.lock().unwrap().len() >= 10 {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(0));
        scope.spawn(|| work(1));
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let told: Vec<String> = failed
        .iter()
        .map(|(seed, wrong)| {
            let first: Vec<_> = wrong.iter().take(5).map(String::as_str).collect();
            format!("CHAT_HOST_TEST_SEED={seed}\n  {}", first.join("\n  "))
        })
        .collect();
    assert!(
        failed.is_empty(),
        "promises were broken:\n{}",
        told.join("\n")
    );
}

/// Without this a failing seed could not be looked at again.
#[test]
fn a_seed_runs_the_same_way_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed, None).trace, run(seed, None).trace, "seed {seed}");
    }
}
