//! The report: as Markdown to read, as JSON to reckon with.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::dimension::Dimension;
use super::results::{Point, Results, Run, Verdict};
use crate::bench::machine::Machine;
use crate::bench::statistics::Spread;

/// What stands where there is no figure.
const NONE: &str = "–";

/// Everything that was found out.
pub(crate) struct Report {
    pub(crate) results: Results,
    pub(crate) machine: Machine,
    /// As it would be typed.
    pub(crate) command: String,
    pub(crate) rounds: u32,
    /// How long a turn was.
    pub(crate) millis: u64,
    /// What a reader has to know before the tables.
    pub(crate) notes: Vec<String>,
    /// Whether it is only a short look.
    pub(crate) is_quick: bool,
}

/// Writes the files of a report to this folder.
///
/// # Errors
/// If one cannot be written.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in [
        ("growth.md", markdown(report)),
        ("growth.json", json(report)?),
    ] {
        fs::write(folder.join(name), text).with_context(|| format!("{name} cannot be written"))?;
    }
    Ok(())
}

/// The whole report.
pub(crate) fn markdown(report: &Report) -> String {
    let results = &report.results;
    let mut text = "# Growth\n\n".to_owned();
    if report.is_quick {
        text.push_str("**A short look: too few and too short turns to conclude anything.**\n\n");
    }
    let _ = writeln!(
        text,
        "What a request costs, and how much memory the gateway takes, as it is given more of one \
         thing.\n\n`{}`, {}: {} rounds of {} ms a turn, one worker. [What is measured, and how to \
         read it](README.md#growth).\n",
        report.command, report.machine.date, report.rounds, report.millis
    );
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    text.push_str("\n| what grows | from | to | cost of a request | memory of one more |\n|---|---:|---:|---|---:|\n");
    let measured = || {
        Dimension::ALL
            .iter()
            .filter(|one| !results.points(**one).is_empty())
    };
    for &dimension in measured() {
        let points = results.points(dimension);
        let size = |point: Option<&Point>| point.map_or_else(String::new, |one| grouped(one.size));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            dimension.name(),
            size(points.first()),
            size(points.last()),
            verdict(results.verdict(dimension)),
            results
                .bytes_each(dimension, |point| point.asked_kib)
                .map_or_else(|| NONE.to_owned(), bytes),
        );
    }
    for &dimension in measured() {
        let _ = write!(text, "\n{}", section(results, dimension));
    }
    text.push_str("\n## Where\n\n| | |\n|---|---|\n");
    let facts = report.machine.facts.iter();
    for (what, which) in facts.filter(|(_, which)| !which.is_empty()) {
        let _ = writeln!(text, "| {what} | {which} |");
    }
    text
}

fn section(results: &Results, dimension: Dimension) -> String {
    let name = dimension.name();
    let (first, rest) = name.split_at(1);
    let mut text = format!(
        "## {}{rest}\n\n| {} | CPU µs/req | : first | first request µs | start ms | MiB started | open | filled | asked |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        first.to_uppercase(),
        dimension.plural(),
    );
    let points = results.points(dimension);
    for (place, point) in points.iter().enumerate() {
        let ratio = results
            .ratio(dimension, point.size)
            .filter(|_| place > 0)
            .map_or_else(|| NONE.to_owned(), |ratio| bracketed(ratio, 2));
        let cost = results.cpu_us(dimension, point.size);
        let _ = writeln!(
            text,
            "| {} | {} | {ratio} | {:.1} | {:.0} | {} | {} | {} | {} |",
            grouped(point.size),
            cost.map_or_else(|| NONE.to_owned(), |cost| bracketed(cost, 1)),
            point.first_cpu_us,
            point.start_ms,
            mib(point.started_kib),
            mib(point.open_kib),
            mib(point.filled_kib),
            mib(point.asked_kib),
        );
    }
    let _ = writeln!(
        text,
        "\n**{}.** {}",
        conclusion(results, dimension),
        dimension.why()
    );
    text
}

/// One sentence, by the figures.
fn conclusion(results: &Results, dimension: Dimension) -> String {
    let mut text = verdict(results.verdict(dimension));
    if let Some(first) = text.get(..1) {
        text.replace_range(..1, &first.to_uppercase());
    }
    let points = results.points(dimension);
    let last = points
        .last()
        .and_then(|point| results.ratio(dimension, point.size));
    if let (Some(ratio), Some(point)) = (last, points.last()) {
        let _ = write!(
            text,
            ": with {} {} a request costs {:.2} times what it costs with one",
            grouped(point.size),
            dimension.plural(),
            ratio.median
        );
    }
    let each = |kib: fn(&Point) -> u64| results.bytes_each(dimension, kib);
    if let Some(asked) = each(|point| point.asked_kib) {
        let _ = write!(
            text,
            "; one more {} takes {}",
            dimension.one(),
            bytes(asked)
        );
        if dimension == Dimension::Connections
            && let Some(open) = each(|point| point.open_kib)
        {
            let _ = write!(text, ", and {} until it is asked something", bytes(open));
        }
        if let Some(token) = points.last().map(|point| point.token_bytes)
            && dimension == Dimension::Tokens
        {
            let _ = write!(text, ", of {token} bytes itself");
        }
    }
    text
}

