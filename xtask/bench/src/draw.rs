//! A load that draws from a file of requests, over connections that are kept for as long as the
//! process lives. It does what it is told, a line at a time, so that whoever measures can look at
//! the gateway in between.

use std::collections::VecDeque;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::requests::{Line, Lines};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A load that is told what to do on its standard input:
///
/// - `open`: opens the connections
/// - `once`: sends every request once, and over every connection one
/// - `draw MILLISECONDS`: sends any of the requests, over each connection in turn
/// - `refusals`: that a request without its token, or with a changed one, is refused
///
/// Each is answered by a line of JSON. The first request that is not answered by 200 and the whole
/// body is an error, which ends it.
#[derive(Args, Clone)]
#[command(verbatim_doc_comment)]
pub(crate) struct Draw {
    /// Whom to load: an address of the loopback interface.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// The file of requests.
    #[arg(long)]
    requests: PathBuf,
    /// The file that every answer should be.
    #[arg(long)]
    body: PathBuf,
    /// How many connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// How many requests are under way at a time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    at_a_time: u32,
}

type Sender = SendRequest<Empty<Bytes>>;

struct Load {
    target: SocketAddr,
    host: HeaderValue,
    lines: Lines,
    body: Bytes,
    /// Those that nobody uses at this moment; the one that has waited longest comes first.
    idle: Mutex<VecDeque<Sender>>,
    /// Requests that were begun since the last word.
    begun: AtomicU64,
}

/// When to stop.
#[derive(Clone, Copy)]
enum Until {
    /// So many requests are begun: one after the other as they stand in the file.
    Count(u64),
    /// It is this late: any of the file's.
    Time(Instant),
}

impl Draw {
    /// Does what it is told until there is nothing more to do.
    ///
    /// # Errors
    /// If a request is not answered as it should be.
    pub(crate) fn run(&self, runtime: &Runtime) -> Result<()> {
        let load = Arc::new(Load {
            target: self.target,
            host: HeaderValue::try_from(self.target.to_string())?,
            lines: Lines::open(&self.requests)?,
            body: std::fs::read(&self.body).context("no body")?.into(),
            idle: Mutex::default(),
            begun: AtomicU64::new(0),
        });
        let connections = u64::from(self.connections);
        for told in stdin().lock().lines() {
            let told = told?;
            let (word, rest) = told.split_once(' ').unwrap_or((&told, ""));
            let said = match word {
                "open" => runtime.block_on(load.open(self.connections, self.at_a_time)),
                "once" => {
                    let count = load.lines.count().max(connections);
                    runtime.block_on(load.many(self.at_a_time, Until::Count(count)))
                }
                "draw" => {
                    let end = Instant::now() + Duration::from_millis(rest.parse()?);
                    runtime.block_on(load.many(self.at_a_time, Until::Time(end)))
                }
                "refusals" => runtime.block_on(load.refusals()),
                _ => bail!("not a word: {word}"),
            }?;
            println!("{said}");
            stdout().flush()?;
        }
        Ok(())
    }
}

impl Load {
    async fn open(self: &Arc<Self>, connections: u32, at_a_time: u32) -> Result<Value> {
        self.begun.store(0, Ordering::Relaxed);
        let mut tasks = JoinSet::new();
        for _ in 0..at_a_time.min(connections) {
            let load = Arc::clone(self);
            tasks.spawn(async move {
                let mut opened = 0_u64;
                while load.begun.fetch_add(1, Ordering::Relaxed) < u64::from(connections) {
                    let sender = load.connect().await?;
                    load.idle().push_back(sender);
                    opened += 1;
                }
                anyhow::Ok(opened)
            });
        }
        all(tasks).await?;
        Ok(json!({"connections": self.idle().len()}))
    }

    async fn connect(&self) -> Result<Sender> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn many(self: &Arc<Self>, at_a_time: u32, until: Until) -> Result<Value> {
        self.begun.store(0, Ordering::Relaxed);
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for worker in 0..at_a_time {
            let load = Arc::clone(self);
            tasks.spawn(async move { load.work(until, worker).await });
        }
        let requests = all(tasks).await?;
        Ok(json!({"requests": requests, "seconds": start.elapsed().as_secs_f64()}))
    }

    async fn work(&self, until: Until, worker: u32) -> Result<u64> {
        let mut random = Random::new(worker);
        let mut done = 0;
        loop {
            let number = match until {
                Until::Count(count) => match self.begun.fetch_add(1, Ordering::Relaxed) {
                    number if number < count => number,
                    _ => return Ok(done),
                },
                Until::Time(end) if Instant::now() < end => random.next(),
                Until::Time(_) => return Ok(done),
            };
            // More at a time than connections: the rest of the work is the others'.
            let Some(mut sender) = self.take() else {
                return Ok(done);
            };
            let line = self.lines.line(number)?;
            let (status, body) = self.ask(&mut sender, &line, line.token()).await?;
            ensure!(
                status == StatusCode::OK,
                "the request {number} was answered {status}"
            );
            ensure!(
                body == self.body,
                "the request {number} was not answered by the whole body"
            );
            self.idle().push_back(sender);
            done += 1;
        }
    }

    async fn refusals(&self) -> Result<Value> {
        let line = self.lines.line(0)?;
        let changed = line.token().map(with_changed_signature);
        let changed = changed.context("the requests have no tokens")?;
        let mut refused = Vec::new();
        for token in [None, Some(changed.as_str())] {
            let mut sender = self.connect().await?;
            let (status, body) = self.ask(&mut sender, &line, token).await?;
            ensure!(
                status == StatusCode::UNAUTHORIZED && body != self.body,
                "{status} to a request which has to be refused"
            );
            refused.push(status.as_u16());
        }
        Ok(json!({ "refused": refused }))
    }

    /// One request and its answer. The error says nothing of the token.
    async fn ask(
        &self,
        sender: &mut Sender,
        line: &Line,
        token: Option<&str>,
    ) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::get(line.path()).header(HOST, &self.host);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new())?;
        let exchange = async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| anyhow!("no answer after {PATIENCE:?}"))?
    }

    fn take(&self) -> Option<Sender> {
        self.idle().pop_front()
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sum of what they give.
async fn all(mut tasks: JoinSet<Result<u64>>) -> Result<u64> {
    let mut sum = 0;
    while let Some(task) = tasks.join_next().await {
        sum += task??;
    }
    Ok(sum)
}

/// RFC 7515 §3.1: the third part.
fn with_changed_signature(token: &str) -> String {
    let at = token.rfind('.').map_or(0, |dot| dot + 1);
    let (signed, signature) = token.split_at(at);
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let rest: String = signature.chars().skip(1).collect();
    format!("{signed}{first}{rest}")
}

/// xorshift64: which requests are drawn is the same in every run.
struct Random(u64);

impl Random {
    fn new(seed: u32) -> Self {
        Self(0x2545_F491_4F6C_DD1D ^ (u64::from(seed) << 32 | u64::from(seed)))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, with_changed_signature};

    #[test]
    fn only_the_signature_is_changed() {
        assert_eq!(with_changed_signature("a.b.cd"), "a.b.Ad");
        assert_eq!(with_changed_signature("a.b.Ad"), "a.b.Bd");
    }

    #[test]
    fn all_of_a_file_are_drawn() {
        let mut random = Random::new(7);
        let mut seen = [false; 100];
        for _ in 0..2000 {
            seen[usize::try_from(random.next() % 100).unwrap()] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
