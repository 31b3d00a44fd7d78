//! wrk: HTTP/1.1, also over TLS; its command line and what it prints.

use std::path::Path;
use std::process::Command;

use super::{Figures, Load, with_unit};
use crate::bench::plan::Transport;
use crate::bench::process::bound;

/// Units of time, in µs.
const TIMES: &[(&str, f64)] = &[
    ("us", 1.0),
    ("ms", 1e3),
    ("s", 1e6),
    ("m", 6e7),
    ("h", 3.6e9),
];

/// Units of size.
const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("KB", 1024.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
];

pub(super) fn command(path: &Path, load: Load<'_>) -> Command {
    let scheme = match load.transport {
        Transport::Tls => "https",
        _ => "http",
    };
    let mut command = bound(path);
    command
        .args(["--threads", "1", "--latency", "--timeout", "10s"])
        .args(["--connections", &load.connections.to_string()])
        .args(["--duration", &format!("{}s", load.seconds)])
        .args(["--header", load.header])
        .arg(format!("{scheme}://{}{}", load.address, load.path));
    command
}

/// Reads what it prints with `--latency`.
pub(super) fn parse(said: &str) -> Option<Figures> {
    let line = |start: &str| {
        said.lines()
            .find_map(|line| line.trim_start().strip_prefix(start))
            .map(str::trim)
    };
    let time = |percent: &str| with_unit(line(percent)?, TIMES);
    // `  37361 requests in 1.00s, 10.97MB read`
    let total = said.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = total.trim().split_once(" requests in ")?;
    let (seconds, read) = rest.split_once(", ")?;
    let mut errors = match line("Non-2xx or 3xx responses:") {
        Some(count) => count.parse().ok()?,
        None => 0,
    };
    if let Some(counts) = line("Socket errors:") {
        // `connect 0, read 3, write 0, timeout 1`
        for count in counts.split(", ") {
            errors += count.split_once(' ')?.1.parse::<u64>().ok()?;
        }
    }
    Some(Figures {
        requests: requests.parse().ok()?,
        errors,
        seconds: with_unit(seconds, TIMES)? / 1e6,
        p50_us: time("50%")?,
        p99_us: time("99%")?,
        bytes: with_unit(read.strip_suffix(" read")?, SIZES)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Figures, parse};

    const SAID: &str = "\
Running 1s test @ http://127.0.0.1:18082/small
  1 threads and 1024 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    82.29ms   19.40ms 140.79ms   69.14%
    Req/Sec    10.60k     2.37k   13.07k    77.78%
  Latency Distribution
     50%   97.00us
     75%   90.55ms
     90%  109.74ms
     99%    1.26s
  10425 requests in 1.11s, 12.57MB read
Requests/sec:   9388.36
Transfer/sec:     11.32MB
";

    #[test]
    fn figures_are_read_with_their_units() {
        let expected = Figures {
            requests: 10_425,
            errors: 0,
            seconds: 1.11,
            p50_us: 97.0,
            p99_us: 1_260_000.0,
            bytes: 12.57 * 1_048_576.0,
        };
        let figures = parse(SAID).unwrap();
        assert!((figures.seconds - expected.seconds).abs() < 1e-9);
        assert_eq!(
            Figures {
                seconds: 1.11,
                ..figures
            },
            expected
        );
    }

    #[test]
    fn every_kind_of_error_counts() {
        let said = SAID.replace(
            "Requests/sec",
            "  Socket errors: connect 1, read 3, write 0, timeout 2\n  \
             Non-2xx or 3xx responses: 373\nRequests/sec",
        );
        assert_eq!(parse(&said).unwrap().errors, 379);
    }

    #[test]
    fn something_else_is_no_figures() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1"), None);
        assert_eq!(parse(&SAID.replace("99%", "98%")), None);
        assert_eq!(parse(&SAID.replace("1.26s", "1.26 weeks")), None);
    }
}
