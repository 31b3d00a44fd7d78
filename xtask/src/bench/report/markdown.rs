//! The report as Markdown: the bars, a table for each setting, what was refused, and where it ran.

use std::fmt::Write as _;

use super::Report;
use crate::bench::bars::{Bar, Goal, bars};
use crate::bench::contender::{Contender, Credential};
use crate::bench::plan::Setting;
use crate::bench::results::{Figure, Run};
use crate::bench::statistics::Spread;

/// What stands where there is no figure.
const NONE: &str = "–";

/// The whole report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = "# Results\n\n".to_owned();
    if report.is_quick {
        text.push_str("**A short look: too few and too short turns to conclude anything.**\n\n");
    }
    let _ = writeln!(
        text,
        "`{}`, {}: {} rounds of {} s a turn. Figures are medians over the rounds; ratios are \
         medians of the ratios within each round, with the least and the greatest in brackets. \
         [What is measured, and how to read it](README.md).\n",
        report.command, report.machine.date, report.rounds, report.seconds
    );
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    let _ = write!(text, "\n## Bars\n\n{}", bars_table(&bars(&report.results)));
    if report
        .results
        .settings()
        .iter()
        .any(|setting| super::plot::SHOWN.contains(setting))
    {
        text.push_str("\n![Requests a second beside plain nginx](throughput.svg)\n");
    }
    for setting in report.results.settings() {
        let _ = write!(
            text,
            "\n## {}\n\n{}",
            setting.title(),
            table(report, setting)
        );
    }
    if !report.refusals.is_empty() {
        let _ = write!(text, "\n## What was refused\n\n{}", refusals(report));
    }
    text.push_str("\n## Where\n\n| | |\n|---|---|\n");
    let facts = report.machine.facts.iter();
    for (what, which) in facts.filter(|(_, which)| !which.is_empty()) {
        let _ = writeln!(text, "| {what} | {which} |");
    }
    text
}

fn bars_table(bars: &[Bar]) -> String {
    let mut text = "| what | connections | measured | bar | stretch | |\n\
                    |---|---:|---:|---:|---:|---|\n"
        .to_owned();
    for bar in bars {
        let (sign, least, stretch) = match bar.goal {
            Goal::AtLeast { bar, stretch } => ("≥", bar, stretch),
            Goal::AtMost { bar, stretch } => ("≤", bar, stretch),
        };
        let unit = bar.unit;
        let number = |value: f64| match unit {
            "" => format!("{value:.2}"),
            unit => format!("{value:.0}{unit}"),
        };
        let measured = bar.measured.map_or_else(
            || NONE.to_owned(),
            |spread| match unit {
                "" => bracketed(spread),
                unit => format!("{:.1}{unit}", spread.median),
            },
        );
        let _ = writeln!(
            text,
            "| {} | {} | {measured} | {sign} {} | {sign} {} | {} |",
            bar.what,
            bar.setting.connections,
            number(least),
            number(stretch),
            bar.verdict().text(),
        );
    }
    text
}

fn bracketed(spread: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max)
}

