//! The report as JSON: every run as it was, and the bars.

use anyhow::Result;
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
        "runs": report.results.runs.iter().map(run).collect::<Vec<_>>(),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&whole)?))
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
