//! The load: connections that are kept, and on each one request after another.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The most requests of one run, whatever time it has.
const REQUESTS_MAX: usize = 2_000_000;

/// How long the whole of a run may take beyond its time: an answer that never comes is an error.
const GRACE: Duration = Duration::from_secs(5);

/// One run.
#[derive(Args, Clone)]
pub(crate) struct Load {
    /// Whom to load: an address of the loopback interface.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// The path to ask for.
    #[arg(long, default_value = "/")]
    path: String,
    /// A header to send, as `name: value`; may be given several times.
    #[arg(long = "header")]
    headers: Vec<String>,
    /// How many connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// For how long.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    micros: Vec<u32>,
    errors: usize,
    /// Of bodies.
    bytes: usize,
}

impl Load {
    /// Runs it; gives the figures.
    ///
    /// # Errors
    /// If a header cannot be one, or not one request succeeds.
    pub(crate) async fn run(self) -> Result<Value> {
        let request = self.request()?;
        let start = Instant::now();
        let end = start + Duration::from_secs(self.seconds);
        let each = REQUESTS_MAX / usize::from(self.connections);
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            connections.spawn(connection(self.target, request.clone(), end, each));
        }
        let mut all = Seen::default();
        let limit = tokio::time::Instant::from_std(end + GRACE);
        while let Some(joined) = tokio::time::timeout_at(limit, connections.join_next())
            .await
            .context("requests were not answered in time")?
        {
            let seen = joined?;
            all.micros.extend(seen.micros);
            all.errors += seen.errors;
            all.bytes += seen.bytes;
        }
        let seconds = start.elapsed().as_secs_f64();
        all.micros.sort_unstable();
        Ok(json!({
            "requests": all.micros.len(),
            "errors": all.errors,
            "bytes": all.bytes,
            "seconds": seconds,
            "p50_us": percentile(&all.micros, 50).ok_or_else(|| anyhow!("no request succeeded"))?,
            "p99_us": percentile(&all.micros, 99),
        }))
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>> {
        let mut request = Request::get(&self.path)
            .header(HOST, self.target.to_string())
            .body(Empty::new())?;
        for header in &self.headers {
            let (name, value) = header
                .split_once(':')
                .with_context(|| "a header is written `name: value`")?;
            request.headers_mut().append(
                HeaderName::try_from(name.trim())?,
                HeaderValue::try_from(value.trim())?,
            );
        }
        Ok(request)
    }
}

/// One connection's requests, until the time or their number is up. A failure ends it: the rest of
/// the run would measure something else.
async fn connection(
    target: SocketAddr,
    request: Request<Empty<Bytes>>,
    end: Instant,
    most: usize,
) -> Seen {
    let mut seen = Seen::default();
    if requests(target, request, end, most, &mut seen)
        .await
        .is_err()
    {
        seen.errors = 1;
    }
    seen
}

async fn requests(
    target: SocketAddr,
    request: Request<Empty<Bytes>>,
    end: Instant,
    most: usize,
    seen: &mut Seen,
) -> Result<()> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    while Instant::now() < end && seen.micros.len() < most {
        let sent = Instant::now();
        sender.ready().await?;
        let mut response = sender.send_request(request.clone()).await?;
        anyhow::ensure!(response.status() == StatusCode::OK, "{}", response.status());
        while let Some(frame) = response.frame().await {
            seen.bytes += frame?.data_ref().map_or(0, Bytes::len);
        }
        seen.micros.push(u32::try_from(sent.elapsed().as_micros())?);
    }
    drop(sender);
    driver.await??;
    Ok(())
}

/// The value below which so many of a hundred are.
fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_of_what_there_is() {
        let thousand: Vec<_> = (1..=1000).collect();
        assert_eq!(percentile(&thousand, 50), Some(500));
        assert_eq!(percentile(&thousand, 99), Some(990));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
