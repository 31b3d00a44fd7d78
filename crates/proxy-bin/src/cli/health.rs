//! `oidc-proxy health`: asks the gateway of this configuration whether it is ready.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn run(file: &Path) -> ExitCode {
    let gateway = match config::load(file, std::env::vars()) {
        Ok(gateway) => gateway,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    let address = reachable(gateway.settings.admin_listen);
    match ask(address) {
        Ok(status) if status.contains(" 200 ") => {
            println!("ready");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            eprintln!("oidc-proxy: not ready: {}", status.trim());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("oidc-proxy: no answer from gateway.admin_listen, {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An address that one can connect to, of one that is listened on.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// The status line of the answer.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
