//! `docs/benchmarks/instructions.md`, made from the kept figures.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::kept::{Figures, grouped};
use super::scenario::{ALL, Kind};
use crate::workspace::root;

fn path() -> PathBuf {
    root().join("docs/benchmarks/instructions.md")
}

/// Writes the page.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(figures: &Figures) -> Result<()> {
    Ok(fs::write(path(), page(figures))?)
}

fn page(figures: &Figures) -> String {
    let mut page = include_str!("page_head.md").to_owned();
    page.push_str("| one | instructions | of nginx's |\n|---|---:|---:|\n");
    for scenario in ALL {
        let Some(figure) = figures.instructions.get(scenario.name) else {
            continue;
        };
        let ratio = figures
            .of_plain(scenario.name)
            .filter(|_| scenario.kind != Kind::Part)
            .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| {} | {} | {ratio} |",
            scenario.what,
            grouped(*figure)
        );
    }
    let made_by: Vec<_> = figures
        .made_by
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let _ = writeln!(page, "\nCounted with: {}.", made_by.join(", "));
    page.push_str(include_str!("page_tail.md"));
    page
}

#[cfg(test)]
mod tests {
    use super::{page, path};
    use crate::instructions::kept::Figures;

    #[test]
    fn the_page_is_made_from_the_kept_figures() {
        let page = page(&Figures::kept().expect("figures"));
        let kept = std::fs::read_to_string(path()).expect("a page");
        assert!(page == kept, "`cargo xtask instructions --update` makes it");
    }
}
