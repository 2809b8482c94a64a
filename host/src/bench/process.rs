//! What a process of this machine costs, out of `/proc`.

use std::fs;
use std::time::Duration;

/// Processor time of a process so far, its own and the kernel's on its behalf; none: no such process, or no `/proc`.
pub fn cpu(pid: u32) -> Option<Duration> {
    let ticks = cpu_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis(
        ticks.checked_mul(1000)?.checked_div(per_second)?,
    ))
}

/// Processor time of this process's threads whose names begin so.
pub fn cpu_of_threads(name: &str) -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task")
        .ok()?
        .flatten()
        .filter(|thread| {
            fs::read_to_string(thread.path().join("comm"))
                .is_ok_and(|found| found.starts_with(name))
        });
    let spent = threads.map(|thread| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let ns = schedstat.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(ns))
    });
    spent
        .sum::<Option<Duration>>()
        .filter(|spent| !spent.is_zero())
}

/// Memory that is the process's alone and backed by no file.
pub fn memory_bytes(pid: u32) -> Option<u64> {
    anonymous_bytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The process that listens on a port of this machine, as far as this user may know.
pub fn listening_on(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode = tables
        .iter()
        .find_map(|table| listening_inode(&fs::read_to_string(table).ok()?, port))?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        files
            .any(|file| {
                fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str())
            })
            .then_some(pid)
    })
}

/// Fields 14 and 15 of `stat`, counted behind the name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn anonymous_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next()?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let local_port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (state == "0A" && local_port == port).then(|| inode.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "71 (a) b (c)) S 1 71 71 0 -1 4194560 900 0 0 0 250 31 0 0 20 0 4 0 12 1 1";
        assert_eq!(cpu_ticks(stat), Some(281));
        assert_eq!(cpu_ticks("71 (cut"), None);
    }

    #[test]
    fn own_memory_is_told_in_bytes() {
        assert_eq!(
            anonymous_bytes("VmRSS:\t 9 kB\nRssAnon:\t    120 kB\nRssFile:\t 1 kB\n"),
            Some(122_880)
        );
        assert_eq!(anonymous_bytes("VmRSS:\t 9 kB\n"), None);
    }

    #[test]
    fn the_listener_of_a_port_is_told_from_its_connections() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  0 0 111 1\n\
            1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 222 1\n";
        assert_eq!(listening_inode(table, 8080), Some(222));
        assert_eq!(listening_inode(table, 8081), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listening_on(listener.local_addr().unwrap().port());
        assert_eq!(found, Some(std::process::id()));
        assert!(memory_bytes(std::process::id()).unwrap() > 0);
        assert!(cpu(std::process::id()).is_some());
    }
}
