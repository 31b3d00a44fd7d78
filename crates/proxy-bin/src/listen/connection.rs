//! One client connection, from its first byte to its end: HTTP/1.1 or HTTP/2, with TLS or without.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use oidc_core::possession::CertificateThumbprint;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::http1::{self, Answerer, Bounds, Patience};
use super::listeners::Place;
use super::streams::Streams;
use super::taking::{Attendant, Taken};
use crate::config::Limits;
use crate::forward::{Body, ClientBody, ForwardError, Hop, OnUpgrade};
use crate::framing::BadRequest;
use crate::pipeline;
use crate::shared::Shared;
use crate::telemetry::{ConnectionId, RequestId};

/// What is known of a connection, for each of its requests.
#[derive(Debug)]
pub(crate) struct Connection {
    peer: SocketAddr,
    hop: Hop,
    id: ConnectionId,
    shard: usize,
    /// What the heads of HTTP/1.1 are held to as they are read.
    limits: Limits,
    /// Why its last request is refused, if it is.
    refused: OnceLock<BadRequest>,
    /// Its request only waits for others to have their turn.
    gives_way: AtomicBool,
    place: Arc<Place>,
    /// The client's certificate, if it showed one.
    certificate: Option<CertificateThumbprint>,
}

/// What a listener knows of a connection that it accepted.
pub(super) struct Accepted {
    pub(super) peer: SocketAddr,
    /// The listener's.
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) place: Arc<Place>,
}

impl Connection {
    fn new(shared: &Shared, accepted: &Accepted) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let app = shared.app();
        let (peer, https) = (accepted.peer, accepted.tls.is_some());
        let address = peer.ip().to_canonical();
        let trusted = app
            .settings()
            .trusted_ips
            .iter()
            .any(|network| network.contains(&address));
        Self {
            peer,
            hop: Hop::new(address, https, accepted.port, trusted),
            id: ConnectionId::new(),
            shard: NEXT.fetch_add(1, Ordering::Relaxed),
            limits: app.settings().limits,
            refused: OnceLock::new(),
            gives_way: AtomicBool::new(false),
            place: Arc::clone(&accepted.place),
            certificate: None,
        }
    }

    /// The other side's address.
    #[must_use]
    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The client's certificate, if it showed one in the handshake.
    #[must_use]
    pub(crate) const fn certificate(&self) -> Option<CertificateThumbprint> {
        self.certificate
    }

    /// What is told upstream of this hop.
    #[must_use]
    pub(crate) const fn hop(&self) -> &Hop {
        &self.hop
    }

    /// The shard of kept connections that is tried first.
    #[must_use]
    pub(crate) const fn shard(&self) -> usize {
        self.shard
    }

    /// Whether a request of this version was held to these limits as it was read: not if it came
    /// by HTTP/2, or by a connection that is older than they are.
    #[must_use]
    pub(crate) fn has_held_to(&self, version: Version, limits: &Limits) -> bool {
        version != Version::HTTP_2 && self.limits == *limits
    }

    /// The id of the connection's next request.
    #[must_use]
    pub(crate) fn next_request(&self) -> RequestId {
        self.id.next_request()
    }

    /// Why the request that has just come is refused as it stands, if its bytes were such.
    #[must_use]
    pub(crate) fn refused(&self) -> Option<BadRequest> {
        self.refused.get().copied()
    }

    /// Lets those go first who are ready, too. What several have for their upstream, or for clients,
    /// goes out together then, and wakes whoever it is for once; and what one step runs through is
    /// still in the processor's caches when the next request comes to it.
    ///
    /// Meanwhile nobody looks whether the client is still there: it may close as soon as it has asked,
    /// and what it asked for is done all the same.
    pub(crate) async fn give_way(&self) {
        /// It ends with the request, too.
        struct Giving<'a>(&'a AtomicBool);
        impl Drop for Giving<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        self.gives_way.store(true, Ordering::Relaxed);
        let _giving = Giving(&self.gives_way);
        tokio::task::yield_now().await;
    }

    /// Its place among the connections that there may be, for as long as it is held.
    #[must_use]
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }
}

/// Serves one connection until it ends, or until it is told to: then what is under way is
/// finished first.
pub(super) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    accepted: Accepted,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let connection = Connection::new(&shared, &accepted);
    let timeouts = shared.app().settings().timeouts;
    let Some(tls) = accepted.tls else {
        let begun = begins_http2(&stream, timeouts.idle, timeouts.headers);
        let begun = tokio::select! {
            begun = begun => begun,
            () = stop.cancelled() => return,
        };
        match begun {
            // What is larger than the usual way is on the heap: a task has room for the largest.
            Some(true) => Box::pin(http2(shared, connection, stream, stop)).await,
            Some(false) => http1(shared, connection, stream, stop).await,
            None => {}
        }
        return;
    };
    Box::pin(over_tls(shared, connection, stream, tls, stop)).await;
}

