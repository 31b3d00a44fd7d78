//! The transport over hyper: one connection a request, TLS by rustls, no redirects, a bounded body.
//!
//! A connection that was kept may have been closed by the provider in the meantime. What was then
//! written to it is lost, and whether it was read nobody knows: a token request could neither be
//! sent again, since a replayed refresh token ends its session, nor be answered but by a 503 that
//! the provider has not earned. So none is kept. A new connection is a fraction of what a token
//! request costs the provider, and TLS resumes its session.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONNECTION;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oidc_core::Secret;
use rustls::ClientConfig;

use crate::transport::{Transport, TransportError, TransportFuture, TransportResponse};

/// The largest response that is read.
const BODY_MAX: usize = 1024 * 1024;

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// HTTP/1.1 to a provider.
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
}

impl HttpTransport {
    /// A transport that trusts the system's certificate authorities. Where there are none, no
    /// provider is reached by TLS.
    ///
    /// # Errors
    /// If the cryptographic library refuses the TLS settings.
    pub fn new() -> Result<Self, HttpTransportError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut roots = rustls::RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (trusted, _) = roots.add_parsable_certificates(native.certs);
        if trusted == 0 {
            tracing::warn!("the system has no certificate authorities: no provider is trusted");
        }
        Ok(Self::with_tls(
            builder.with_root_certificates(roots).with_no_client_auth(),
        ))
    }

    /// A transport with these TLS settings; the protocols of ALPN are set here.
    #[must_use]
    pub fn with_tls(mut tls: ClientConfig) -> Self {
        tls.alpn_protocols.clear();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        Self { client }
    }

    async fn exchange(
        &self,
        request: http::Request<Secret>,
    ) -> Result<TransportResponse, TransportError> {
        let mut request = request.map(|body| Full::new(Bytes::from_owner(Cleared(body))));
        // The provider closes, so that the ports in waiting are not ours.
        request.headers_mut().insert(CONNECTION, CLOSE);
        let response = self.client.request(request).await.map_err(|error| {
            let cause = error.source().and_then(|cause| cause.downcast_ref());
            if error.is_connect() {
                TransportError::Unreachable
            } else if cause.is_some_and(hyper::Error::is_parse) {
                TransportError::NotHttp
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

/// A body that is cleared from memory once it is sent.
struct Cleared(Secret);

impl AsRef<[u8]> for Cleared {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
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
