//! The report: as Markdown to read, as JSON to reckon with, as SVG to look at.

mod json;
mod markdown;
mod plot;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::checks::Refusals;
use super::machine::Machine;
use super::results::Results;

pub(crate) use markdown::markdown;

/// Everything that the comparison has found out.
pub(crate) struct Report {
    pub(crate) results: Results,
    pub(crate) refusals: Refusals,
    pub(crate) machine: Machine,
    /// As it would be typed.
    pub(crate) command: String,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
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
        ("results.md", markdown(report)),
        ("results.json", json::json(report)?),
        ("throughput.svg", plot::plot(&report.results)),
    ] {
        fs::write(folder.join(name), text).with_context(|| format!("{name} cannot be written"))?;
    }
    Ok(())
}
