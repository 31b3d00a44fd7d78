//! The report as JSON: every run as it was, and the bars.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Report;
use crate::bench::bars::{Bar, Goal, Verdict, bars};
use crate::bench::results::Run;
use crate::bench::statistics::Spread;

pub(super) fn json(report: &Report) -> Result<String> {
    let facts: serde_json::Map<_, _> = report
        .machine
        .facts
        .iter()
        .map(|(what, which)| ((*what).to_owned(), json!(which)))
        .collect();
    let refusals: Vec<_> = report
        .refusals
        .iter()
        .map(|((contender, what), status)| {
            json!({"contender": contender.id(), "what": what, "status": status})
        })
        .collect();
    let whole = json!({
        "command": report.command,
        "date": report.machine.date,
        "quick": report.is_quick,
        "rounds": report.rounds,
        "seconds": report.seconds,
        "machine": facts,
        "notes": report.notes,
        "bars": bars(&report.results).iter().map(bar).collect::<Vec<_>>(),
        "refusals": refusals,
    });
    let whole = serde_json::to_string_pretty(&whole)?;
    let whole = whole.strip_suffix("\n}").context("not an object")?;
    // A line each: there are hundreds.
    let runs = report.results.runs.iter();
    let runs: Vec<_> = runs.map(|one| format!("    {}", run(one))).collect();
    Ok(format!(
        "{whole},\n  \"runs\": [\n{}\n  ]\n}}\n",
        runs.join(",\n")
    ))
}

fn run(run: &Run) -> Value {
    json!({
        "round": run.round,
        "setting": run.setting.id(),
        "contender": run.contender.id(),
        "requests": run.figures.requests,
        "errors": run.figures.errors,
        "seconds": run.figures.seconds,
        "p50_us": run.figures.p50_us,
        "p99_us": run.figures.p99_us,
        "cpu_us": run.cpu_us,
        "resident_kib": run.resident_kib,
        "peak_kib": run.peak_kib,
    })
}

fn bar(bar: &Bar) -> Value {
    let (direction, least, stretch) = match bar.goal {
        Goal::AtLeast { bar, stretch } => ("at least", bar, stretch),
        Goal::AtMost { bar, stretch } => ("at most", bar, stretch),
    };
    json!({
        "what": bar.what,
        "setting": bar.setting.id(),
        "unit": bar.unit.trim(),
        "direction": direction,
        "bar": least,
        "stretch": stretch,
        "measured": bar.measured.map(spread),
        "met": match bar.verdict() {
            Verdict::Beyond | Verdict::Met => Some(true),
            Verdict::NotMet => Some(false),
            Verdict::Unknown => None,
        },
    })
}

fn spread(spread: Spread) -> Value {
    json!({"median": spread.median, "min": spread.min, "max": spread.max})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::json;
    use crate::bench::contender::Contender;
    use crate::bench::machine::Machine;
    use crate::bench::report::Report;
    use crate::bench::results::samples::{results, runs};

    #[test]
    fn every_run_is_in_it_on_a_line_of_its_own() {
        let report = Report {
            results: results(&[runs(Contender::Nginx, &[(1000, 0), (500, 2)])]),
            refusals: BTreeMap::new(),
            machine: Machine {
                facts: Vec::new(),
                date: "2026-01-02".to_owned(),
                load: 0.0,
            },
            command: "cargo xtask bench".to_owned(),
            rounds: 2,
            seconds: 1,
            notes: Vec::new(),
            is_quick: false,
        };
        let text = json(&report).unwrap();
        assert_eq!(text.matches("\n    {\"contender\"").count(), 2, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["runs"][1]["errors"], 2);
        assert_eq!(value["runs"][1]["setting"], "small-32");
        assert_eq!(value["bars"][0]["met"], Value::Null);
    }
}
