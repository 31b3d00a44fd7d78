//! Figures of several rounds, and what may be concluded from them.

use super::contender::Contender;
use super::load::Figures;
use super::plan::Setting;
use super::statistics::Spread;

/// One turn of one contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) round: u32,
    pub(crate) setting: Setting,
    pub(crate) contender: Contender,
    pub(crate) figures: Figures,
    /// Processor time of what was measured.
    pub(crate) cpu_us: f64,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
}

/// Something that a run says.
pub(crate) type Figure = fn(&Run) -> f64;

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
impl Run {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.figures.requests as f64 / self.figures.seconds
    }

    pub(crate) fn p50_us(&self) -> f64 {
        self.figures.p50_us
    }

    pub(crate) fn p99_us(&self) -> f64 {
        self.figures.p99_us
    }

    /// Processor time of one request.
    pub(crate) fn cpu_us_each(&self) -> f64 {
        self.cpu_us / self.figures.requests as f64
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        self.resident_kib as f64 / 1024.0
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// All runs, in rounds that took turns.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) runs: Vec<Run>,
}

impl Results {
    /// The runs of one contender, one a round.
    pub(crate) fn of(&self, setting: Setting, contender: Contender) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(move |run| run.setting == setting && run.contender == contender)
    }

    /// A figure over the rounds; `None` if it was not measured.
    pub(crate) fn spread(
        &self,
        setting: Setting,
        contender: Contender,
        figure: Figure,
    ) -> Option<Spread> {
        Spread::of(self.of(setting, contender).map(figure))
    }

    pub(crate) fn errors(&self, setting: Setting, contender: Contender) -> u64 {
        self.of(setting, contender)
            .map(|run| run.figures.errors)
            .sum()
    }

    /// A figure beside another contender's: the ratios within each round, since a machine's speed
    /// changes from round to round. `None` if a run of the two had errors (a failed request costs
    /// less than one that is answered), or if the two were not measured in the same rounds.
    pub(crate) fn ratio(
        &self,
        setting: Setting,
        contender: Contender,
        other: Contender,
        figure: Figure,
    ) -> Option<Spread> {
        if self.errors(setting, contender) + self.errors(setting, other) > 0 {
            return None;
        }
        let ratios = self.of(setting, contender).map(|run| {
            let beside = self
                .of(setting, other)
                .find(|beside| beside.round == run.round)?;
            Some(figure(run) / figure(beside))
        });
        Spread::of(ratios.collect::<Option<Vec<_>>>()?)
    }

    /// The settings that were measured, in order.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let mut settings: Vec<_> = self.runs.iter().map(|run| run.setting).collect();
        settings.sort_unstable();
        settings.dedup();
        settings
    }

    /// Who was measured there, in the report's order.
    pub(crate) fn contenders(&self, setting: Setting) -> Vec<Contender> {
        Contender::ALL
            .iter()
            .copied()
            .filter(|&contender| self.of(setting, contender).next().is_some())
            .collect()
    }
}

/// Results for tests: nothing but rates and errors.
#[cfg(test)]
pub(crate) mod samples {
    use super::{Figures, Results, Run};
    use crate::bench::contender::Contender;
    use crate::bench::plan::{Part, Setting};

    pub(crate) const AT_32: Setting = Setting {
        part: Part::Small,
        connections: 32,
    };

    /// A round for each pair of requests and errors.
    pub(crate) fn runs(contender: Contender, rounds: &[(u64, u64)]) -> Vec<Run> {
        let run = |(&(requests, errors), round): (&(u64, u64), u32)| Run {
            round,
            setting: AT_32,
            contender,
            figures: Figures {
                requests,
                errors,
                seconds: 1.0,
                p50_us: 1000.0,
                p99_us: 2000.0,
                bytes: 0.0,
            },
            cpu_us: 30_000.0,
            resident_kib: 10 * 1024,
            peak_kib: 12 * 1024,
        };
        rounds.iter().zip(1..).map(run).collect()
    }

    pub(crate) fn results(runs: &[Vec<Run>]) -> Results {
        Results {
            runs: runs.concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{AT_32, results, runs};
    use super::{Contender, Run};

    #[test]
    fn ratios_are_of_the_same_round() {
        let results = results(&[
            runs(Contender::Nginx, &[(1000, 0), (500, 0), (100, 0)]),
            runs(Contender::Bearer, &[(900, 0), (450, 0), (90, 0)]),
        ]);
        let ratio = results
            .ratio(AT_32, Contender::Bearer, Contender::Nginx, Run::rate)
            .unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.9, 0.9, 0.9));
        let rate = results.spread(AT_32, Contender::Bearer, Run::rate).unwrap();
        assert_eq!((rate.median, rate.min, rate.max), (450.0, 90.0, 900.0));
    }

    #[test]
    fn no_ratio_comes_from_runs_with_errors() {
        let ratio = |nginx: u64, gateway: u64| {
            results(&[
                runs(Contender::Nginx, &[(1000, 0), (1000, nginx)]),
                runs(Contender::Bearer, &[(900, gateway), (900, 0)]),
            ])
            .ratio(AT_32, Contender::Bearer, Contender::Nginx, Run::rate)
        };
        assert!(ratio(0, 0).is_some());
        assert!(ratio(1, 0).is_none());
        assert!(ratio(0, 1).is_none());
    }

    #[test]
    fn no_ratio_comes_from_rounds_that_one_of_the_two_missed() {
        let ratio = |nginx: &[(u64, u64)]| {
            results(&[
                runs(Contender::Nginx, nginx),
                runs(Contender::Bearer, &[(900, 0), (900, 0)]),
            ])
            .ratio(AT_32, Contender::Bearer, Contender::Nginx, Run::rate)
        };
        assert!(ratio(&[(1000, 0)]).is_none());
        assert!(ratio(&[]).is_none());
    }
}
