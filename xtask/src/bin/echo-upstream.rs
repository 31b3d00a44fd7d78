//! The testkit's echo upstream as a program, for `docker/compose.yml`.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use keycloak_testkit::EchoUpstream;
use tokio::signal::unix::{SignalKind, signal};

/// Answers every request with what it was, as JSON.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<()> {
    let listen = Arguments::parse().listen;
    let _upstream = EchoUpstream::start_at(listen).await?;
    println!("listening on {listen}");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
