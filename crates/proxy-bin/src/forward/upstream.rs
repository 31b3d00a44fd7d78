//! One upstream: requests out, responses back, and which of them may be tried again.
//! RFC 9110 §9.2.2 and RFC 9112 §9.3.1 on retries.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service as _;

use super::body::{Body, Progress, RequestBody};
use super::connect::{TlsSettings, TlsSettingsError, client_tls};
use super::error::ForwardError;
use super::pool::{Http1, Http2, Lease, Pool};
use crate::config::Service;

/// Where requests go, prepared.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Scheme and authority, to connect to.
    origin: Uri,
    authority: Authority,
    scheme: Scheme,
    host: HeaderValue,
    base_path: String,
    connector: HttpsConnector<HttpConnector>,
    pool: Arc<Pool>,
    connect_timeout: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
    retries: u32,
}

/// An upstream that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Its TLS settings cannot be used.
    #[error("the service {service}: {source}")]
    Tls {
        /// The service.
        service: String,
        /// Why.
        source: TlsSettingsError,
    },
    /// Its URL has no host.
    #[error("the service {0} has no host in its URL")]
    NoHost(String),
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    lease: Option<Lease>,
    patience: Duration,
}

impl Answer {
    /// The response with its body on its way; the connection is kept once that has ended.
    pub(crate) fn into_response(self) -> Response<Body> {
        let (lease, patience) = (self.lease, self.patience);
        self.response
            .map(|body| Body::from_upstream(body, lease, patience))
    }

    /// The response alone; the connection is not kept.
    pub(crate) fn into_upgrade(self) -> Response<Incoming> {
        self.response
    }
}

impl Upstream {
    /// Prepares a service.
    ///
    /// # Errors
    /// If its URL or its TLS settings cannot be used.
    pub(crate) fn new(service: &Service) -> Result<Self, UpstreamError> {
        let settings = TlsSettings {
            verify: service.tls_verify,
            authorities: service.ca_certificates.clone(),
        };
        let tls = client_tls(&settings).map_err(|source| UpstreamError::Tls {
            service: service.name.clone(),
            source,
        })?;
        let no_host = || UpstreamError::NoHost(service.name.clone());
        let host = service.url.host_str().ok_or_else(no_host)?;
        let authority = match service.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let authority = Authority::try_from(authority.as_str()).map_err(|_| no_host())?;
        let scheme = if service.url.scheme() == "https" {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let origin = Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|_| no_host())?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        Ok(Self {
            host: HeaderValue::try_from(authority.as_str()).map_err(|_| no_host())?,
            origin,
            authority,
            scheme,
            base_path: service.url.path().to_owned(),
            connector,
            pool: Pool::new(),
            connect_timeout: service.connect_timeout,
            read_timeout: service.read_timeout,
            write_timeout: service.write_timeout,
            retries: service.retries,
        })
    }

    /// The path below which the upstream's resources are.
    #[must_use]
    pub(crate) fn base_path(&self) -> &str {
        &self.base_path
    }