fn verdict(verdict: Option<Verdict>) -> String {
    match verdict {
        None => NONE.to_owned(),
        Some(Verdict::Flat) => "flat".to_owned(),
        Some(Verdict::Logarithmic(each)) => {
            format!("logarithmic, {:.0} % more for a tenfold size", each * 100.0)
        }
        Some(Verdict::Grows(power)) => {
            format!("grows, at most as the size to the power of {power:.2}")
        }
    }
}

fn bracketed(spread: Spread, digits: usize) -> String {
    format!(
        "{:.digits$} ({:.digits$}–{:.digits$})",
        spread.median, spread.min, spread.max
    )
}

#[expect(clippy::cast_precision_loss, reason = "some gigabytes at most")]
fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn bytes(count: f64) -> String {
    if count.abs() < 10_000.0 {
        format!("{count:.0} bytes")
    } else {
        format!("{:.0} KiB", count / 1024.0)
    }
}

/// With its digits in groups of three.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn json(report: &Report) -> Result<String> {
    let facts: serde_json::Map<_, _> = report
        .machine
        .facts
        .iter()
        .map(|(what, which)| ((*what).to_owned(), json!(which)))
        .collect();
    let results = &report.results;
    let verdicts: Vec<_> = Dimension::ALL
        .iter()
        .filter(|one| !results.points(**one).is_empty())
        .map(|&one| json!({"what": one.id(), "verdict": conclusion(results, one)}))
        .collect();
    let whole = json!({
        "command": report.command,
        "date": report.machine.date,
        "quick": report.is_quick,
        "rounds": report.rounds,
        "milliseconds": report.millis,
        "machine": facts,
        "notes": report.notes,
        "verdicts": verdicts,
    });
    let whole = serde_json::to_string_pretty(&whole)?;
    let whole = whole.strip_suffix("\n}").context("not an object")?;
    // A line each: there are hundreds.
    let lines = |values: Vec<Value>| {
        let lines: Vec<_> = values.iter().map(|value| format!("    {value}")).collect();
        lines.join(",\n")
    };
    Ok(format!(
        "{whole},\n  \"sizes\": [\n{}\n  ],\n  \"runs\": [\n{}\n  ]\n}}\n",
        lines(results.points.iter().map(point).collect()),
        lines(results.runs.iter().map(run).collect()),
    ))
}

fn point(point: &Point) -> Value {
    json!({
        "what": point.dimension.id(),
        "size": point.size,
        "token_bytes": point.token_bytes,
        "start_ms": point.start_ms,
        "started_kib": point.started_kib,
        "open_kib": point.open_kib,
        "filled_kib": point.filled_kib,
        "asked_kib": point.asked_kib,
        "first_cpu_us": point.first_cpu_us,
    })
}

fn run(run: &Run) -> Value {
    json!({
        "what": run.dimension.id(),
        "size": run.size,
        "round": run.round,
        "requests": run.requests,
        "seconds": run.seconds,
        "cpu_us": run.cpu_us,
        "resident_kib": run.resident_kib,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::results::samples;
    use super::{Report, grouped, json, markdown};
    use crate::bench::growth::dimension::Dimension;
    use crate::bench::machine::Machine;

    fn report() -> Report {
        let results = samples::results(
            Dimension::Tokens,
            &[(1, &[10.0, 20.0, 30.0]), (100_001, &[11.0, 22.0, 30.0])],
        );
        Report {
            results,
            machine: Machine {
                facts: vec![("processors", "2 × some".to_owned())],
                date: "2026-01-02".to_owned(),
                load: 0.0,
            },
            command: "cargo xtask bench growth".to_owned(),
            rounds: 3,
            millis: 1000,
            notes: vec!["a note".to_owned()],
            is_quick: false,
        }
    }

    #[test]
    fn a_size_has_its_cost_its_ratio_and_its_memory() {
        let text = markdown(&report());
        for part in [
            "| cached tokens | 1 | 100 001 | flat | 1024 bytes |",
            "| 1 | 20.0 (10.0–30.0) | – | 90.0 | 12 | 10.0 | 11.0 | 12.0 | 13.0 |",
            "| 100 001 | 22.0 (11.0–30.0) | 1.10 (1.00–1.10) | 90.0 | 12 | 10.0 | 11.0 | 109.7 | 110.7 |",
            "**Flat: with 100 001 cached tokens a request costs 1.10 times what it costs with one; \
             one more cached token takes 1024 bytes, of 800 bytes itself.**",
            "| processors | 2 × some |",
            "- a note",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("short look"));
    }

    #[test]
    fn every_turn_is_in_it_on_a_line_of_its_own() {
        let text = json(&report()).unwrap();
        assert_eq!(text.matches("\n    {\"cpu_us\"").count(), 6, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["runs"][5]["size"], 100_001);
        assert_eq!(value["sizes"][0]["token_bytes"], 800);
    }

    #[test]
    fn numbers_have_groups_of_three_digits() {
        for (number, text) in [
            (1, "1"),
            (999, "999"),
            (1_000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
