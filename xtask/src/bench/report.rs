//! Figures of several rounds, and what may be concluded from them.

use std::fmt;

/// One run of one scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) requests: f64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of what was measured.
    pub(crate) cpu_us: f64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.requests / self.seconds
    }
}

/// The runs of one scenario, one a round.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) runs: Vec<Run>,
}

/// All scenarios, in rounds that took turns; the one at `baseline` is what the others are compared
/// with.
pub(crate) struct Report {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) baseline: usize,
}

impl Report {
    /// How fast a scenario is beside the baseline: the median of the ratios within each round, since
    /// a machine's speed changes from round to round. `None` if a run had errors: a failed request
    /// costs less than one that is answered.
    fn ratio(&self, scenario: &Scenario) -> Option<f64> {
        let baseline = self.scenarios.get(self.baseline)?;
        let clean = |scenario: &Scenario| scenario.runs.iter().all(|run| run.errors == 0);
        if !clean(scenario) || !clean(baseline) {
            return None;
        }
        median(
            scenario
                .runs
                .iter()
                .zip(&baseline.runs)
                .map(|(run, base)| run.rate() / base.rate()),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| scenario | req/s | p50 ms | p99 ms | CPU µs/req | errors | ratio |\n\
             |---|---:|---:|---:|---:|---:|---:|"
        )?;
        for scenario in &self.scenarios {
            let of = |figure: fn(&Run) -> f64| {
                median(scenario.runs.iter().map(figure)).unwrap_or_default()
            };
            let errors: u64 = scenario.runs.iter().map(|run| run.errors).sum();
            let ratio = self
                .ratio(scenario)
                .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            writeln!(
                f,
                "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {errors} | {ratio} |",
                scenario.name,
                of(Run::rate),
                of(|run| run.p50_us / 1000.0),
                of(|run| run.p99_us / 1000.0),
                of(|run| run.cpu_us / run.requests),
            )?;
        }
        Ok(())
    }
}

/// The middle one; of two, the lower.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    values.get(last / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::{Report, Run, Scenario};

    fn scenario(name: &'static str, runs: &[(f64, u64)]) -> Scenario {
        let run = |&(requests, errors): &(f64, u64)| Run {
            requests,
            errors,
            seconds: 1.0,
            p50_us: 1000.0,
            p99_us: 2000.0,
            cpu_us: requests * 30.0,
        };
        Scenario {
            name,
            runs: runs.iter().map(run).collect(),
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let report = Report {
            scenarios: vec![
                scenario("plain", &[(1000.0, 0), (500.0, 0), (100.0, 0)]),
                scenario("gateway", &[(900.0, 0), (450.0, 0), (90.0, 0)]),
            ],
            baseline: 0,
        };
        let table = report.to_string();
        assert!(
            table.contains("| gateway | 450 | 1.00 | 2.00 | 30.0 | 0 | 0.90 |"),
            "{table}"
        );
    }

    #[test]
    fn no_ratio_comes_from_runs_with_errors() {
        let ratios = |plain: u64, gateway: u64| {
            let report = Report {
                scenarios: vec![
                    scenario("plain", &[(1000.0, plain)]),
                    scenario("gateway", &[(900.0, gateway)]),
                ],
                baseline: 0,
            };
            report.ratio(&report.scenarios[1])
        };
        assert!(ratios(0, 0).is_some());
        assert!(ratios(1, 0).is_none());
        assert!(ratios(0, 1).is_none());
    }
}
