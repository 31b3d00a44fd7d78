//! `cargo xtask bench`: the gateway beside its peers, in rounds that take turns, on loopback.

mod bars;
mod checks;
pub(crate) mod client;
mod comparison;
pub(crate) mod contender;
pub(crate) mod ground;
mod growth;
mod load;
mod machine;
mod manner;
mod micro;
pub(crate) mod peers;
pub(crate) mod plan;
mod process;
mod progress;
mod report;
mod results;
mod statistics;
mod tokens;
pub(crate) mod tools;
mod turns;
mod usage;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::comparison::Comparison;
use self::growth::Growth;

/// The gateway beside nginx, haproxy and Apache with mod_auth_openidc, on this machine.
#[derive(Args)]
#[command(after_long_help = NOTES, args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    comparison: Comparison,
}

/// What is measured instead of the comparison.
#[derive(Subcommand)]
enum Other {
    /// Measures what a request costs, and the gateway's memory, as routes, tokens, issuers, keys and
    /// connections grow.
    Growth(Growth),
}

/// What `--help` ends with.
const NOTES: &str = "\
Everybody has one worker (two where it says so), proxies to the same upstream over kept
connections, and gets the same requests. Each turn starts its contender anew, checks that it
answers whole bodies and refuses bad tokens, warms it up for a second, loads it, and checks again.
Without nginx, haproxy, apache2, wrk or h2load the rest is measured, and the report says so.

Examples:
  cargo xtask bench                         everything; some 30 minutes; writes docs/benchmarks/
  cargo xtask bench --quick                 a short look; writes nothing
  cargo xtask bench --parts small --connections 32 --contenders nginx,gateway-bearer";

impl Bench {
    /// Measures, and prints a report.
    ///
    /// # Errors
    /// If something cannot be built, does not start, or does not do what it is measured for.
    pub(crate) fn run(self) -> Result<()> {
        match self.other {
            Some(Other::Growth(growth)) => growth.run(),
            None => self.comparison.run(),
        }
    }
}
