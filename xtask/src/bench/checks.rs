//! That a contender does what it is measured for: whole answers to good requests, and refusals of
//! bad credentials by whoever checks them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;

use super::contender::Contender;
use super::ground::Ground;
use super::plan::Transport;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The largest answer that is read.
const ANSWER_MAX: usize = 8 * 1024 * 1024;

/// What each contender answered to what it has to refuse.
pub(crate) type Refusals = BTreeMap<(Contender, &'static str), u16>;

/// Asks a contender what it has to answer, and what it has to refuse.
///
/// # Errors
/// If it does otherwise, with what it did.
pub(crate) async fn check(
    ground: &Ground,
    contender: Contender,
    transport: Transport,
    address: SocketAddr,
    path: &str,
    refusals: &mut Refusals,
) -> Result<()> {
    let client = Asker::new(ground, transport)?;
    let url = format!("{}://{address}{path}", client.scheme);
    let credential = contender.credential();
    let good = ground.credentials.good(credential);
    let (status, body) = client
        .ask(&url, Some(&good))
        .await
        .with_context(|| format!("{}: a good request", contender.name()))?;
    ensure!(
        status == 200,
        "{} answered {status} to a good request",
        contender.name()
    );
    let file = ground.file(path)?;
    if body != file {
        let at = body.iter().zip(&file).position(|(a, b)| a != b);
        bail!(
            "{} answered {} bytes, the file has {}; they differ from byte {}",
            contender.name(),
            body.len(),
            file.len(),
            at.unwrap_or_else(|| body.len().min(file.len()))
        );
    }
    for bad in ground.credentials.bad(credential)? {
        let (status, body) = client
            .ask(&url, bad.header.as_deref())
            .await
            .with_context(|| format!("{}: {}", contender.name(), bad.what))?;
        ensure!(
            matches!(status, 401 | 403),
            "{} answered {status} to {}, which has to be refused",
            contender.name(),
            bad.what
        );
        ensure!(
            body != file,
            "{} answered {status} to {}, and the body all the same",
            contender.name(),
            bad.what
        );
        refusals.insert((contender, bad.what), status);
    }
    Ok(())
}

/// A client of one transport.
struct Asker {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    scheme: &'static str,
}

impl Asker {
    fn new(ground: &Ground, transport: Transport) -> Result<Self> {
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
        let client = Client::builder(TokioExecutor::new())
            .http2_only(transport == Transport::Http2)
            .pool_max_idle_per_host(0)
            .build(connector);
        let scheme = match transport {
            Transport::Tls => "https",
            _ => "http",
        };
        Ok(Self { client, scheme })
    }

    /// The status and the body.
    async fn ask(&self, url: &str, header: Option<&str>) -> Result<(u16, Bytes)> {
        let mut request = Request::get(url).body(Empty::new())?;
        if let Some((name, value)) = header.and_then(|header| header.split_once(':')) {
            let mut value = HeaderValue::try_from(value.trim())?;
            value.set_sensitive(true);
            request
                .headers_mut()
                .insert(HeaderName::try_from(name)?, value);
        }
        let exchange = async {
            let response = self.client.request(request).await?;
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
