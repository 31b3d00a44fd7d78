//! What was measured as something grew, and what may be concluded from it.

use super::dimension::Dimension;
use crate::bench::statistics::Spread;

/// One size of what grows, beside its turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) dimension: Dimension,
    pub(crate) size: u32,
    /// How long a token is; zero without one.
    pub(crate) token_bytes: u64,
    /// From the start of the process until it accepts.
    pub(crate) start_ms: f64,
    /// Resident when it accepts, with its connections open, and after every request came once.
    pub(crate) started_kib: u64,
    pub(crate) open_kib: u64,
    pub(crate) filled_kib: u64,
    /// After the last turn.
    pub(crate) asked_kib: u64,
    /// Processor time of a request that comes for the first time.
    pub(crate) first_cpu_us: f64,
}

/// One turn of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) dimension: Dimension,
    pub(crate) size: u32,
    pub(crate) round: u32,
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_us: f64,
    pub(crate) resident_kib: u64,
}

impl Run {
    /// Processor time of one request.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn cpu_us_each(&self) -> f64 {
        self.cpu_us / self.requests as f64
    }
}

/// How the cost of a request grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It does not.
    Flat,
    /// By about as much for each tenfold size: so much of the least cost.
    Logarithmic(f64),
    /// Where it is steepest, with the size to this power.
    Grows(f64),
}

/// Up to this ratio, rounds differ by as much.
const FLAT: f64 = 1.15;

/// The greatest power that passes for a logarithm: between two sizes, of which one is tenfold the
/// other, 58 %.
const LOGARITHMIC: f64 = 0.2;

/// Fewer more than this take less memory than two runs of one process differ by.
const FEW: u32 = 900;

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) points: Vec<Point>,
    pub(crate) runs: Vec<Run>,
}

impl Results {
    /// The sizes of a dimension, the fewest first.
    pub(crate) fn points(&self, dimension: Dimension) -> Vec<Point> {
        let points = self.points.iter().copied();
        points
            .filter(|point| point.dimension == dimension)
            .collect()
    }

    fn runs(&self, dimension: Dimension, size: u32) -> impl Iterator<Item = &Run> {
        let of = move |run: &&Run| run.dimension == dimension && run.size == size;
        self.runs.iter().filter(of)
    }

    /// Processor time of a request, over the rounds.
    pub(crate) fn cpu_us(&self, dimension: Dimension, size: u32) -> Option<Spread> {
        Spread::of(self.runs(dimension, size).map(Run::cpu_us_each))
    }

    /// The same beside the first size, within each round.
    pub(crate) fn ratio(&self, dimension: Dimension, size: u32) -> Option<Spread> {
        let first = self.points(dimension).first()?.size;
        let ratios = self.runs(dimension, size).map(|run| {
            let mut first = self.runs(dimension, first);
            let beside = first.find(|beside| beside.round == run.round)?;
            Some(run.cpu_us_each() / beside.cpu_us_each())
        });
        Spread::of(ratios.collect::<Option<Vec<_>>>()?)
    }

    /// How the cost of a request grows; `None` for a single size.
    pub(crate) fn verdict(&self, dimension: Dimension) -> Option<Verdict> {
        let points = self.points(dimension);
        let (first, others) = points.split_first()?;
        let ratios: Option<Vec<_>> = others
            .iter()
            .map(|point| {
                let tenfolds = f64::from(point.size / first.size).log10();
                Some((tenfolds, self.ratio(dimension, point.size)?.median))
            })
            .collect();
        judge(&ratios?)
    }

    /// Bytes that one more of it takes, from the first size to the last; `None` where
    /// there are too few more to tell.
    #[expect(clippy::cast_precision_loss, reason = "some gigabytes at most")]
    pub(crate) fn bytes_each(&self, dimension: Dimension, kib: fn(&Point) -> u64) -> Option<f64> {
        let points = self.points(dimension);
        let (first, last) = (points.first()?, points.last()?);
        let count = last
            .size
            .checked_sub(first.size)
            .filter(|count| *count >= FEW)?;
        let more = kib(last) as f64 - kib(first) as f64;
        Some(more * 1024.0 / f64::from(count))
    }
}

