//! The load as a child process that does what it is told: `gateway-bench draw`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::bench::process::bound;

/// How long a word may take: a million tokens are verified within one.
const PATIENCE: Duration = Duration::from_secs(600);

/// A load with its connections, which end when the value does.
pub(crate) struct Load {
    child: Child,
    told: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

/// What a load is made of.
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Path,
    pub(crate) target: SocketAddr,
    pub(crate) requests: &'a Path,
    pub(crate) body: &'a Path,
    pub(crate) connections: u32,
}

impl Load {
    /// Starts it; it opens no connection yet.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self> {
        let mut command = bound(plan.program);
        command
            .args(["draw", "--target", &plan.target.to_string()])
            .arg("--requests")
            .arg(plan.requests)
            .arg("--body")
            .arg(plan.body)
            .args(["--connections", &plan.connections.to_string()]);
        let mut child = Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the load cannot be started")?;
        let told = child.stdin.take().context("the load hears nothing")?;
        let said = child.stdout.take().context("the load says nothing")?;
        Ok(Self {
            child,
            told,
            said: BufReader::new(said).lines(),
        })
    }

    /// Tells it something, and waits for its answer.
    ///
    /// # Errors
    /// If a request was not answered as it should be: with what the load says.
    pub(crate) async fn tell(&mut self, word: &str) -> Result<Value> {
        let exchange = async {
            self.told.write_all(format!("{word}\n").as_bytes()).await?;
            anyhow::Ok(self.said.next_line().await?)
        };
        let said = timeout(PATIENCE, exchange)
            .await
            .with_context(|| format!("the load does not end: {word}"))?;
        if let Ok(Some(line)) = said {
            return Ok(serde_json::from_str(&line)?);
        }
        let mut error = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut error).await?;
        }
        bail!("the load failed: {}", error.trim())
    }
}
