//! A small client of HTTP/1.1: no pool, since tests come with a runtime each and end at any time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;
use crate::pki::{Authority, Identity};

/// The largest answer that is read.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// How long an answer may take. Keycloak is slow in its first requests, and on a busy machine.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// Sends requests by http, or by https to who has a certificate of the shared authority.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    pub(crate) fn new() -> Self {
        Self::showing(None)
    }

    /// A client with a certificate.
    pub(crate) fn showing(identity: Option<&Identity>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(identity))
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Self(
            Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
        )
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let url = request.uri().to_string();
        let failed = |reason: String| Error::NoAnswer {
            url: url.clone(),
            reason,
        };
        let exchange = async {
            let response = self
                .0
                .request(request.map(Full::new))
                .await
                .map_err(|error| failed(with_causes(&error)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX)
                .collect()
                .await
                .map_err(|error| failed(error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        tokio::time::timeout(ANSWER_TIME, exchange)
            .await
            .map_err(|_| failed(format!("nothing in {} s", ANSWER_TIME.as_secs())))?
    }
}

fn tls_config(identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(Authority::shared().certificate())
        .expect("an authority's certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has every version")
        .with_root_certificates(roots);
    match identity {
        None => config.with_no_client_auth(),
        Some(identity) => config
            .with_client_auth_cert(identity.chain(), identity.private_key())
            .expect("a certificate and its key"),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
