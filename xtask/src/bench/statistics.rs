//! The middle of some figures, and how far they lie apart.

/// Some figures in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The middle one; of two, the lower.
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        Some(Self {
            median: figures[last / 2],
            min: figures[0],
            max: figures[last],
        })
    }
}

/// The value below which so many of a hundred are.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::{Spread, percentile};

    #[test]
    fn the_middle_of_two_is_the_lower() {
        let spread = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[2.0, 1.0]).unwrap().median, 1.0);
        let three = spread(&[3.0, 9.0, 1.0]).unwrap();
        assert_eq!((three.median, three.min, three.max), (3.0, 1.0, 9.0));
    }

    #[test]
    fn percentiles_are_of_what_there_is() {
        let thousand: Vec<_> = (1..=1000).collect();
        assert_eq!(percentile(&thousand, 50), Some(500));
        assert_eq!(percentile(&thousand, 99), Some(990));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
