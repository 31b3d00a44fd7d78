//! The gateway as a child process: built, started, ready, stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::workspace::{cargo, program, run, succeeds, target};

/// What the program is called.
pub(crate) const PROGRAM: &str = "oidc-proxy";

/// How long the gateway may take until it is ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);

/// A running gateway; killed if it is dropped without being stopped.
pub(crate) struct Gateway {
    child: Child,
    _state: tempfile::TempDir,
}

/// Builds the gateway in this profile.
///
/// # Errors
/// If it does not build.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    run(cargo()
        .args(["build", "--package", "proxy-bin", "--bin", PROGRAM])
        .args(["--profile", profile]))?;
    Ok(binary(profile))
}

/// Where the gateway of this profile is.
pub(crate) fn binary(profile: &str) -> PathBuf {
    let folder = if profile == "dev" { "debug" } else { profile };
    target().join(folder).join(PROGRAM)
}

impl Gateway {
    /// Starts a gateway, with a state folder of its own, and waits until it is ready.
    ///
    /// # Errors
    /// If it ends, or is not ready in time.
    pub(crate) async fn start(binary: &Path, config: &Path, admin: SocketAddr) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let child = tokio::process::Command::from(program(binary))
            .args(["serve", "--log-format", "text", "--config"])
            .arg(config)
            .env("OIDC_PROXY__GATEWAY__STATE_DIR", state.path())
            .stdout(Stdio::null())
            // Ctrl-C is for us: we stop it when its turn has come.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let mut gateway = Self {
            child,
            _state: state,
        };
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(admin).await {
            if let Some(status) = gateway.child.try_wait()? {
                bail!("the gateway ended before it was ready: {status}");
            }
            if Instant::now() > deadline {
                bail!("the gateway is not ready after {PATIENCE:?}");
            }
            sleep(POLL).await;
        }
        Ok(gateway)
    }

    /// Waits until the gateway ends by itself. Cancel safe.
    ///
    /// # Errors
    /// Always: it should not.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        bail!("the gateway ended: {}", self.child.wait().await?)
    }

    /// Lets the gateway finish what it does.
    ///
    /// # Errors
    /// If it does not end well, or not in time.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            succeeds(program("kill").args(["-TERM", &id.to_string()]));
        }
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .context("the gateway does not stop")??;
        if !status.success() {
            bail!("the gateway did not end well: {status}");
        }
        Ok(())
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(admin).await?;
        let request =
            format!("GET /health/ready HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer == *b"HTTP/1.1 200")
    };
    matches!(timeout(Duration::from_secs(1), ask).await, Ok(Ok(true)))
}

/// An address on which nothing listens at this moment.
///
/// # Errors
/// If there is none.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