fn table(report: &Report, setting: Setting) -> String {
    let results = &report.results;
    let mut text =
        "| contender | req/s | from–to | p50 ms | p99 ms | CPU µs/req | MiB | peak MiB | errors \
         | : nginx | p99 : nginx | : haproxy jwt_verify | : mod_auth_openidc |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    let mut with_errors = Vec::new();
    for contender in results.contenders(setting) {
        let spread = |figure: Figure| results.spread(setting, contender, figure);
        let median = |figure: Figure, digits: usize, factor: f64| {
            spread(figure).map_or_else(
                || NONE.to_owned(),
                |spread| format!("{:.digits$}", spread.median * factor),
            )
        };
        let range = spread(Run::rate).map_or_else(
            || NONE.to_owned(),
            |spread| format!("{:.0}–{:.0}", spread.min, spread.max),
        );
        let ratio = |other: Contender, figure: Figure, applies: bool| {
            results
                .ratio(setting, contender, other, figure)
                .filter(|_| applies)
                .map_or_else(|| NONE.to_owned(), bracketed)
        };
        let checks = contender.credential() != Credential::Carried;
        let errors = results.errors(setting, contender);
        if errors > 0 {
            with_errors.push(contender.name());
        }
        let _ = writeln!(
            text,
            "| {} | {} | {range} | {} | {} | {} | {} | {} | {errors} | {} | {} | {} | {} |",
            contender.name(),
            median(Run::rate, 0, 1.0),
            median(Run::p50_us, 2, 1e-3),
            median(Run::p99_us, 2, 1e-3),
            median(Run::cpu_us_each, 1, 1.0),
            median(Run::resident_mib, 1, 1.0),
            median(Run::peak_mib, 1, 1.0),
            ratio(Contender::Nginx, Run::rate, true),
            ratio(Contender::Nginx, Run::p99_us, true),
            ratio(Contender::HaproxyJwt, Run::rate, checks),
            ratio(Contender::ApacheJwt, Run::rate, checks),
        );
    }
    if !with_errors.is_empty() {
        let _ = writeln!(
            text,
            "\nNo ratio is given where one of the two had errors: {}.",
            with_errors.join("; ")
        );
    }
    text
}

fn refusals(report: &Report) -> String {
    let mut text =
        "Before and after every turn, everybody answered a good request with the whole body, and \
         whoever checks credentials refused bad ones:\n\n| contender | refused, and how |\n|---|---|\n"
            .to_owned();
    for &contender in Contender::ALL {
        let said: Vec<_> = report
            .refusals
            .iter()
            .filter(|((one, _), _)| *one == contender)
            .map(|((_, what), status)| format!("{what}: {status}"))
            .collect();
        if !said.is_empty() {
            let _ = writeln!(text, "| {} | {} |", contender.name(), said.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::markdown;
    use crate::bench::contender::Contender;
    use crate::bench::machine::Machine;
    use crate::bench::report::Report;
    use crate::bench::results::Results;
    use crate::bench::results::samples::{results, runs};

    fn report(results: Results) -> Report {
        Report {
            results,
            refusals: BTreeMap::from([((Contender::Bearer, "no credential"), 401)]),
            machine: Machine {
                facts: vec![("processors", "2 × some".to_owned())],
                date: "2026-01-02".to_owned(),
                load: 0.0,
            },
            command: "cargo xtask bench".to_owned(),
            rounds: 2,
            seconds: 1,
            notes: vec!["the load is wrk's".to_owned()],
            is_quick: false,
        }
    }

    #[test]
    fn a_row_has_medians_and_ratios() {
        let text = markdown(&report(results(&[
            runs(Contender::Nginx, &[(1000, 0), (500, 0)]),
            runs(Contender::Bearer, &[(900, 0), (600, 0)]),
        ])));
        let row = "| gateway, bearer token | 600 | 600–900 | 1.00 | 2.00 | 33.3 | 10.0 | 12.0 | 0 \
                   | 0.90 (0.90–1.20) | 1.00 (1.00–1.00) | – | – |";
        assert!(text.contains(row), "{text}");
        for part in [
            "| gateway, bearer token | no credential: 401 |",
            "| processors | 2 × some |",
            "- the load is wrk's",
            "nginx, plain | 32 | 0.90 (0.90–1.20) | ≥ 1.05 | ≥ 1.30 | **not met** |",
            "peak memory, cached bearer token | 1024 | – | ≤ 40 MiB | ≤ 20 MiB | not measured |",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("short look"));
    }

    #[test]
    fn errors_take_the_ratio_and_are_named() {
        let text = markdown(&report(results(&[
            runs(Contender::Nginx, &[(1000, 0)]),
            runs(Contender::Bearer, &[(900, 3)]),
        ])));
        assert!(text.contains("| 3 | – | – | – | – |"), "{text}");
        assert!(
            text.contains("had errors: gateway, bearer token."),
            "{text}"
        );
    }

    #[test]
    fn a_short_look_says_that_it_is_one() {
        let mut report = report(Results::default());
        report.is_quick = true;
        assert!(markdown(&report).contains("A short look"));
    }
}
