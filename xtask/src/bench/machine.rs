//! Where the figures come from: the machine, its system and the programs. No names of hosts, no
//! paths.

use std::fs;
use std::thread::available_parallelism;

use anyhow::Result;

use super::manner::Manner;
use super::tools::Tools;
use crate::workspace::{cargo, output, program};

/// Where the figures come from.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Pairs of what and which.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) date: String,
    /// Processes that want to run, over the last minute.
    pub(crate) load: f64,
}

/// From which load a machine is too busy to be measured on.
const BUSY: f64 = 0.5;

impl Machine {
    /// This one, now.
    ///
    /// # Errors
    /// If there is no `date`.
    pub(crate) fn describe(tools: &Tools, manner: &Manner) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let count = available_parallelism().map_or(0, usize::from);
        let model = value(&read("/proc/cpuinfo"), "model name", ':');
        let distribution = value(&read("/etc/os-release"), "PRETTY_NAME", '=');
        let commit = output(program("git").args(["describe", "--always", "--dirty"]));
        let commit = commit.unwrap_or_else(|_| "of no repository".to_owned());
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().and_then(|one| one.parse().ok());
        let load: f64 = load.unwrap_or_default();
        let rust = output(cargo().arg("--version")).unwrap_or_default();
        Ok(Self {
            facts: vec![
                ("processors", format!("{count} × {model}")),
                ("memory", memory(&read("/proc/meminfo"))),
                (
                    "kernel",
                    read("/proc/sys/kernel/osrelease").trim().to_owned(),
                ),
                ("distribution", distribution),
                ("load before", load.to_string()),
                (
                    "gateway",
                    format!(
                        "{}, commit {commit}, {}, {rust}",
                        env!("CARGO_PKG_VERSION"),
                        manner.name()
                    ),
                ),
                ("others", tools.versions().join("; ")),
            ],
            date: output(program("date").args(["-u", "+%Y-%m-%d"]))?,
            load,
        })
    }

    /// What to say if something else keeps the machine busy.
    pub(crate) fn busy(&self) -> Option<String> {
        (self.load > BUSY).then(|| {
            format!(
                "the machine is busy (load {}): what else runs on it will be in the figures",
                self.load
            )
        })
    }
}

/// What a key is said to be, without quotation marks.
fn value(text: &str, key: &str, separator: char) -> String {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(name, _)| name.trim() == key)
        .map_or("unknown", |(_, value)| value.trim().trim_matches('"'))
        .to_owned()
}

fn memory(meminfo: &str) -> String {
    let kib = value(meminfo, "MemTotal", ':');
    match kib.trim_end_matches(" kB").parse::<u64>() {
        Ok(kib) => format!("{} GiB", (kib + 524_288) / 1_048_576),
        Err(_) => kib,
    }
}

#[cfg(test)]
mod tests {
    use super::{memory, value};

    #[test]
    fn facts_are_read_by_their_key() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(value(cpuinfo, "model name", ':'), "AMD EPYC");
        let release = "NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(
            value(release, "PRETTY_NAME", '='),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(value("", "model name", ':'), "unknown");
        assert_eq!(memory("MemTotal:       24637480 kB\n"), "23 GiB");
        assert_eq!(memory(""), "unknown");
    }
}
