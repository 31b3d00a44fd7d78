//! A load and its figures: which generator makes it, and what it says afterwards.

mod h2load;
mod own;
mod wrk;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::plan::Transport;
use super::tools::{Tool, Tools};

/// How long a generator may take beyond its time.
const GRACE: Duration = Duration::from_secs(30);

/// How much of the bodies the figures of a generator may lack: they are rounded.
const ROUNDED: f64 = 0.95;

/// What is asked, of whom, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) path: &'a str,
    /// As `name: value`; a secret.
    pub(crate) header: &'a str,
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// How long the body is that each request should get.
    pub(crate) body: usize,
}

/// What a generator has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    /// All that were answered, also by an error.
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Bytes that came; some generators count heads and round.
    pub(crate) bytes: f64,
}

/// The programs that make a load.
#[derive(Clone, Copy)]
pub(crate) struct Generators<'a> {
    tools: &'a Tools,
    own: &'a Path,
    /// A folder for what they write.
    folder: &'a Path,
}

impl<'a> Generators<'a> {
    pub(crate) fn new(tools: &'a Tools, own: &'a Path, folder: &'a Path) -> Self {
        Self { tools, own, folder }
    }

    /// The generator of a transport's load, as people read it; `None` if there is none here.
    pub(crate) fn name(self, transport: Transport) -> Option<&'static str> {
        match transport {
            Transport::Http2 => self.tools.has(Tool::H2load).then_some("h2load"),
            _ if self.tools.has(Tool::Wrk) => Some("wrk"),
            Transport::Http1 => Some("gateway-bench"),
            Transport::Tls => None,
        }
    }

    /// Runs a load.
    ///
    /// # Errors
    /// If the generator fails, says something else than figures, or got bodies that are too short.
    pub(crate) async fn run(self, load: Load<'_>) -> Result<Figures> {
        let figures = match (load.transport, self.tools.path(Tool::Wrk)) {
            (Transport::Http2, _) => {
                let path = self
                    .tools
                    .path(Tool::H2load)
                    .context("there is no h2load")?;
                let log = self.folder.join("h2load.log");
                let said = output(h2load::command(path, load, &log), load).await?;
                let requests = std::fs::read_to_string(&log)?;
                h2load::parse(&said, &requests).context("h2load has no figures")?
            }
            (_, Some(wrk)) => {
                let said = output(wrk::command(wrk, load), load).await?;
                wrk::parse(&said).context("wrk has no figures")?
            }
            (Transport::Http1, None) => {
                let said = output(own::command(self.own, load), load).await?;
                own::parse(&said).context("gateway-bench has no figures")?
            }
            (Transport::Tls, None) => anyhow::bail!("there is no wrk"),
        };
        ensure!(figures.requests > 0, "no request was answered");
        #[expect(clippy::cast_precision_loss, reason = "some gigabytes at most")]
        let expected = figures.requests.saturating_sub(figures.errors) as f64 * load.body as f64;
        ensure!(
            figures.bytes >= expected * ROUNDED,
            "{} requests got {:.0} bytes, and {} each were due",
            figures.requests,
            figures.bytes,
            load.body
        );
        Ok(figures)
    }
}

/// What it prints. Its command line has a token in it, and is not shown.
async fn output(command: std::process::Command, load: Load<'_>) -> Result<String> {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let limit = Duration::from_secs(load.seconds.into()) + GRACE;
    let output = timeout(limit, command.output())
        .await
        .context("the load does not end")??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "the load failed: {}",
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .chain(said.lines())
            .next()
            .unwrap_or_default()
    );
    Ok(said)
}

/// A number with a unit, such as `12.5MB`, by the units' factors. The longest unit that fits.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number.parse::<f64>().ok()? * factor)
}
