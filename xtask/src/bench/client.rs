//! A client of one transport, that trusts the ground's authority: for requests whose answers count, not
//! their number a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;

use super::ground::Ground;
use super::plan::Transport;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The largest answer that is read.
const ANSWER_MAX: usize = 8 * 1024 * 1024;

/// What a request carries.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// A client of one transport.
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
    scheme: &'static str,
}

impl Client {
    /// A client that keeps this many connections that have nothing to do.
    ///
    /// # Errors
    /// If the authority's certificate is none.
    pub(crate) fn new(ground: &Ground, transport: Transport, kept: usize) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ground.authority().certificate_der()))?;
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let connector = match transport {
            Transport::Http2 => connector.enable_http2().build(),
            Transport::Http1 | Transport::Tls => connector.enable_http1().build(),
        };
        let pool = Pool::builder(TokioExecutor::new())
            .http2_only(transport == Transport::Http2)
            .pool_max_idle_per_host(kept)
            .build(connector);
        let scheme = match transport {
            Transport::Tls => "https",
            Transport::Http1 | Transport::Http2 => "http",
        };
        Ok(Self { pool, scheme })
    }

    /// What URLs begin with.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The status and the body of the answer.
    ///
    /// # Errors
    /// If there is none, or not in time.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<(u16, Bytes)> {
        let exchange = async {
            let response = self.pool.request(request).await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_MAX)
                .collect()
                .await
                .map_err(|error| anyhow::anyhow!("the body: {error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        timeout(PATIENCE, exchange)
            .await
            .with_context(|| format!("no answer after {PATIENCE:?}"))?
    }
}

/// A header field that is written as `name: value`; the value is nobody's to see.
///
/// # Errors
/// If it is none.
pub(crate) fn field(line: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':').context("no header line")?;
    let mut value = HeaderValue::try_from(value.trim())?;
    value.set_sensitive(true);
    Ok((HeaderName::try_from(name)?, value))
}

/// What most requests carry.
pub(crate) fn no_body() -> Body {
    Empty::new().boxed()
}
