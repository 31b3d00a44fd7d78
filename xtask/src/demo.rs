//! `cargo xtask demo`: the refresh token workflow on this machine, ready for the guide's commands.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use keycloak_testkit::EchoUpstream;

use crate::gateway::{self, Gateway};
use crate::provider::Provider;
use crate::signals::Signals;
use crate::walkthrough::{self, Guide};
use crate::workspace::root;

/// The configuration that is shown.
const CONFIG: &str = "docker/gateway.yaml";

const PROVIDER: u16 = 8080;
const UPSTREAM: u16 = 9080;
const GATEWAY: u16 = 8000;
const ADMIN: u16 = 8001;

/// What is shown, and how.
#[derive(Args)]
pub(crate) struct Demo {
    /// A real Keycloak, in place of the embedded identity provider.
    #[arg(long)]
    keycloak: bool,
    /// Runs the guide's commands, and ends: 0 if they do what the guide says, 1 otherwise.
    #[arg(long)]
    check: bool,
    /// The cargo profile of the gateway.
    #[arg(long, default_value = "dev")]
    profile: String,
}

impl Demo {
    /// Runs the demo until Ctrl-C.
    ///
    /// # Errors
    /// If a port is taken or a part does not start, with what to do; with `--check`, if a command
    /// does not do what the guide says.
    pub(crate) fn run(self) -> Result<()> {
        check_ports()?;
        println!("building the gateway");
        let binary = gateway::build(&self.profile)?;
        block_on(show(&binary, self.keycloak, self.check))
    }
}

/// Runs the guide's commands against a gateway that is built already.
///
/// # Errors
/// As [`Demo::run`] with `--check`.
pub(crate) fn check(binary: &Path, keycloak: bool) -> Result<()> {
    check_ports()?;
    block_on(show(binary, keycloak, true))
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

async fn show(binary: &Path, keycloak: bool, check: bool) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut parts = tokio::select! {
        parts = Parts::start(binary, keycloak) => parts?,
        () = signals.received() => bail!("interrupted"),
    };
    println!("\nall is up; type this in another terminal:\n\n{Guide}");
    let result = if check {
        tokio::task::spawn_blocking(walkthrough::check).await?
    } else {
        println!("Ctrl-C stops everything");
        tokio::select! {
            result = parts.gateway.ended() => result,
            () = signals.received() => Ok(()),
        }
    };
    println!("stopping");
    parts.gateway.stop().await?;
    result
}

/// Everything that runs; each stops when it is dropped.
struct Parts {
    gateway: Gateway,
    _provider: Provider,
    _upstream: EchoUpstream,
}

impl Parts {
    async fn start(binary: &Path, keycloak: bool) -> Result<Self> {
        println!("starting the echo upstream on {}", loopback(UPSTREAM));
        let upstream = EchoUpstream::start_at(loopback(UPSTREAM)).await?;
        let name = if keycloak {
            "Keycloak"
        } else {
            "the embedded identity provider"
        };
        println!("starting {name} on {}", loopback(PROVIDER));
        let provider = Provider::start(loopback(PROVIDER), keycloak).await?;
        println!(
            "starting the gateway on {} with {CONFIG}",
            loopback(GATEWAY)
        );
        let gateway = Gateway::start(binary, &root().join(CONFIG), loopback(ADMIN)).await?;
        Ok(Self {
            gateway,
            _provider: provider,
            _upstream: upstream,
        })
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Something else on one of the ports would answer in our place.
fn check_ports() -> Result<()> {
    let taken: Vec<_> = [
        (GATEWAY, "the gateway"),
        (ADMIN, "the gateway's admin listener"),
        (PROVIDER, "the identity provider"),
        (UPSTREAM, "the upstream"),
    ]
    .into_iter()
    .filter(|(port, _)| is_taken(*port))
    .collect();
    if taken.is_empty() {
        return Ok(());
    }
    let mut message = String::from("something else listens where the demo would:");
    for (port, of) in &taken {
        message += &format!(
            "\n  port {port}, for {of}: `ss --listening --tcp --processes 'sport = :{port}'` tells who"
        );
    }
    bail!("{message}\nstop it, and try again")
}

/// Whether anything listens there: `localhost` is both of these addresses.
fn is_taken(port: u16) -> bool {
    [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ]
    .into_iter()
    .any(|address| {
        TcpListener::bind((address, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_with_a_listener_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        assert!(is_taken(port));
    }

    #[test]
    fn the_configuration_has_the_ports_that_are_checked() {
        let text = std::fs::read_to_string(root().join(CONFIG)).expect("the configuration");
        for port in [GATEWAY, ADMIN, PROVIDER, UPSTREAM] {
            assert!(text.contains(&format!("127.0.0.1:{port}")), "{port}");
        }
    }
}
