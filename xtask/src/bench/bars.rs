//! What the gateway is to reach, and whether it does.

use super::contender::Contender;
use super::plan::{Part, Setting};
use super::results::{Figure, Results, Run};
use super::statistics::Spread;

/// Which side of a bar is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtLeast { bar: f64, stretch: f64 },
    AtMost { bar: f64, stretch: f64 },
}

/// How a figure stands to its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With the stretch, too.
    Beyond,
    Met,
    NotMet,
    /// Not measured, or with errors.
    Unknown,
}

/// Something to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) what: &'static str,
    pub(crate) setting: Setting,
    /// Behind a figure: nothing for a ratio.
    pub(crate) unit: &'static str,
    pub(crate) measured: Option<Spread>,
    pub(crate) goal: Goal,
}

impl Bar {
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(measured) = self.measured.map(|spread| spread.median) else {
            return Verdict::Unknown;
        };
        let (is_met, is_beyond) = match self.goal {
            Goal::AtLeast { bar, stretch } => (measured >= bar, measured >= stretch),
            Goal::AtMost { bar, stretch } => (measured <= bar, measured <= stretch),
        };
        match (is_met, is_beyond) {
            (_, true) => Verdict::Beyond,
            (true, false) => Verdict::Met,
            (false, false) => Verdict::NotMet,
        }
    }
}

impl Verdict {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Beyond => "met, and the stretch",
            Self::Met => "met",
            Self::NotMet => "**not met**",
            Self::Unknown => "not measured",
        }
    }
}

/// The bars that are ratios: what, of whom to whom, of which figure.
const RATIOS: &[(&str, Contender, Contender, Figure, Goal)] = &[
    (
        "requests/s, cached bearer token : nginx, plain",
        Contender::Bearer,
        Contender::Nginx,
        Run::rate,
        Goal::AtLeast {
            bar: 1.05,
            stretch: 1.3,
        },
    ),
    (
        "requests/s, cached refresh token : nginx, plain",
        Contender::Refresh,
        Contender::Nginx,
        Run::rate,
        Goal::AtLeast {
            bar: 1.05,
            stretch: 1.3,
        },
    ),
    (
        "requests/s, every token verified : haproxy, jwt_verify",
        Contender::Verified,
        Contender::HaproxyJwt,
        Run::rate,
        Goal::AtLeast {
            bar: 1.4,
            stretch: 1.7,
        },
    ),
    (
        "requests/s, cached bearer token : Apache, mod_auth_openidc",
        Contender::Bearer,
        Contender::ApacheJwt,
        Run::rate,
        Goal::AtLeast {
            bar: 4.5,
            stretch: 6.0,
        },
    ),
    (
        "p99, cached bearer token : nginx, plain",
        Contender::Bearer,
        Contender::Nginx,
        Run::p99_us,
        Goal::AtMost {
            bar: 1.1,
            stretch: 0.8,
        },
    ),
    (
        "requests/s, cached bearer token : gateway without plugin",
        Contender::Bearer,
        Contender::Gateway,
        Run::rate,
        Goal::AtLeast {
            bar: 0.95,
            stretch: 0.98,
        },
    ),
];

/// Where the ratios are looked at.
const CONNECTIONS: [u32; 2] = [32, 128];

/// Where memory is.
const MANY: u32 = 1024;

/// All bars, with what was measured.
pub(crate) fn bars(results: &Results) -> Vec<Bar> {
    let small = |connections| Setting {
        part: Part::Small,
        connections,
    };
    let mut bars = Vec::new();
    for &(what, contender, other, figure, goal) in RATIOS {
        for setting in CONNECTIONS.map(small) {
            bars.push(Bar {
                what,
                setting,
                unit: "",
                measured: results.ratio(setting, contender, other, figure),
                goal,
            });
        }
    }
    let setting = small(MANY);
    let clean = results.errors(setting, Contender::Bearer) == 0;
    bars.push(Bar {
        what: "peak memory, cached bearer token",
        setting,
        unit: " MiB",
        measured: results
            .spread(setting, Contender::Bearer, Run::peak_mib)
            .filter(|_| clean),
        goal: Goal::AtMost {
            bar: 40.0,
            stretch: 20.0,
        },
    });
    bars
}

#[cfg(test)]
mod tests {
    use super::{Contender, Verdict, bars};
    use crate::bench::results::samples::{results, runs};

    #[test]
    fn a_bar_is_met_at_it_and_unknown_without_both_sides() {
        let verdicts = |gateway: u64| {
            let results = results(&[
                runs(Contender::Nginx, &[(1000, 0)]),
                runs(Contender::Bearer, &[(gateway, 0)]),
            ]);
            let bars = bars(&results);
            let refresh = bars.iter().find(|bar| bar.what.contains("refresh"));
            assert_eq!(refresh.unwrap().verdict(), Verdict::Unknown);
            bars[0].verdict()
        };
        assert_eq!(verdicts(1049), Verdict::NotMet);
        assert_eq!(verdicts(1050), Verdict::Met);
        assert_eq!(verdicts(1300), Verdict::Beyond);
    }

    #[test]
    fn less_is_better_where_it_is() {
        let results = results(&[
            runs(Contender::Nginx, &[(1000, 0)]),
            runs(Contender::Bearer, &[(1000, 0)]),
        ]);
        let bars = bars(&results);
        let latency = bars.iter().find(|bar| bar.what.starts_with("p99")).unwrap();
        assert_eq!(latency.verdict(), Verdict::Met);
    }
}
