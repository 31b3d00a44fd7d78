//! The parts that a measurement of the gateway needs beside the gateway; all on loopback.
#![forbid(unsafe_code)]

mod draw;
mod flood;
mod issuers;
mod load;
mod proxy;
mod requests;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

/// An upstream, a plain proxy and a load generator, for `cargo xtask bench`.
#[derive(Parser)]
#[command(name = "gateway-bench")]
enum Command {
    /// Answers every request with 1 KiB, or with the files of a folder.
    Upstream {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// The folder; its files are read once, at the start.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Forwards every request as it is.
    Proxy {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// Where to forward to.
        #[arg(long)]
        upstream: SocketAddr,
    },
    /// Sends requests over connections that are kept, one after another on each.
    Load(load::Load),
    /// Sends access tokens of keys that nobody has.
    Flood(flood::Flood),
    /// Answers discovery and keys of any issuer below its address.
    Issuers {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Writes a file of requests, with tokens of those issuers.
    Requests(requests::Requests),
    Draw(draw::Draw),
}

fn main() -> Result<()> {
    let command = Command::parse();
    let mut runtime = match command {
        // One thread: what is measured needs the other core.
        Command::Proxy { .. } => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match command {
        Command::Upstream { listen, folder } => {
            let answers = upstream::Answers::read(folder.as_deref())?;
            runtime.block_on(upstream::serve(loopback(listen)?, answers))
        }
        Command::Proxy { listen, upstream } => {
            runtime.block_on(proxy::serve(loopback(listen)?, loopback(upstream)?))
        }
        Command::Load(load) => {
            loopback(load.target)?;
            println!("{}", runtime.block_on(load.run())?);
            Ok(())
        }
        Command::Flood(flood) => {
            loopback(flood.target)?;
            println!("{}", runtime.block_on(flood.run())?);
            Ok(())
        }
        Command::Issuers { listen } => runtime.block_on(issuers::serve(loopback(listen)?)),
        Command::Requests(requests) => {
            println!("{}", requests.write()?);
            Ok(())
        }
        Command::Draw(draw) => {
            loopback(draw.target)?;
            draw.run(&runtime)
        }
    }
}

/// Load stays on this machine.
fn loopback(address: SocketAddr) -> Result<SocketAddr> {
    ensure!(
        address.ip().is_loopback(),
        "{address} is not on the loopback interface"
    );
    Ok(address)
}
