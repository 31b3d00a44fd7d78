//! The comparison from beginning to end: what is asked for, what is built, the rounds, the report.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::contender::Contender;
use super::ground::{Built, Ground};
use super::load::Generators;
use super::machine::Machine;
use super::manner::Manner;
use super::micro;
use super::plan::{Part, Transport, order, settings};
use super::process::allow_many_files;
use super::report::{Report, markdown, write};
use super::results::Results;
use super::tools::Tools;
use super::turns::{Field, Turns, WARM_UP_SECONDS};
use super::usage::Usage;
use crate::signals::until_stopped;
use crate::workspace::root;

/// Numbers of connections of a whole comparison.
const CONNECTIONS: &[u32] = &[1, 32, 128, 1024];

/// Rounds and seconds a turn of a whole comparison.
const ROUNDS: u32 = 5;
const SECONDS: u32 = 3;

/// Where the report of a whole comparison is written.
pub(super) const FOLDER: &str = "docs/benchmarks";

/// What is measured, and for how long.
#[derive(Args)]
pub(crate) struct Comparison {
    /// How many rounds; in each, every contender has its turn, in an order that changes [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: Option<u32>,
    /// How long one turn is measured, in seconds [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: Option<u32>,
    /// Numbers of connections for the small body, separated by commas [default: 1,32,128,1024]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: Option<Vec<u32>>,
    /// Which parts, separated by commas [default: all; with --quick: small]
    #[arg(long, value_delimiter = ',', value_enum)]
    parts: Option<Vec<Part>>,
    /// Which contenders, separated by commas: upstream, nginx, nginx-2, haproxy, haproxy-jwt,
    /// apache-jwt, hyper, gateway, gateway-bearer, gateway-bearer-2, gateway-verified,
    /// gateway-refresh, gateway-password, gateway-flooded [default: all]
    #[arg(long, value_delimiter = ',', value_parser = contender)]
    contenders: Option<Vec<Contender>>,
    /// A short look: 2 rounds, 1 second, 32 connections
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
    /// Runs the benchmarks of single functions as well, before
    #[arg(long)]
    micro: bool,
}

/// Writes a report that lacks nothing, or that is wanted all the same.
///
/// # Errors
/// If it cannot be written.
pub(super) fn keep(
    lacks: &[&str],
    wanted: bool,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    if lacks.is_empty() || wanted {
        write(&root().join(FOLDER))?;
        println!("written to {FOLDER}/");
    } else {
        println!("not written to {FOLDER}/: {}", lacks.join(", "));
    }
    Ok(())
}

fn contender(id: &str) -> Result<Contender, String> {
    Contender::find(id).ok_or_else(|| "no contender of this name".to_owned())
}

impl Comparison {
    /// Measures, prints the report, and writes it if it is whole.
    ///
    /// # Errors
    /// If something cannot be built, does not start, or does not do what it is measured for.
    pub(crate) fn run(self) -> Result<()> {
        if self.micro {
            micro::run_all()?;
        }
        let tools = Tools::look();
        let missing = tools.missing();
        for line in &missing {
            println!("{line}");
        }
        // Before the build, which is a load of its own.
        let machine = Machine::describe(&tools, &self.manner)?;
        if let Some(busy) = machine.busy() {
            println!("{busy}");
        }
        let built = self.manner.build()?;
        let report = until_stopped(self.measure(machine, built, tools, &missing))?;
        println!("\n{}", markdown(&report));
        let lacks = self.lacks(&missing);
        if self.no_write {
            return Ok(());
        }
        keep(&lacks, self.write, |folder| write(&report, folder))
    }

    async fn measure(
        &self,
        machine: Machine,
        built: Built,
        tools: Tools,
        missing: &[String],
    ) -> Result<Report> {
        let ground = Ground::lay(built, tools).await?;
        let generators = Generators::new(ground.tools(), ground.parts(), ground.folder());
        let turns = self.turns(&ground, generators);
        let files = allow_many_files();
        let most = turns.connections_max();
        ensure!(
            files > u64::from(2 * most) + 1024,
            "{files} open files are allowed, too few for {most} connections: raise `ulimit -n`"
        );
        let mut field = Field::new(&ground, generators, &turns);
        field.check_all().await?;
        let mut results = Results::default();
        for round in 1..=turns.rounds {
            for (setting, contenders) in &turns.settings {
                for contender in order(contenders, round) {
                    let run = field.turn(*setting, contender, round).await;
                    let run =
                        run.with_context(|| format!("{}, {}", contender.name(), setting.title()))?;
                    results.runs.push(run);
                }
            }
        }
        let mut notes = notes(&ground, generators, &turns);
        notes.extend(missing.iter().cloned());
        Ok(Report {
            results,
            refusals: field.refusals,
            machine,
            command: command_line(),
            rounds: turns.rounds,
            seconds: turns.seconds,
            notes,
            is_quick: self.quick,
        })
    }

