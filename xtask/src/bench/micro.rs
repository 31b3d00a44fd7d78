//! The benchmarks of single functions, in every package that has some.

use anyhow::Result;
use serde_json::Value;

use crate::workspace::{cargo, output, run};

/// Runs them all.
///
/// # Errors
/// If one does not build, or fails.
pub(crate) fn run_all() -> Result<()> {
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for bench in package["targets"].as_array().into_iter().flatten() {
            let is_bench = bench["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.contains(&"bench".into()));
            if let (true, Some(package), Some(name)) =
                (is_bench, package["name"].as_str(), bench["name"].as_str())
            {
                run(cargo().args(["bench", "--package", package, "--bench", name]))?;
            }
        }
    }
    Ok(())
}
