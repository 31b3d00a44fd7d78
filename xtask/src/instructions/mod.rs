//! `cargo xtask instructions`: how many instructions a request takes, by valgrind's callgrind, beside
//! the figures that the repository keeps.

mod callgrind;
mod count;
mod kept;
mod page;
mod profile;
mod proxies;
mod scenario;
mod wire;

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use self::count::{Counter, PROFILE};
use self::kept::{Comparison, Figures, grouped};
use self::scenario::{ALL, Kind, Proxy, Scenario};
use crate::workspace::{find, output, program};

/// What is counted, and what becomes of it.
#[derive(Args)]
pub(crate) struct Instructions {
    /// Keeps the figures, and makes docs/benchmarks/instructions.md from them.
    #[arg(long, conflicts_with_all = ["connections", "profile_of"])]
    update: bool,
    /// Counts only this; may be given several times.
    #[arg(long = "scenario", value_name = "NAME", value_parser = scenario::parse)]
    scenarios: Vec<&'static Scenario>,
    /// Shows the functions that take most of this.
    #[arg(long, value_name = "NAME", value_parser = scenario::parse)]
    profile_of: Option<&'static Scenario>,
    /// Counts so many times, and shows how far the figures differ. The middle one counts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    rounds: u8,
    /// Sends requests on so many connections at once, and compares nothing.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    connections: u8,
}

/// Why nothing can be counted on this machine; `None` if it can.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("the kept figures are of Linux on x86_64");
    }
    find("valgrind").is_none().then_some("there is no valgrind")
}

/// Compares everything with what is kept.
///
/// # Errors
/// If something takes more, or cannot be counted.
pub(crate) fn compare() -> Result<()> {
    Instructions {
        update: false,
        scenarios: Vec::new(),
        profile_of: None,
        rounds: 1,
        connections: 1,
    }
    .run()
}

impl Instructions {
    /// Counts; compares, keeps, or shows.
    ///
    /// # Errors
    /// If something takes more than is kept, or cannot be counted.
    pub(crate) fn run(self) -> Result<()> {
        if let Some(obstacle) = obstacle() {
            anyhow::bail!("{obstacle}");
        }
        let counter = Counter::new(usize::from(self.connections))?;
        if let Some(scenario) = self.profile_of {
            let count = counter.count(scenario)?;
            let count = count.ok_or_else(|| anyhow::anyhow!("its program is not installed"))?;
            println!("{}: {}", scenario.name, grouped(count.each));
            return profile::print(&count);
        }
        let now = self.count(&counter)?;
        if self.connections > 1 {
            println!("on {} connections at once:", self.connections);
            for (name, figure) in &now.instructions {
                println!("{:>12}  {name}", grouped(*figure));
            }
            return Ok(());
        }
        if self.update {
            return self.keep(now);
        }
        let kept = Figures::kept()?;
        let comparison = Comparison::new(&now, &kept);
        println!("\n{comparison}");
        comparison.passed()
    }

    fn chosen(&self) -> Vec<&'static Scenario> {
        if self.scenarios.is_empty() {
            return ALL.iter().collect();
        }
        self.scenarios.clone()
    }

    fn count(&self, counter: &Counter) -> Result<Figures> {
        let chosen: Vec<_> = self
            .chosen()
            .into_iter()
            // A part has no connections.
            .filter(|scenario| self.connections == 1 || scenario.kind != Kind::Part)
            .collect();
        let mut figures = Figures {
            made_by: made_by()?,
            ..Figures::default()
        };
        let start = Instant::now();
        for (scenario, number) in chosen.iter().zip(1..) {
            let mut rounds = Vec::new();
            for round in 1..=self.rounds {
                progress(&format!(
                    "counting {number} of {}: {}, round {round} of {} ({} s)",
                    chosen.len(),
                    scenario.name,
                    self.rounds,
                    start.elapsed().as_secs()
                ));
                if let Some(count) = counter
                    .count(scenario)
                    .map_err(|error| error.context(scenario.name))?
                {
                    rounds.push(count.each);
                }
            }
            rounds.sort_unstable();
            let (Some(least), Some(most)) = (rounds.first(), rounds.last()) else {
                progress("");
                println!("{}: left out, its program is not installed", scenario.name);
                continue;
            };
            if self.rounds > 1 {
                progress("");
                println!(
                    "{}: {} to {}, which is {:.2} % more",
                    scenario.name,
                    grouped(*least),
                    grouped(*most),
                    100.0 * (*most as f64 / *least as f64 - 1.0)
                );
            }
            figures
                .instructions
                .insert(scenario.name.to_owned(), rounds[rounds.len() / 2]);
        }
        progress("");
        Ok(figures)
    }

    fn keep(&self, now: Figures) -> Result<()> {
        let before = Figures::kept().unwrap_or_default();
        println!("\n{}", Comparison::new(&now, &before));
        // Of programs that are not installed here, and of what was not counted, the figures stay.
        let mut kept = before;
        ensure!(
            self.scenarios.is_empty() || kept.is_made_like(&now),
            "the kept figures are of another compiler or valgrind: count all of them anew"
        );
        kept.made_by.extend(now.made_by);
        kept.instructions.extend(now.instructions);
        kept.instructions
            .retain(|name, _| scenario::named(name).is_some());
        kept.keep()?;
        page::write(&kept)
    }
}

/// One line that is written over; nothing where nobody looks.
fn progress(text: &str) {
    let mut stderr = stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    } else if !text.is_empty() {
        let _ = writeln!(stderr, "{text}");
    }
}

/// What a figure depends on.
fn made_by() -> Result<std::collections::BTreeMap<String, String>> {
    let rustc = output(program("rustc").arg("--version"))?;
    let mut made_by = std::collections::BTreeMap::from([
        ("profile".to_owned(), PROFILE.to_owned()),
        ("rustc".to_owned(), version(&rustc)),
        ("valgrind".to_owned(), version(&callgrind::version()?)),
    ]);
    for proxy in [Proxy::Nginx, Proxy::Haproxy] {
        let name = proxy.program();
        let Some(path) = proxies::installed(name) else {
            continue;
        };
        let told = program(path).arg("-v").output()?;
        // The one writes it here, the other there.
        let told = [told.stdout, told.stderr].concat();
        made_by.insert(name.to_owned(), version(&String::from_utf8_lossy(&told)));
    }
    Ok(made_by)
}

/// `rustc 1.95.0 (59807616e 2026-04-14)` is 1.95.0, and `valgrind-3.19.0` is 3.19.0.
fn version(told: &str) -> String {
    told.split(|c: char| c.is_whitespace() || c == '/' || c == '-')
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or("unknown")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn programs_tell_their_versions_in_several_ways() {
        for (told, is) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", "1.95.0"),
            ("valgrind-3.19.0", "3.19.0"),
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("HAProxy version 2.6.12-1+deb12u4 2026/10/17", "2.6.12"),
            ("nothing", "unknown"),
        ] {
            assert_eq!(version(told), is, "{told}");
        }
    }
}