    /// What there is to do with the programs that are here.
    fn turns(&self, ground: &Ground, generators: Generators<'_>) -> Turns {
        let (rounds, seconds, connections, parts) = if self.quick {
            (2, 1, &[32][..], &[Part::Small][..])
        } else {
            (ROUNDS, SECONDS, CONNECTIONS, Part::ALL)
        };
        let parts = self.parts.as_deref().unwrap_or(parts);
        let mut connections = self
            .connections
            .clone()
            .unwrap_or_else(|| connections.to_vec());
        connections.sort_unstable();
        connections.dedup();
        let wanted = self.contenders.as_deref().unwrap_or(Contender::ALL);
        let here = |one: Contender| one.needs().is_none_or(|tool| ground.tools().has(tool));
        let settings = settings(parts, &connections)
            .into_iter()
            .filter(|setting| generators.name(setting.part.transport()).is_some())
            .map(|setting| {
                let contenders = Contender::ALL
                    .iter()
                    .copied()
                    .filter(|one| wanted.contains(one) && one.is_in(setting.part) && here(*one));
                (setting, contenders.collect())
            })
            .collect();
        Turns {
            rounds: self.rounds.unwrap_or(rounds),
            seconds: self.seconds.unwrap_or(seconds),
            settings,
        }
    }

    /// What this comparison lacks to be a whole one.
    fn lacks(&self, missing: &[String]) -> Vec<&'static str> {
        let parts = self.parts.as_ref();
        let connections = self.connections.as_ref();
        [
            (self.quick, "--quick"),
            (!self.manner.is_released(), "not built as it is released"),
            (!missing.is_empty(), "programs are missing"),
            (self.contenders.is_some(), "contenders are left out"),
            (
                parts.is_some_and(|some| Part::ALL.iter().any(|part| !some.contains(part))),
                "parts are left out",
            ),
            (
                connections.is_some_and(|some| CONNECTIONS.iter().any(|one| !some.contains(one))),
                "numbers of connections are left out",
            ),
            (
                self.rounds.is_some_and(|rounds| rounds < ROUNDS),
                "too few rounds",
            ),
            (
                self.seconds.is_some_and(|seconds| seconds < SECONDS),
                "too short turns",
            ),
        ]
        .into_iter()
        .filter_map(|(is_lacking, what)| is_lacking.then_some(what))
        .collect()
    }
}

/// What a reader has to know before the tables.
fn notes(ground: &Ground, generators: Generators<'_>, turns: &Turns) -> Vec<String> {
    let mut notes = vec![format!(
        "The upstream is {}. Every turn starts its contender anew and loads it for {WARM_UP_SECONDS} s \
         before it is measured.",
        ground.upstream_name()
    )];
    let mut by: Vec<_> = turns
        .settings
        .iter()
        .filter_map(|(setting, _)| {
            let transport = match setting.part.transport() {
                Transport::Http1 => "HTTP/1.1",
                Transport::Http2 => "HTTP/2",
                Transport::Tls => "HTTP/1.1 over TLS",
            };
            let generator = generators.name(setting.part.transport())?;
            Some(format!("{transport}: {generator}"))
        })
        .collect();
    by.sort_unstable();
    by.dedup();
    notes.push(format!(
        "The load is made by one thread of: {}.",
        by.join("; ")
    ));
    let is_fine = Usage::of_group(ground.upstream_group()).is_ok_and(|usage| usage.is_fine());
    if !is_fine {
        notes.push(
            "Processor time is counted in hundredths of a second: this kernel has no schedstat."
                .to_owned(),
        );
    }
    notes
}

/// What was typed.
pub(super) fn command_line() -> String {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Comparison;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        comparison: Comparison,
    }

    fn lacks(line: &str, missing: &[String]) -> Vec<&'static str> {
        let line = Line::parse_from(format!("bench {line}").split_whitespace());
        line.comparison.lacks(missing)
    }

    #[test]
    fn only_a_whole_comparison_is_written_by_itself() {
        for line in [
            "",
            "--rounds 9 --seconds 5",
            "--connections 1,32,128,512,1024",
            "--parts flood,tls,http2,large,small",
        ] {
            assert_eq!(lacks(line, &[]), [""; 0], "{line}");
        }
        for line in [
            "--quick",
            "--rounds 4",
            "--seconds 1",
            "--connections 32",
            "--parts small",
            "--contenders nginx",
            "--profile quick",
            "--unguided",
        ] {
            assert_eq!(lacks(line, &[]).len(), 1, "{line}");
        }
        assert_eq!(lacks("", &["no wrk".to_owned()]).len(), 1);
    }
}
