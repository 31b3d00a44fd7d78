//! The listeners in front of a provider: HTTP/1.1 and HTTP/2, records first, then faults.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::accept::accept;
use super::faults::{Alteration, Answer, Delivery};
use super::tls::acceptor;
use super::{Admission, Endpoint, Fault, Faults, Peer, TokenRequest, Watch};

/// The largest request that a provider reads.
const REQUEST_MAX: usize = 4 * 1024 * 1024;

/// What a provider's answer is awaited as.
pub(crate) type AnswerFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, Gone>> + Send + 'a>>;

/// What answers behind a wire: the embedded provider, or the way to a real one.
pub(crate) trait Responder: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, request: Request<Bytes>) -> AnswerFuture<'_>;
}

/// There is no answer: the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(crate) struct Gone;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Listeners with their records and faults. They stop when this is dropped.
pub(crate) struct Wire {
    address: SocketAddr,
    tls: Option<(SocketAddr, TlsAcceptor)>,
    shared: Arc<Shared>,
    listening: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    responder: Arc<dyn Responder>,
    faults: Faults,
    records: Watch<Records>,
}

#[derive(Debug, Default)]
struct Records {
    tokens: Vec<TokenRequest>,
    counts: HashMap<Endpoint, usize>,
}

impl Wire {
    /// Listens at this address; port 0 takes a free one. If anyone is admitted by https, that is
    /// at a free port.
    pub(crate) async fn listen(
        address: SocketAddr,
        responder: Arc<dyn Responder>,
        https: Option<Admission>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            responder,
            faults: Faults::default(),
            records: Watch::new(Records::default()),
        });
        let address = listener.local_addr()?;
        let mut tasks = vec![spawn(listener, &shared, None)];
        let mut tls = None;
        if let Some(admission) = https {
            let acceptor = acceptor(admission);
            let listener = TcpListener::bind((address.ip(), 0)).await?;
            tls = Some((listener.local_addr()?, acceptor.clone()));
            tasks.push(spawn(listener, &shared, Some(acceptor)));
        }
        Ok(Self {
            address,
            tls,
            shared,
            listening: Mutex::new(tasks),
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens by https.
    pub(crate) fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|(address, _)| *address)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    pub(crate) fn token_requests(&self) -> Vec<TokenRequest> {
        self.shared.records.read(|records| records.tokens.clone())
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.shared
            .records
            .read(|records| records.counts.get(&endpoint).copied().unwrap_or_default())
    }

    pub(crate) fn forget(&self) {
        self.shared
            .records
            .change(|records| *records = Records::default());
    }

    pub(crate) async fn wait_for(&self, endpoint: Endpoint, count: usize) {
        let calls = |records: &Records| records.counts.get(&endpoint).copied().unwrap_or_default();
        self.shared
            .records
            .until(
                |records| calls(records) >= count,
                |records| {
                    format!(
                        "{count} calls to the {endpoint:?} endpoint; {} came",
                        calls(records)
                    )
                },
            )
            .await;
    }

    /// Closes the listeners and every connection; new ones are refused.
    pub(crate) async fn go_down(&self) {
        let tasks = std::mem::take(&mut *self.tasks());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again at the same addresses.
    pub(crate) async fn come_back(&self) -> io::Result<()> {
        self.go_down().await;
        let listener = TcpListener::bind(self.address).await?;
        let mut tasks = vec![spawn(listener, &self.shared, None)];
        if let Some((address, acceptor)) = &self.tls {
            let listener = TcpListener::bind(address).await?;
            tasks.push(spawn(listener, &self.shared, Some(acceptor.clone())));
        }
        *self.tasks() = tasks;
        Ok(())
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for task in self.tasks().iter() {
            task.abort();
        }
    }
}

fn spawn(
    listener: TcpListener,
    shared: &Arc<Shared>,
    acceptor: Option<TlsAcceptor>,
) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    tokio::spawn(accept(listener, move |stream, _| {
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        async move {
            match acceptor {
                None => serve(stream, shared, None).await,
                Some(acceptor) => serve_tls(stream, shared, &acceptor).await,
            }
        }
    }))
}

