//! One size of what grows: a gateway with its configuration, filled, and the load that asks it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::dimension::Dimension;
use super::load::{Load, Plan};
use super::results::{Point, Run};
use crate::bench::ground::Ground;
use crate::bench::process::{Server, bound};
use crate::bench::usage::Usage;
use crate::gateway::free_address;
use crate::workspace::output;

/// How long a gateway is loaded before it is measured: connections to the upstream that were closed
/// meanwhile are open then.
const WARM_UP: Duration = Duration::from_millis(200);

/// Connections beyond those of a load that a gateway takes.
const SPARE_CONNECTIONS: u32 = 1_000;

/// A filled gateway and its load. Both end with it.
pub(crate) struct Specimen {
    pub(crate) point: Point,
    load: Load,
    server: Server,
    _requests: Removed,
}

/// A file that is there no more once this is dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // The folder goes as well, later.
        let _ = fs::remove_file(&self.0);
    }
}

impl Specimen {
    /// Starts a gateway, checks that it refuses what it has to, and sends it every request once.
    ///
    /// # Errors
    /// If it does not start, or a request is not answered as it should be.
    pub(crate) async fn fill(
        ground: &Ground,
        issuers: SocketAddr,
        dimension: Dimension,
        size: u32,
    ) -> Result<Self> {
        let shape = dimension.shape(size);
        let requests = Removed(
            ground
                .folder()
                .join(format!("{}-{size}.txt", dimension.id())),
        );
        let mut writes = bound(ground.parts());
        writes
            .arg("requests")
            .arg("--out")
            .arg(&requests.0)
            .args(["--issuers-at", &issuers.to_string()])
            .args(["--routes", &shape.routes.to_string()])
            .args(["--tokens", &shape.tokens.to_string()])
            .args(["--issuers", &shape.issuers.to_string()])
            .args(["--keys", &shape.keys.to_string()]);
        let written = tokio::task::spawn_blocking(move || output(&mut writes)).await??;
        let written: serde_json::Value = serde_json::from_str(&written)?;

        let target = free_address()?;
        let config = configuration(ground, issuers, dimension, size, target)?;
        let mut serves = bound(ground.gateway());
        serves
            .args(["serve", "--log-format", "text", "--config"])
            .arg(config);
        let log = ground
            .folder()
            .join(format!("{}-{size}-log.txt", dimension.id()));
        let begun = Instant::now();
        let server = Server::start(serves, target, log)?;
        let start = begun.elapsed();
        let started_kib = Usage::of_group(server.group())?.resident_kib;

        let mut load = Load::start(&Plan {
            program: ground.parts(),
            target,
            requests: &requests.0,
            body: &ground.folder().join("files/small"),
            connections: shape.connections,
        })?;
        load.tell("open").await?;
        let open_kib = Usage::of_group(server.group())?.resident_kib;
        if dimension.is_protected() {
            load.tell("refusals").await?;
        }
        let before = Usage::of_group(server.group())?;
        let filled = load.tell("once").await?;
        let after = Usage::of_group(server.group())?;
        #[expect(clippy::cast_precision_loss, reason = "some millions at most")]
        let requests_sent = filled["requests"].as_u64().context("no requests")? as f64;
        Ok(Self {
            point: Point {
                dimension,
                size,
                token_bytes: written["token_bytes"].as_u64().unwrap_or(0),
                start_ms: start.as_secs_f64() * 1000.0,
                started_kib,
                open_kib,
                filled_kib: after.resident_kib,
                first_cpu_us: after.cpu_us_since(&before) / requests_sent,
                asked_kib: after.resident_kib,
            },
            load,
            server,
            _requests: requests,
        })
    }

    /// Loads it for so long, and gives what that cost.
    ///
    /// # Errors
    /// If a request is not answered as it should be.
    pub(crate) async fn turn(&mut self, round: u32, time: Duration) -> Result<Run> {
        let group = self.server.group();
        self.load
            .tell(&format!("draw {}", WARM_UP.as_millis()))
            .await?;
        let before = Usage::of_group(group)?;
        let drawn = self
            .load
            .tell(&format!("draw {}", time.as_millis()))
            .await?;
        let after = Usage::of_group(group)?;
        self.point.asked_kib = after.resident_kib;
        Ok(Run {
            dimension: self.point.dimension,
            size: self.point.size,
            round,
            requests: drawn["requests"].as_u64().context("no requests")?,
            seconds: drawn["seconds"].as_f64().context("no seconds")?,
            cpu_us: after.cpu_us_since(&before),
            resident_kib: after.resident_kib,
        })
    }
}

/// Writes a gateway's configuration.
fn configuration(
    ground: &Ground,
    issuers: SocketAddr,
    dimension: Dimension,
    size: u32,
    listen: SocketAddr,
) -> Result<PathBuf> {
    let shape = dimension.shape(size);
    let name = format!("{}-{size}", dimension.id());
    let at = |file: &str| ground.folder().join(format!("{name}-{file}"));
    let issuer = |number: u32| format!("http://{issuers}/i{number:05}k{:03}", shape.keys);
    // Tokens are spread over the memory's parts by chance, and none may give way to another.
    let tokens = (shape.tokens + shape.tokens / 4).max(100_000);
    let text = format!(
        "gateway:\n  listen: [\"{listen}\"]\n  admin_listen: \"{}\"\n  state_dir: {}\n  \
         log: {{level: warn}}\n  workers: 1\n  timeouts: {{idle: 1h}}\n  \
         limits: {{connections: {}, cached_tokens: {tokens}}}\n{}",
        free_address()?,
        at("state").display(),
        shape.connections + SPARE_CONNECTIONS,
        dimension.services(size, &ground.upstream().to_string(), issuer),
    );
    let path = at("gateway.yaml");
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
