//! What a process group has used: processor time and memory, from `proc(5)`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, ensure};

/// Ticks of `proc_pid_stat(5)` are hundredths of a second.
const MICROS_PER_TICK: f64 = 10_000.0;

/// What a process group has used until now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Time on a processor, in µs, by thread.
    threads: BTreeMap<u32, f64>,
    /// The same, as the system counts it in ticks, with threads and children that have ended.
    ticks_us: f64,
    /// Memory that is resident now, in KiB, summed over the processes: what they share counts in
    /// each.
    pub(crate) resident_kib: u64,
    /// The most that has been resident, likewise.
    pub(crate) peak_kib: u64,
}

impl Usage {
    /// Of all processes in this group.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn of_group(group: u32) -> Result<Self> {
        let mut usage = Self::default();
        let mut found = false;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may end at any time.
            let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
                continue;
            };
            match Stat::parse(&stat) {
                Some(stat) if stat.group == group => usage.add(process, &stat),
                _ => continue,
            }
            found = true;
        }
        ensure!(found, "nothing runs in the process group {group}");
        Ok(usage)
    }

    fn add(&mut self, process: u32, stat: &Stat) {
        self.ticks_us += stat.cpu_us;
        if let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) {
            self.resident_kib += status_kib(&status, "VmRSS").unwrap_or(0);
            self.peak_kib += status_kib(&status, "VmHWM").unwrap_or(0);
        }
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
            return;
        };
        for thread in threads.flatten() {
            let id = thread
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let times = fs::read_to_string(thread.path().join("schedstat"));
            if let (Some(id), Ok(times)) = (id, times)
                && let Some(time) = schedstat_us(&times)
            {
                self.threads.insert(id, time);
            }
        }
    }

    /// Processor time since an earlier look, in µs: as the scheduler counts it, to the nanosecond,
    /// or in ticks where it does not.
    pub(crate) fn cpu_us_since(&self, before: &Self) -> f64 {
        if self.threads.is_empty() {
            return self.ticks_us - before.ticks_us;
        }
        self.threads
            .iter()
            .map(|(thread, time)| time - before.threads.get(thread).copied().unwrap_or(0.0))
            .sum()
    }

    /// Whether the scheduler counts time here.
    pub(crate) fn is_fine(&self) -> bool {
        !self.threads.is_empty()
    }
}

/// What we need of `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    /// Its own and of children that were waited for.
    cpu_us: f64,
}

impl Stat {
    /// Fields 5 and 14 to 17 of `proc_pid_stat(5)`; the name before them may have spaces in it.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<_> = fields.split(' ').collect();
        let mut ticks = 0.0;
        for field in fields.get(11..15)? {
            ticks += field.parse::<f64>().ok()?;
        }
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            cpu_us: ticks * MICROS_PER_TICK,
        })
    }
}

/// The first field of `/proc/PID/task/TID/schedstat`: nanoseconds on a processor.
fn schedstat_us(times: &str) -> Option<f64> {
    let nanos: f64 = times.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1000.0)
}

/// A line of `/proc/PID/status`, such as `VmRSS:      6020 kB`.
fn status_kib(status: &str, key: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Stat, Usage, schedstat_us, status_kib};

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "42 (a ) b) S 1 40 3 4 5 6 7 8 9 10 250 50 3 1 20 0 4 0 100";
        assert_eq!(
            Stat::parse(stat),
            Some(Stat {
                group: 40,
                cpu_us: 3_040_000.0
            })
        );
        assert_eq!(Stat::parse("42"), None);
        assert_eq!(Stat::parse("42 (x) S 1 40"), None);
    }

    #[test]
    fn the_scheduler_counts_in_nanoseconds() {
        assert_eq!(
            schedstat_us("1553443985 3357324306 42454\n"),
            Some(1_553_443.985)
        );
        assert_eq!(schedstat_us(""), None);
    }

    #[test]
    fn memory_is_found_by_its_key() {
        let status = "Name:\tnginx\nVmHWM:\t    7020 kB\nVmRSS:\t    6020 kB\n";
        assert_eq!(status_kib(status, "VmRSS"), Some(6020));
        assert_eq!(status_kib(status, "VmHWM"), Some(7020));
        assert_eq!(status_kib(status, "Vm"), None);
    }

    #[test]
    fn time_is_summed_over_threads_also_of_those_that_came_later() {
        let usage = |threads: &[(u32, f64)], ticks_us| Usage {
            threads: threads.iter().copied().collect(),
            ticks_us,
            ..Usage::default()
        };
        let before = usage(&[(1, 10.0), (2, 5.0)], 0.0);
        let after = usage(&[(1, 30.0), (3, 7.0)], 10_000.0);
        assert_eq!(after.cpu_us_since(&before), 27.0);
        assert_eq!(usage(&[], 20_000.0).cpu_us_since(&before), 20_000.0);
    }

    #[test]
    fn this_process_is_found_by_its_group() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let group = Stat::parse(&stat).unwrap().group;
        let usage = Usage::of_group(group).unwrap();
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib);
        assert!(Usage::of_group(u32::MAX).is_err());
    }
}
