//! The contenders as processes: each started for one turn, with a configuration of its own.

mod apache;
mod gateway;
mod haproxy;
mod nginx;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::contender::Contender;
use super::ground::Ground;
use super::plan::Transport;
use super::process::{Server, bound};
use crate::gateway::free_address;

pub(crate) use nginx::upstream;

/// Connections that a contender takes beyond those of the load.
const SPARE_CONNECTIONS: u32 = 512;

/// How often a start is tried: a port that was free may be taken a moment later.
const TRIES: u32 = 3;

/// A contender that accepts connections. Its processes end with it.
pub(crate) struct Running {
    /// `None` for the upstream itself.
    server: Option<Server>,
    pub(crate) group: u32,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Tells it to end, and waits until it has done what it does at its end.
    ///
    /// # Errors
    /// If it does not end well, or not in time.
    pub(crate) fn stop(self) -> Result<()> {
        self.server.map_or(Ok(()), Server::stop)
    }
}

/// What a configuration is written for.
#[derive(Clone, Copy)]
struct Scene<'a> {
    ground: &'a Ground,
    contender: Contender,
    transport: Transport,
    listen: SocketAddr,
    /// How many connections the load has.
    connections: u32,
}

impl Scene<'_> {
    /// Where a file of this contender is.
    fn file(&self, name: &str) -> PathBuf {
        let id = self.contender.id();
        self.ground.folder().join(format!("{id}-{name}"))
    }

    /// Writes a file of this contender.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }

    fn connections_max(&self) -> u32 {
        self.connections + SPARE_CONNECTIONS
    }
}

/// Starts a contender that accepts requests over this transport.
///
/// # Errors
/// If it does not start.
pub(crate) fn start(
    ground: &Ground,
    contender: Contender,
    transport: Transport,
    connections: u32,
) -> Result<Running> {
    if contender == Contender::Upstream {
        return Ok(Running {
            server: None,
            group: ground.upstream_group(),
            address: ground.upstream(),
        });
    }
    let mut tried = 1;
    loop {
        let listen = free_address()?;
        let scene = Scene {
            ground,
            contender,
            transport,
            listen,
            connections,
        };
        let log = scene.file("log.txt");
        match Server::start(command(&scene)?, listen, log) {
            Err(_) if tried < TRIES => tried += 1,
            started => {
                let server = started.context(contender.name())?;
                return Ok(Running {
                    group: server.group(),
                    address: listen,
                    server: Some(server),
                });
            }
        }
    }
}

fn command(scene: &Scene<'_>) -> Result<Command> {
    match scene.contender {
        Contender::Nginx | Contender::NginxTwo => nginx::proxy(scene),
        Contender::Haproxy | Contender::HaproxyJwt => haproxy::command(scene),
        Contender::ApacheJwt => apache::command(scene),
        Contender::HyperProxy | Contender::Upstream => Ok(hyper_proxy(scene)),
        Contender::Gateway
        | Contender::Bearer
        | Contender::BearerTwo
        | Contender::Verified
        | Contender::Refresh
        | Contender::Password
        | Contender::Flooded => gateway::command(scene),
    }
}

fn hyper_proxy(scene: &Scene<'_>) -> Command {
    let mut command = bound(scene.ground.parts());
    command
        .args(["proxy", "--listen", &scene.listen.to_string()])
        .args(["--upstream", &scene.ground.upstream().to_string()]);
    // How many threads a program of tokio's works with.
    let workers = scene.contender.workers().to_string();
    command.env("TOKIO_WORKER_THREADS", workers);
    command
}
