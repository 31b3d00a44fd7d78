//! An upstream that says what it was asked, in the manner of httpbin's `/anything`.

mod answers;
mod capture;
mod record;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Error;
use crate::wire::{Gate, Watch, accept};
use capture::{Capture, Log};
pub use record::EchoRequest;

/// An upstream for tests: HTTP/1.1 and HTTP/2 with prior knowledge.
///
/// | path | answer |
/// |---|---|
/// | `/anything`, and every path not below | the request as JSON, in httpbin's form |
/// | `/status/{code}` | an empty answer with this status |
/// | `/response-headers?Name=value` | these headers |
/// | `/bytes/{n}` | so many bytes |
/// | `/stream/{n}` | so many lines of JSON, chunked |
/// | `/sse` | an event at once, another after [`release`](Self::release) |
/// | `/slow` | as `/anything`, after [`release`](Self::release) |
/// | `/trailers` | a body and trailers |
/// | `/upgrade` | 101, then every byte back |
/// | `/cut` | half a body, then the connection ends |
/// | `/silent` | nothing, ever |
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use keycloak_testkit::EchoUpstream;
///
/// let upstream = EchoUpstream::start().await?;
/// // … send requests through the gateway to upstream.url("/anything") …
/// assert_eq!(upstream.count(), 0);
/// # Ok::<(), keycloak_testkit::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct EchoUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    requests: Watch<Vec<EchoRequest>>,
    connections: AtomicUsize,
    gate: Gate,
}

impl EchoUpstream {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> Result<Self, Error> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts at this address.
    ///
    /// # Errors
    /// If something else listens there.
    pub async fn start_at(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Listen {
            address: address.to_string(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            requests: Watch::new(Vec::new()),
            connections: AtomicUsize::new(0),
            gate: Gate::closed(),
        });
        let listening = tokio::spawn(accept(listener, {
            let shared = Arc::clone(&shared);
            move |stream, peer| serve(stream, peer, Arc::clone(&shared))
        }));
        Ok(Self {
            address,
            shared,
            listening,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, as they came.
    #[must_use]
    pub fn requests(&self) -> Vec<EchoRequest> {
        self.shared.requests.read(Clone::clone)
    }

    /// How many requests have come so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.requests.read(Vec::len)
    }

    /// How many connections have been opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.requests.change(Vec::clear);
    }

    /// Waits until so many requests have come to their end, and gives them.
    ///
    /// # Panics
    /// If they do not come in 20 seconds.
    pub async fn wait_for(&self, count: usize) -> Vec<EchoRequest> {
        let ended = |requests: &Vec<EchoRequest>| {
            requests.iter().filter(|request| request.ended).count() >= count
        };
        self.wait_until(&format!("{count} whole requests"), ended)
            .await;
        self.requests()
    }

    /// Waits until the requests are as expected; those that are still coming are among them.
    ///
    /// # Panics
    /// If they are not so in 20 seconds.
    pub async fn wait_until(
        &self,
        expected: &str,
        condition: impl FnMut(&Vec<EchoRequest>) -> bool,
    ) {
        self.shared
            .requests
            .until(condition, |requests| {
                format!("{expected} at the upstream; {} came", requests.len())
            })
            .await;
    }

    /// Lets `/slow` and the second event of `/sse` go, for all who wait and all who come.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// Holds `/slow` and the second event of `/sse` back again.
    pub fn hold(&self) {
        self.shared.gate.close();
    }

    /// Waits until so many requests are held at `/slow` and `/sse`, counted from the start.
    ///
    /// # Panics
    /// If they do not come in 20 seconds.
    pub async fn wait_for_held(&self, count: usize) {
        self.shared.gate.wait_for(count).await;
    }
}

impl Drop for EchoUpstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    let log = Log::default();
    let stream = Capture::new(stream, log.clone());
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let head = log.next_head();
        async move { answers::answer(request, head, peer, &shared).await }
    });
    // A client that goes away is no concern of the upstream's.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}
