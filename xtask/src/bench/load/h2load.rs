//! h2load: HTTP/2 with prior knowledge; its command line, what it prints and its log of requests.

use std::path::Path;
use std::process::Command;

use super::{Figures, Load};
use crate::bench::plan::STREAMS;
use crate::bench::process::bound;
use crate::bench::statistics::percentile;

pub(super) fn command(path: &Path, load: Load<'_>, log: &Path) -> Command {
    let mut command = bound(path);
    command
        .arg("--threads=1")
        .arg(format!("--clients={}", load.connections))
        .arg(format!("--max-concurrent-streams={STREAMS}"))
        .arg(format!("--duration={}", load.seconds))
        .arg(format!("--log-file={}", log.display()))
        .args(["--header", load.header])
        .arg(format!("http://{}{}", load.address, load.path));
    // It adds to what is there.
    let _ = std::fs::remove_file(log);
    command
}

/// Reads what it prints, and its log: of the latency it prints no percentiles.
pub(super) fn parse(said: &str, log: &str) -> Option<Figures> {
    let line = |start: &str| said.lines().find_map(|line| line.strip_prefix(start));
    // `finished in 1.02s, 14451.00 req/s, 15.85MB/s`
    let rate: f64 = line("finished in ")?
        .split(", ")
        .nth(1)?
        .strip_suffix(" req/s")?
        .parse()
        .ok()?;
    // `requests: 14451 total, 14707 started, 14451 done, 14451 succeeded, 0 failed, …`
    let counts = line("requests: ")?;
    let count = |name: &str| -> Option<u64> {
        counts
            .split(", ")
            .find_map(|count| count.strip_suffix(name)?.trim().parse().ok())
    };
    // `traffic: 15.85MB (16620218) total, …, 14.11MB (14797824) data`
    let traffic = line("traffic: ")?.strip_suffix(") data")?;
    let (_, bytes) = traffic.rsplit_once('(')?;
    let mut micros: Vec<u64> = log
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t').skip(1);
            let succeeded = fields.next()?.starts_with('2');
            succeeded.then(|| fields.next()?.parse().ok()).flatten()
        })
        .collect();
    micros.sort_unstable();
    let requests = count(" done")?;
    #[expect(clippy::cast_precision_loss, reason = "some millions at most")]
    let time = |percent| Some(percentile(&micros, percent)? as f64);
    #[expect(clippy::cast_precision_loss, reason = "some millions at most")]
    let seconds = requests as f64 / rate;
    Some(Figures {
        requests,
        errors: count(" failed")? + count(" timeout")?,
        seconds,
        p50_us: time(50)?,
        p99_us: time(99)?,
        bytes: bytes.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Figures, parse};

    const SAID: &str = "\
starting benchmark...
Application protocol: h2c
finished in 1.02s, 14451.00 req/s, 15.85MB/s
requests: 14451 total, 14707 started, 14451 done, 14440 succeeded, 11 failed, 4 errored, 0 timeout
status codes: 14440 2xx, 0 3xx, 7 4xx, 0 5xx
traffic: 15.85MB (16620218) total, 1.49MB (1560708) headers (space savings 39.66%), 14.11MB (14797824) data
                     min         max         mean         sd        +/- sd
time for request:      916us     99.96ms     16.38ms     11.59ms    85.21%
";

    const LOG: &str = "\
1795548114832606\t200\t14675
1795548114832607\t200\t14720
1795548114832608\t401\t3
1795548114832609\t200\t99
";

    #[test]
    fn percentiles_come_from_the_log_of_what_succeeded() {
        assert_eq!(
            parse(SAID, LOG),
            Some(Figures {
                requests: 14_451,
                errors: 11,
                seconds: 1.0,
                p50_us: 14_675.0,
                p99_us: 14_675.0,
                bytes: 14_797_824.0,
            })
        );
    }

    #[test]
    fn something_else_is_no_figures() {
        assert_eq!(parse("", LOG), None);
        assert_eq!(parse(SAID, ""), None);
    }
}