/// A client whose certificate is not let in is none.
async fn serve_tls(stream: TcpStream, shared: Arc<Shared>, acceptor: &TlsAcceptor) {
    if let Ok(stream) = acceptor.accept(stream).await {
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|chain| chain.first().cloned());
        let certificate = certificate.map(rustls::pki_types::CertificateDer::into_owned);
        serve(stream, shared, Some(Peer { certificate })).await;
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>, peer: Option<Peer>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        async move { shared.exchange(request).await }
    });
    // A client that goes away is no concern of the provider's.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shared {
    async fn exchange(&self, request: Request<Incoming>) -> Result<Response<Body>, Gone> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_MAX)
            .collect()
            .await
            .map_err(|_| Gone)?
            .to_bytes();
        let request = Request::from_parts(parts, body);
        let endpoint = Endpoint::of(request.uri().path());
        let index = self.record(endpoint, &request);
        let fault = self.faults.take(endpoint);
        let answer = self.answer(request, fault.as_ref()).await;
        if let (Some(index), Ok(response)) = (index, &answer) {
            let status = response.status().as_u16();
            self.records.change(|records| {
                // The records may have been forgotten in between.
                if let Some(record) = records.tokens.get_mut(index) {
                    record.status = Some(status);
                }
            });
        }
        deliver(
            answer?,
            fault.map_or(Delivery::Whole, |fault| fault.delivery),
        )
    }

    fn record(&self, endpoint: Endpoint, request: &Request<Bytes>) -> Option<usize> {
        let token = (endpoint == Endpoint::Token).then(|| TokenRequest::read(request));
        let mut index = None;
        self.records.change(|records| {
            *records.counts.entry(endpoint).or_default() += 1;
            if let Some(token) = token {
                index = Some(records.tokens.len());
                records.tokens.push(token);
            }
        });
        index
    }

    async fn answer(
        &self,
        request: Request<Bytes>,
        fault: Option<&Fault>,
    ) -> Result<Response<Bytes>, Gone> {
        let Some(fault) = fault else {
            return self.responder.answer(request).await;
        };
        if let Some(delay) = fault.delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(gate) = &fault.gate {
            gate.pass().await;
        }
        match &fault.answer {
            Answer::Real => self.responder.answer(request).await,
            Answer::Altered(alteration) => {
                Ok(alteration.applied(self.responder.answer(request).await?))
            }
            Answer::Instead {
                status,
                headers,
                body,
            } => {
                let mut response = Response::new(body.clone());
                *response.status_mut() = *status;
                *response.headers_mut() = headers.clone();
                Ok(response)
            }
            Answer::Nothing => Err(Gone),
        }
    }
}

impl Alteration {
    fn applied(self, response: Response<Bytes>) -> Response<Bytes> {
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let body = match self {
            Self::CutJson => body.slice(..body.len() / 2),
            Self::ByteOrderMark => {
                let mut marked = b"\xEF\xBB\xBF".to_vec();
                marked.extend_from_slice(&body);
                marked.into()
            }
            Self::Utf16 => String::from_utf8_lossy(&body)
                .encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect(),
            Self::ContentType(content_type) => {
                parts
                    .headers
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                body
            }
        };
        Response::from_parts(parts, body)
    }
}

fn deliver(response: Response<Bytes>, delivery: Delivery) -> Result<Response<Body>, Gone> {
    let (mut parts, body) = response.into_parts();
    let body: Body = match delivery {
        Delivery::Whole => Full::new(body).map_err(never).boxed_unsync(),
        Delivery::Lost => return Err(Gone),
        Delivery::Cut => {
            parts
                .headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            let half = body.slice(..body.len() / 2);
            let cut = io::Error::from(io::ErrorKind::ConnectionReset);
            // The pause lets the half reach the client before the connection ends.
            let frames = stream::unfold(Some((half, cut)), |state| async move {
                let (half, cut) = state?;
                if half.is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return Some((Err(cut), None));
                }
                Some((Ok(Frame::data(half)), Some((Bytes::new(), cut))))
            });
            StreamBody::new(frames).boxed_unsync()
        }
        Delivery::Drip(interval) => {
            parts
                .headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            let frames = stream::unfold(body, move |mut rest| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(interval).await;
                let byte = rest.split_to(1);
                Some((Ok(Frame::data(byte)), rest))
            });
            StreamBody::new(frames).boxed_unsync()
        }
    };
    Ok(Response::from_parts(parts, body))
}

fn never(never: Infallible) -> io::Error {
    match never {}
}
