//! The provider's process: told by its standard input what to be like, and ended by its end.

use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use second_provider::Installed;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How long a start may take; on a busy machine it is some seconds.
const START_TIME: Duration = Duration::from_secs(60);

pub(super) struct Process {
    pub(super) http: SocketAddr,
    pub(super) https: Option<SocketAddr>,
    pub(super) commands: SocketAddr,
    /// The process ends when this is closed, also if nothing is there any more to kill it.
    _input: ChildStdin,
    _child: Child,
}

impl Process {
    /// Starts it, and waits until it listens.
    pub(super) async fn start(installed: &Installed, options: &Value) -> Result<Self> {
        let mut log = tempfile::tempfile().context("a file for what it says")?;
        let mut child = Command::from(installed.command())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().context("a file for what it says")?)
            .kill_on_drop(true)
            .spawn()
            .context("node cannot be run")?;
        let mut input = child.stdin.take().context("its standard input")?;
        let output = child.stdout.take().context("its standard output")?;
        let asked = async {
            input.write_all(format!("{options}\n").as_bytes()).await?;
            BufReader::new(output).lines().next_line().await
        };
        let line = tokio::time::timeout(START_TIME, asked).await;
        let Ok(Ok(Some(line))) = line else {
            let mut text = String::new();
            log.rewind()?;
            log.read_to_string(&mut text)?;
            bail!("it did not start:\n{text}");
        };
        let addresses: Value = serde_json::from_str(&line)?;
        let address = |name: &str| -> Result<Option<SocketAddr>> {
            let text = addresses[name].as_str();
            text.map(|text| text.parse().context("an address"))
                .transpose()
        };
        Ok(Self {
            http: address("http")?.context("no address")?,
            https: address("https")?,
            commands: address("commands")?.context("no address for commands")?,
            _input: input,
            _child: child,
        })
    }
}
