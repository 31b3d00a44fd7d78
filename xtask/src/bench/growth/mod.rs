//! `cargo xtask bench growth`: what a request costs, and how much memory the gateway takes, as routes,
//! tokens, issuers, keys and connections grow.

mod dimension;
mod load;
mod report;
mod results;
mod specimen;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use self::dimension::Dimension;
use self::report::Report;
use self::results::Results;
use self::specimen::Specimen;
use super::comparison::{command_line, keep};
use super::ground::{Built, Ground};
use super::machine::Machine;
use super::manner::Manner;
use super::plan::order;
use super::process::{Server, allow_many_files, bound};
use super::progress::Progress;
use super::tools::Tools;
use crate::gateway::free_address;
use crate::signals::until_stopped;

/// Rounds of a whole measurement, and of a short look.
const ROUNDS: u32 = 7;
const QUICK_ROUNDS: u32 = 2;

/// How long a turn is measured, in milliseconds; likewise.
const MILLIS: u64 = 500;
const QUICK_MILLIS: u64 = 300;

/// Files that a process has open beside its connections.
const SPARE_FILES: u64 = 1_024;

/// What a request costs, and how much memory the gateway takes, as it is given more of something.
#[derive(Args)]
#[command(after_long_help = NOTES)]
pub(crate) struct Growth {
    /// What to let grow, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Option<Vec<Dimension>>,
    /// How many rounds; in each, every size has its turn, in an order that changes [default: 7]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: Option<u32>,
    /// A short look: 2 rounds of short turns, and not the largest sizes
    #[arg(long)]
    quick: bool,
    /// Writes the report to docs/benchmarks/ even if parts are left out
    #[arg(long, overrides_with = "no_write")]
    write: bool,
    /// Does not write the report, even if it is whole
    #[arg(long)]
    no_write: bool,
    #[command(flatten)]
    manner: Manner,
}

/// What `--help` ends with.
const NOTES: &str = "\
For each size a gateway is started with one worker, checked, and sent every request once. Then the
sizes of one thing take turns, in rounds, and the processor time of the gateway is divided by the
requests. The largest sizes need some 6 GiB of memory and 1 GiB of disk.

Examples:
  cargo xtask bench growth                       everything; some 7 minutes; writes docs/benchmarks/
  cargo xtask bench growth --quick               a short look; writes nothing
  cargo xtask bench growth --only routes,tokens";

impl Growth {
    /// Measures, prints the report, and writes it if it is whole.
    ///
    /// # Errors
    /// If something cannot be built, does not start, or a request is not answered as it should be.
    pub(crate) fn run(self) -> Result<()> {
        let tools = Tools::look();
        // Before the build, which is a load of its own.
        let machine = Machine::describe(&tools, &self.manner)?;
        if let Some(busy) = machine.busy() {
            println!("{busy}");
        }
        let built = self.manner.build()?;
        let report = until_stopped(self.measure(machine, built, tools))?;
        println!("\n{}", report::markdown(&report));
        if self.no_write {
            return Ok(());
        }
        keep(&self.lacks(&report), self.write, |folder| {
            report::write(&report, folder)
        })
    }

    async fn measure(&self, machine: Machine, built: Built, tools: Tools) -> Result<Report> {
        let files = allow_many_files();
        let ground = Ground::lay(built, tools).await?;
        let address = free_address()?;
        let mut serves = bound(ground.parts());
        serves.args(["issuers", "--listen", &address.to_string()]);
        let log = ground.folder().join("issuers.txt");
        let _issuers = Server::start(serves, address, log).context("the issuers do not start")?;

        let (rounds, millis) = if self.quick {
            (QUICK_ROUNDS, QUICK_MILLIS)
        } else {
            (ROUNDS, MILLIS)
        };
        let rounds = self.rounds.unwrap_or(rounds);
        let only = self.only.as_deref().unwrap_or(Dimension::ALL);
        let mut notes = vec![format!("The upstream is {}.", ground.upstream_name())];
        notes.extend(machine.busy());
        let mut sizes = Vec::new();
        for &dimension in Dimension::ALL.iter().filter(|one| only.contains(one)) {
            let (fit, too_many) = dimension.sizes(self.quick).into_iter().partition(|&size| {
                u64::from(dimension.shape(size).connections) + SPARE_FILES <= files
            });
            let too_many: Vec<u32> = too_many;
            for size in too_many {
                notes.push(format!(
                    "{size} connections are left out: {files} open files are allowed (`ulimit -n`)."
                ));
            }
            sizes.push((dimension, fit));
        }
        let count: usize = sizes
            .iter()
            .map(|(_, sizes): &(_, Vec<u32>)| sizes.len())
            .sum();
        let turns = count * (1 + usize::try_from(rounds)?);
        let mut field = Field {
            ground: &ground,
            issuers: address,
            rounds,
            time: Duration::from_millis(millis),
            progress: Progress::new(turns),
            results: Results::default(),
        };
        for (dimension, sizes) in &sizes {
            field.measure(*dimension, sizes).await?;
        }
        Ok(Report {
            results: field.results,
            machine,
            command: command_line(),
            rounds,
            millis,
            notes,
            is_quick: self.quick,
        })
    }