/// By pairs of how many times tenfold, and the ratio to the first there.
fn judge(ratios: &[(f64, f64)]) -> Option<Verdict> {
    ratios.last()?;
    // Beside the cheapest before: one of something may cost more than some of it.
    let (mut before, mut cheapest) = ((0.0, 1.0), (0.0, 1.0));
    let (mut most, mut each, mut steepest) = (1.0_f64, 0.0, 0.0_f64);
    for &(at, ratio) in ratios {
        let more: f64 = ratio / cheapest.1;
        if more > most {
            most = more;
            each = (more - 1.0) / (at - cheapest.0);
        }
        steepest = steepest.max((ratio / before.1).log10() / (at - before.0));
        before = (at, ratio);
        if ratio < cheapest.1 {
            cheapest = before;
        }
    }
    Some(if most <= FLAT {
        Verdict::Flat
    } else if steepest <= LOGARITHMIC {
        Verdict::Logarithmic(each)
    } else {
        Verdict::Grows(steepest)
    })
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Point, Results, Run};
    use crate::bench::growth::dimension::Dimension;

    /// Sizes with the processor time of a request in each round.
    pub(crate) fn results(dimension: Dimension, sizes: &[(u32, &[f64])]) -> Results {
        let mut results = Results::default();
        for (size, costs) in sizes {
            results.points.push(Point {
                dimension,
                size: *size,
                token_bytes: 800,
                start_ms: 12.0,
                started_kib: 10 * 1024,
                open_kib: 11 * 1024,
                filled_kib: 12 * 1024 + u64::from(*size),
                asked_kib: 13 * 1024 + u64::from(*size),
                first_cpu_us: 90.0,
            });
            for (cost, round) in costs.iter().zip(1..) {
                results.runs.push(Run {
                    dimension,
                    size: *size,
                    round,
                    requests: 1000,
                    seconds: 1.0,
                    cpu_us: cost * 1000.0,
                    resident_kib: 13 * 1024,
                });
            }
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::samples::results;
    use super::{Point, Verdict, judge};
    use crate::bench::growth::dimension::Dimension;

    #[test]
    fn ratios_are_of_the_same_round() {
        let results = results(
            Dimension::Tokens,
            &[(1, &[10.0, 20.0, 40.0]), (100, &[11.0, 22.0, 44.0])],
        );
        let ratio = results.ratio(Dimension::Tokens, 100).unwrap();
        assert!((ratio.min - 1.1).abs() < 1e-9 && (ratio.max - 1.1).abs() < 1e-9);
        assert_eq!(results.verdict(Dimension::Tokens), Some(Verdict::Flat));
        assert_eq!(results.verdict(Dimension::Routes), None);
    }

    #[test]
    fn growth_is_judged_by_its_steepest_part() {
        assert_eq!(judge(&[(1.0, 1.1), (2.0, 0.9)]), Some(Verdict::Flat));
        assert_eq!(
            judge(&[(1.0, 1.25), (2.0, 1.5)]),
            Some(Verdict::Logarithmic(0.25))
        );
        assert_eq!(judge(&[(1.0, 1.0), (2.0, 10.0)]), Some(Verdict::Grows(1.0)));
        // One costs twice as much as ten.
        assert_eq!(
            judge(&[(1.0, 0.5), (2.0, 0.625)]),
            Some(Verdict::Logarithmic(0.25))
        );
        // The last is the cheapest.
        assert_eq!(
            judge(&[(1.0, 1.25), (2.0, 0.75)]),
            Some(Verdict::Logarithmic(0.25))
        );
        assert_eq!(judge(&[]), None);
    }

    #[test]
    fn memory_is_counted_for_one_more() {
        let results = results(Dimension::Tokens, &[(1, &[1.0]), (1001, &[1.0])]);
        let each = |kib: fn(&Point) -> u64| results.bytes_each(Dimension::Tokens, kib);
        assert_eq!(each(|point| point.filled_kib), Some(1024.0));
        assert_eq!(each(|point| point.started_kib), Some(0.0));
    }
}
