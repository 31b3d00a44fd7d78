//! A flood of access tokens of keys that nobody has: each names another `kid`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// One flood.
#[derive(Args, Clone)]
pub(crate) struct Flood {
    /// Whom to flood: an address of the loopback interface.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// The path to ask for.
    #[arg(long, default_value = "/")]
    path: String,
    /// A token whose claims and signature each request has.
    #[arg(long)]
    token: String,
    /// How many requests a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=5000))]
    rate: u64,
    /// For how long.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

impl Flood {
    /// Runs it; gives how many requests were refused.
    ///
    /// # Errors
    /// If the token is none, or a request is not refused.
    pub(crate) async fn run(self) -> Result<Value> {
        let (_, rest) = self.token.split_once('.').context("not a token")?;
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(self.rate)?);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut refused = 0_u64;
        while Instant::now() < end {
            ticks.tick().await;
            let header =
                json!({"alg": "RS256", "typ": "JWT", "kid": format!("flood-{refused}-{end:?}")});
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            let request = Request::get(&self.path)
                .header(HOST, self.target.to_string())
                .header(AUTHORIZATION, format!("Bearer {header}.{rest}"))
                .body(Empty::<Bytes>::new())?;
            sender.ready().await?;
            let mut response = sender.send_request(request).await?;
            ensure!(
                response.status() == StatusCode::UNAUTHORIZED,
                "{}",
                response.status()
            );
            while let Some(frame) = response.frame().await {
                frame?;
            }
            refused += 1;
        }
        drop(sender);
        driver.await??;
        Ok(json!({ "refused": refused }))
    }
}