    /// What this measurement lacks to be a whole one.
    fn lacks(&self, report: &Report) -> Vec<&'static str> {
        let sizes = |dimension: &Dimension| report.results.points(*dimension).len();
        let whole = |dimension: &Dimension| sizes(dimension) == dimension.sizes(false).len();
        [
            (self.quick, "--quick"),
            (!self.manner.is_released(), "not built as it is released"),
            (!Dimension::ALL.iter().all(whole), "sizes are left out"),
            (report.rounds < ROUNDS, "too few rounds"),
        ]
        .into_iter()
        .filter_map(|(is_lacking, what)| is_lacking.then_some(what))
        .collect()
    }
}

/// Where the turns are taken.
struct Field<'a> {
    ground: &'a Ground,
    issuers: SocketAddr,
    rounds: u32,
    time: Duration,
    progress: Progress,
    results: Results,
}

impl Field<'_> {
    /// All sizes of one thing: each is filled, then they take turns.
    async fn measure(&mut self, dimension: Dimension, sizes: &[u32]) -> Result<()> {
        let mut specimens = Vec::new();
        for &size in sizes {
            self.progress
                .next(&format!("filling: {}: {size}", dimension.name()));
            let filled = Specimen::fill(self.ground, self.issuers, dimension, size).await;
            specimens.push(filled.with_context(|| format!("{}: {size}", dimension.name()))?);
        }
        let places: Vec<_> = (0..specimens.len()).collect();
        for round in 1..=self.rounds {
            for place in order(&places, round) {
                let specimen = &mut specimens[place];
                let what = format!("{}: {}", dimension.name(), specimen.point.size);
                let rounds = self.rounds;
                self.progress
                    .next(&format!("round {round} of {rounds}: {what}"));
                let run = specimen.turn(round, self.time).await.context(what)?;
                ensure!(run.requests > 0, "no request was answered");
                self.results.runs.push(run);
            }
        }
        let points = specimens.iter().map(|specimen| specimen.point);
        self.results.points.extend(points);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::report::Report;
    use super::results::{Results, samples};
    use super::{Dimension, Growth, ROUNDS};
    use crate::bench::machine::Machine;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        growth: Growth,
    }

    fn lacks(line: &str, dimensions: &[Dimension], rounds: u32) -> Vec<&'static str> {
        let mut results = Results::default();
        for dimension in dimensions {
            for size in dimension.sizes(false) {
                let one = samples::results(*dimension, &[(size, &[1.0])]);
                results.points.extend(one.points);
            }
        }
        let report = Report {
            results,
            machine: Machine {
                facts: Vec::new(),
                date: String::new(),
                load: 0.0,
            },
            command: String::new(),
            rounds,
            millis: 1000,
            notes: Vec::new(),
            is_quick: false,
        };
        let line = Line::parse_from(format!("growth {line}").split_whitespace());
        line.growth.lacks(&report)
    }

    #[test]
    fn only_a_whole_measurement_is_written_by_itself() {
        assert_eq!(lacks("", Dimension::ALL, ROUNDS), [""; 0]);
        assert_eq!(lacks("--quick", Dimension::ALL, ROUNDS).len(), 1);
        assert_eq!(lacks("--profile quick", Dimension::ALL, ROUNDS).len(), 1);
        assert_eq!(lacks("--unguided", Dimension::ALL, ROUNDS).len(), 1);
        assert_eq!(lacks("", &Dimension::ALL[1..], ROUNDS).len(), 1);
        assert_eq!(lacks("", Dimension::ALL, ROUNDS - 1).len(), 1);
    }
}