    /// The value of `Host` for this upstream.
    #[must_use]
    pub(crate) const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Sends a request whose target is a path, and waits for the head of the answer.
    ///
    /// A request is sent a second time only if nothing of it was written, or if it is idempotent,
    /// has no body that flows, and met a kept connection that was closed in the meantime.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn send(
        &self,
        mut parts: Parts,
        mut body: RequestBody,
        shard: usize,
    ) -> Result<Answer, ForwardError> {
        let idempotent = parts.method.is_idempotent();
        for attempt in 0.. {
            let last = attempt >= self.retries;
            if let Some(connection) = self.pool.http2() {
                return self.send_http2(connection, parts, body).await;
            }
            let kept = (!last).then(|| self.pool.take(shard)).flatten();
            let reused = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => match self.connect().await? {
                    Connected::Http1(connection) => connection,
                    Connected::Http2(connection) => {
                        return self.send_http2(connection, parts, body).await;
                    }
                },
            };
            let spare = (reused && idempotent)
                .then(|| body.again().map(|body| (parts.clone(), body)))
                .flatten();
            let progress = body.progress();
            let request = Request::from_parts(parts, body);
            let sent = connection.try_send_request(request);
            let failed = match self.wait(sent, progress.as_deref()).await {
                Ok(Ok(response)) => {
                    let lease = Lease {
                        connection,
                        pool: Arc::clone(&self.pool),
                        shard,
                        progress,
                    };
                    return Ok(Answer {
                        response,
                        lease: Some(lease),
                        patience: self.read_timeout,
                    });
                }
                Ok(Err(failed)) => failed,
                Err(late) => return Err(late),
            };
            let error = read_error(failed.error(), progress.as_deref());
            if last || !reused {
                return Err(error);
            }
            (parts, body) = match (failed.into_message(), spare) {
                (Some(request), _) => request.into_parts(),
                (None, Some(spare)) => spare,
                (None, None) => return Err(error),
            };
        }
        Err(ForwardError::Unreachable)
    }

    async fn send_http2(
        &self,
        mut connection: Http2,
        mut parts: Parts,
        body: RequestBody,
    ) -> Result<Answer, ForwardError> {
        parts.version = http::Version::HTTP_2;
        // RFC 9113 §8.3.1: what `Host` says stands in `:authority`.
        let authority = parts
            .headers
            .remove(header::HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok())
            .unwrap_or_else(|| self.authority.clone());
        let path = parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(authority)
            .path_and_query(path)
            .build()
            .map_err(|_| ForwardError::Malformed)?;
        let progress = body.progress();
        let sent = connection.try_send_request(Request::from_parts(parts, body));
        match self.wait(sent, progress.as_deref()).await? {
            Ok(response) => Ok(Answer {
                response,
                lease: None,
                patience: self.read_timeout,
            }),
            Err(failed) => Err(read_error(failed.error(), progress.as_deref())),
        }
    }

    async fn connect(&self) -> Result<Connected, ForwardError> {
        let mut connector = self.connector.clone();
        let connecting = async {
            std::future::poll_fn(|context| connector.poll_ready(context))
                .await
                .map_err(|_| ForwardError::Unreachable)?;
            let stream = connector.call(self.origin.clone()).await.map_err(|error| {
                tracing::debug!(upstream = %self.authority, %error, "no connection");
                ForwardError::Unreachable
            })?;
            if stream.connected().is_negotiated_h2() {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .handshake(stream)
                    .await
                    .map_err(|_| ForwardError::Malformed)?;
                tokio::spawn(connection);
                self.pool.keep_http2(sender.clone());
                return Ok(Connected::Http2(sender));
            }
            let (sender, connection) = http1::Builder::new()
                .title_case_headers(true)
                .handshake(stream)
                .await
                .map_err(|_| ForwardError::Cut)?;
            tokio::spawn(connection.with_upgrades());
            Ok(Connected::Http1(sender))
        };
        timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or(Err(ForwardError::ConnectTimeout))
    }

    /// Waits for the head of an answer: as long as the body flows, for each of its frames; then
    /// for the upstream.
    async fn wait<T>(
        &self,
        sent: impl Future<Output = T>,
        progress: Option<&Progress>,
    ) -> Result<T, ForwardError> {
        let Some(progress) = progress else {
            return timeout(self.read_timeout, sent)
                .await
                .map_err(|_| ForwardError::ReadTimeout);
        };
        tokio::pin!(sent);
        loop {
            let patience = if progress.is_done() {
                self.read_timeout
            } else {
                self.write_timeout
            };
            tokio::select! {
                biased;
                outcome = &mut sent => return Ok(outcome),
                () = sleep_until(progress.last() + patience) => {
                    // Frames may have been taken since the deadline was set.
                    if progress.last() + patience <= Instant::now() {
                        return Err(progress.late());
                    }
                }
            }
        }
    }
}

enum Connected {
    Http1(Http1),
    Http2(Http2),
}

/// What a failed exchange means; the client's own fault with its body goes before.
fn read_error(error: &hyper::Error, progress: Option<&Progress>) -> ForwardError {
    if let Some(fault) = progress.and_then(Progress::fault) {
        return fault;
    }
    tracing::debug!(%error, "the exchange with the upstream failed");
    if error.is_parse() {
        ForwardError::Malformed
    } else {
        ForwardError::Cut
    }
}

/// The message that was not sent, if nothing of it was.
trait Unsent {
    fn into_message(self) -> Option<Request<RequestBody>>;
}

impl Unsent for TrySendError<Request<RequestBody>> {
    fn into_message(mut self) -> Option<Request<RequestBody>> {
        self.take_message()
    }
}
