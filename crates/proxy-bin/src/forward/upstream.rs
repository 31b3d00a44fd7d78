//! One upstream: requests out, responses back, and which of them may be tried again.
//! RFC 9110 §9.2.2 and RFC 9112 §9.3.1 on retries.

mod exchange;

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Response, Uri, header};
use hyper::client::conn::http2;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use tower_service::Service as _;

use super::body::{Body, RequestBody};
use super::connect::{ClientTls, TlsSettings, TlsSettingsError};
use super::error::ForwardError;
use super::http1::Connection;
use super::lines::Lines;
use super::pool::{Http2, Pool};
use super::upgrade::OnUpgrade;
use crate::config::Service;
use crate::http1::keep_fields;

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
    /// For what HTTP/2 cannot do.
    http1_connector: HttpsConnector<HttpConnector>,
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
pub(crate) enum Answer {
    /// An answer, its body on its way; the connection is kept once that has ended.
    Response(Response<Body>),
    /// The connection speaks another protocol from now on.
    Switched(Response<Body>, OnUpgrade),
}

impl Upstream {
    /// Prepares a service.
    ///
    /// # Errors
    /// If its URL or its TLS settings cannot be used.
    pub(crate) fn new(service: &Service, tls: &mut ClientTls) -> Result<Self, UpstreamError> {
        let settings = TlsSettings {
            verify: service.tls_verify,
            authorities: service.ca_certificates.clone(),
            further: Vec::new(),
            identity: service.client_certificate.clone(),
        };
        let tls = tls.of(settings).map_err(|source| UpstreamError::Tls {
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
        let http1_connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp.clone());
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
            http1_connector,
            pool: Pool::new(),
            connect_timeout: service.connect_timeout,
            read_timeout: service.read_timeout,
            write_timeout: service.write_timeout,
            retries: service.retries,
        })
    }

    /// Closes kept connections that are of no use any more.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
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

    /// Sends a request whose target is a path, with these lines after its own, and waits for the head of the answer.
    ///
    /// A request is sent a second time only if nothing of it was written, or if it is idempotent,
    /// has no body that flows, and met a kept connection that was closed in the meantime.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn send(
        &self,
        parts: Parts,
        lines: &Lines,
        mut body: RequestBody,
        shard: usize,
    ) -> Result<Answer, ForwardError> {
        // HTTP/2 switches to no other protocol (RFC 9113 §8.6).
        let switches = parts.headers.contains_key(header::UPGRADE);
        let idempotent = parts.method.is_idempotent();
        let mut repeatable = self.retries > 0 && idempotent;
        for attempt in 0.. {
            let kept = if attempt < KEPT_TRIES {
                self.kept(shard, switches, idempotent)
            } else {
                None
            };
            let reused = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                // On the heap, since it is large and rare: a connection's task has room for it all.
                None => Box::pin(self.connect(switches)).await?,
            };
            let spare = if reused { body.again() } else { None };
            let failed = match connection {
                Connected::Http1(connection) => {
                    self.over_http1(connection, &parts, lines, body, shard)
                        .await
                }
                Connected::Http2(connection) => {
                    Box::pin(self.over_http2(connection, &parts, lines, body)).await
                }
            };
            let failed = match failed {
                Ok(answer) => {
                    keep_fields(parts.headers);
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            let unharmed = failed.body.or(spare);
            body = match unharmed {
                Some(body) if reused && failed.is_unsent => body,
                Some(body) if reused && repeatable && failed.error == ForwardError::Cut => {
                    // Once is bad luck; twice may be the request's doing.
                    repeatable = false;
                    body
                }
                _ => return Err(failed.error),
            };
        }
        Err(ForwardError::Unreachable)
    }

    /// A connection that is open and free.
    fn kept(&self, shard: usize, switches: bool, idempotent: bool) -> Option<Connected> {
        if !switches && let Some(connection) = self.pool.http2() {
            return Some(Connected::Http2(connection));
        }
        loop {
            let mut connection = self.pool.take(shard)?;
            if idempotent || !connection.is_spent_by_now() {
                return Some(Connected::Http1(connection));
            }
        }
    }

    async fn connect(&self, switches: bool) -> Result<Connected, ForwardError> {
        let mut connector = if switches {
            self.http1_connector.clone()
        } else {
            self.connector.clone()
        };
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
                    .keep_alive_interval(PING)
                    .keep_alive_timeout(PONG)
                    .handshake(stream)
                    .await
                    .map_err(|_| ForwardError::Malformed)?;
                tokio::spawn(connection);
                self.pool.keep_http2(sender.clone());
                return Ok(Connected::Http2(sender));
            }
            Ok(Connected::Http1(Box::new(Connection::new(stream))))
        };
        timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or(Err(ForwardError::ConnectTimeout))
    }
}

enum Connected {
    Http1(Box<Connection>),
    Http2(Http2),
}

/// How many kept connections are tried before a new one is made.
const KEPT_TRIES: u32 = 3;

/// How often a connection of HTTP/2 is asked whether the other side is there, and for how long.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);