/// The same over TLS, by what the two agreed on.
async fn over_tls(
    shared: Arc<Shared>,
    mut connection: Connection,
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    stop: CancellationToken,
) {
    let patience = shared.app().settings().timeouts.headers;
    let stream = match timeout(patience, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(peer = %connection.peer, %error, "no TLS session");
            return;
        }
        Err(_) => return,
    };
    let shown = stream.get_ref().1.peer_certificates();
    connection.certificate = shown
        .and_then(|chain| chain.first())
        .map(|leaf| CertificateThumbprint::of_der(leaf));
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Box::pin(http2(shared, connection, stream, stop)).await;
    } else {
        Box::pin(http1(shared, connection, stream, stop)).await;
    }
}

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Between two looks at a client that has sent a part of the preface of HTTP/2.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Whether a client without TLS begins with the preface of HTTP/2; `None` if it does not begin.
async fn begins_http2(stream: &TcpStream, idle: Duration, patience: Duration) -> Option<bool> {
    let mut begun = [0; PREFACE.len()];
    let first = timeout(idle, stream.peek(&mut begun[..1])).await;
    if !matches!(first, Ok(Ok(1))) {
        return None;
    }
    let whole = async {
        let mut pause = Duration::from_millis(5);
        loop {
            match stream.peek(&mut begun).await {
                Ok(0) | Err(_) => return false,
                Ok(count) if begun[..count] != PREFACE[..count] => return false,
                Ok(count) if count == PREFACE.len() => return true,
                // A part of it: what was seen is seen again at once, so a pause is due, and a
                // longer one each time.
                Ok(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    };
    // Half a preface may be half a request line, whose time is up as any other's.
    Some(timeout(patience, whole).await.unwrap_or(false))
}

async fn http1(
    shared: Arc<Shared>,
    connection: Connection,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stop: CancellationToken,
) {
    let app = shared.app();
    let (limits, timeouts) = (connection.limits, app.settings().timeouts);
    drop(app);
    let settings = http1::Settings {
        bounds: Bounds {
            line: limits.request_line,
            headers: limits.headers,
            count: limits.header_count,
        },
        patience: Patience {
            idle: timeouts.idle,
            head: timeouts.headers,
        },
    };
    http1::serve(stream, settings, stop, &Pipeline { shared, connection }).await;
}

/// What answers the requests of a connection.
struct Pipeline {
    shared: Arc<Shared>,
    connection: Connection,
}

impl Answerer for Pipeline {
    type Body = Body;

    async fn answer(
        &self,
        request: Request<ClientBody>,
        refused: Option<BadRequest>,
    ) -> Response<Body> {
        if let Some(refused) = refused {
            let _ = self.connection.refused.set(refused);
        }
        pipeline::answer(&self.shared, &self.connection, request).await
    }

    fn is_own(body: &Body) -> bool {
        body.is_own()
    }

    fn gives_way(&self) -> bool {
        self.connection.gives_way.load(Ordering::Relaxed)
    }
}

async fn http2(
    shared: Arc<Shared>,
    connection: Connection,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stop: CancellationToken,
) {
    let app = shared.app();
    let (limits, timeouts) = (app.settings().limits, app.settings().timeouts);
    drop(app);
    let connection = Arc::new(connection);
    let streams = Arc::new(Streams::new());
    let service = service_fn({
        let streams = Arc::clone(&streams);
        move |request: Request<Incoming>| {
            let (shared, connection) = (Arc::clone(&shared), Arc::clone(&connection));
            let open = streams.open();
            async move {
                let request = received(request);
                let mut response = pipeline::answer(&shared, &connection, request).await;
                // RFC 9113 §8.2.2: a connection of HTTP/2 is not spoken of in messages.
                response.headers_mut().remove(header::CONNECTION);
                response.headers_mut().remove(header::UPGRADE);
                Ok::<_, Infallible>(response.map(|body| {
                    let told = Told { body, _until: open };
                    Taken::new(told, timeouts.idle)
                }))
            }
        }
    });
    let list = limits.request_line + limits.headers + 64 * limits.header_count;
    let serving = http2::Builder::new(Attendant::new(timeouts.idle))
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .keep_alive_interval(Some(timeouts.idle))
        .keep_alive_timeout(timeouts.headers)
        .serve_connection(TokioIo::new(stream), service);
    let shut_down = http2::Connection::graceful_shutdown;
    until_ended(serving, shut_down, stop, Some((&streams, timeouts.idle))).await;
}

/// A request as the pipeline takes it.
fn received(mut request: Request<Incoming>) -> Request<ClientBody> {
    let switch = request
        .extensions_mut()
        .remove::<hyper::upgrade::OnUpgrade>();
    request.extensions_mut().clear();
    if let Some(switch) = switch {
        request.extensions_mut().insert(OnUpgrade::of_hyper(switch));
    }
    request.map(ClientBody::from)
}

/// Serves a connection to its end. When it is told to stop, or has been idle for as long as it may
/// be, what is under way is finished first.
async fn until_ended<C, E>(
    serving: C,
    shut_down: impl Fn(Pin<&mut C>),
    stop: CancellationToken,
    idleness: Option<(&Streams, Duration)>,
) where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            shut_down(serving.as_mut());
            serving.await
        }
        () = idle(idleness) => {
            shut_down(serving.as_mut());
            tokio::select! {
                ended = &mut serving => ended,
                () = idle_on(idleness) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until there has been no request for as long as there may be none.
async fn idle(idleness: Option<(&Streams, Duration)>) {
    match idleness {
        Some((streams, patience)) => streams.idle(patience).await,
        None => std::future::pending().await,
    }
}

/// The same once more, for a connection that was told to end: its client takes not even the rest of
/// answers that are complete.
async fn idle_on(idleness: Option<(&Streams, Duration)>) {
    if let Some((_, patience)) = idleness {
        tokio::time::sleep(patience).await;
    }
    idle(idleness).await;
}

/// A body that holds on to something until it has ended.
struct Told<U> {
    body: Body,
    _until: U,
}

impl<U: Unpin> HttpBody for Told<U> {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
