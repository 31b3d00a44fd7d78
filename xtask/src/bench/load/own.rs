//! The project's own generator, `gateway-bench load`: HTTP/1.1, where there is no wrk.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Figures, Load};
use crate::bench::process::bound;

pub(super) fn command(path: &Path, load: Load<'_>) -> Command {
    let mut command = bound(path);
    command
        .args(["load", "--target", &load.address.to_string()])
        .args(["--path", load.path, "--header", load.header])
        .args(["--connections", &load.connections.to_string()])
        .args(["--seconds", &load.seconds.to_string()]);
    command
}

pub(super) fn parse(said: &str) -> Option<Figures> {
    let figures: Value = serde_json::from_str(said).ok()?;
    let errors = figures["errors"].as_u64()?;
    Some(Figures {
        requests: figures["requests"].as_u64()? + errors,
        errors,
        seconds: figures["seconds"].as_f64()?,
        p50_us: figures["p50_us"].as_f64()?,
        p99_us: figures["p99_us"].as_f64()?,
        bytes: figures["bytes"].as_f64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn figures_are_read() {
        let said =
            r#"{"bytes":2048,"errors":1,"p50_us":812,"p99_us":2410,"requests":2,"seconds":4.0}"#;
        let figures = parse(said).unwrap();
        assert_eq!((figures.requests, figures.errors), (3, 1));
        assert_eq!(figures.p99_us, 2410.0);
        assert_eq!(parse("error"), None);
        assert_eq!(parse("{}"), None);
    }
}
