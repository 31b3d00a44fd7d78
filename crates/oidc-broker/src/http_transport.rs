//! The transport over hyper: pooled connections, TLS by rustls, no redirects, a bounded body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use oidc_core::Secret;
use rustls::ClientConfig;

use crate::transport::{Transport, TransportError, TransportFuture, TransportResponse};

/// The largest response that is read.
const BODY_MAX: usize = 1024 * 1024;

/// How long an idle connection is kept: shorter than providers keep theirs, so that a request is
/// hardly ever written to one that has just been closed, and would be lost.
const IDLE: Duration = Duration::from_secs(4);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// HTTP/1.1 and HTTP/2 to a provider.
#[derive(Clone)]
pub struct HttpTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A transport that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpTransportError {
    /// The TLS settings are refused.
    #[error("the TLS settings are refused")]
    Tls(#[from] rustls::Error),
    /// The system has no certificate authorities.
    #[error("the system's certificate authorities cannot be read")]
    Roots(#[source] std::io::Error),
}

impl HttpTransport {
    /// A transport that trusts the system's certificate authorities.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn new() -> Result<Self, HttpTransportError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut roots = rustls::RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        Ok(Self::with_tls(
            builder.with_root_certificates(roots).with_no_client_auth(),
        ))
    }

    /// A transport with these TLS settings; the protocols of ALPN are set here.
    #[must_use]
    pub fn with_tls(tls: ClientConfig) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Self { client }
    }

    async fn exchange(
        &self,
        request: http::Request<Secret>,
    ) -> Result<TransportResponse, TransportError> {
        let request =
            request.map(|body| Full::new(Bytes::copy_from_slice(body.expose().as_bytes())));
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                TransportError::Unreachable
            } else {
                TransportError::Cut
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, BODY_MAX)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    TransportError::TooLarge
                } else {
                    TransportError::Cut
                }
            })?;
        Ok(TransportResponse {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes().into(),
        })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Secret>) -> TransportFuture<'_> {
        Box::pin(self.exchange(request))
    }
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpTransport")
    }
}
