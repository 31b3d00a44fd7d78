//! Tokens that are bound to the test's own key or certificate (RFC 9449 §5, RFC 8705 §3).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use keycloak_testkit::DpopKey;
use keycloak_testkit::pki::{Authority, Identity};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{JOHN, ProviderTokens, SecondProvider, encoded};

impl SecondProvider {
    /// John's tokens, issued to a public client and bound to this key.
    ///
    /// # Panics
    /// If the provider refuses.
    pub async fn john_by_key(&self, client: &str, key: &DpopKey) -> ProviderTokens {
        let url = format!("{}/token", self.issuer());
        let request = self
            .own("/token", &encoded(&JOHN, client, None))
            .header("DPoP", &key.proof("POST", &url).sign());
        ProviderTokens(request.send().await.expect(200).json())
    }

    /// John's tokens, issued to a public client by the listener that asks for certificates, and
    /// bound to this one if the client is registered so.
    ///
    /// # Panics
    /// If the provider refuses, or has no such listener with a certificate of the tests'
    /// authority.
    pub async fn john_by_certificate(&self, client: &str, identity: &Identity) -> ProviderTokens {
        let tokens = self.try_john_by_certificate(client, identity).await;
        tokens.expect("john's tokens")
    }

    async fn try_john_by_certificate(
        &self,
        client: &str,
        identity: &Identity,
    ) -> anyhow::Result<ProviderTokens> {
        let address = self.tls_address().expect("a listener with TLS");
        let connector = TlsConnector::from(showing(identity)?);
        let name = ServerName::try_from("127.0.0.1")?;
        let stream = TcpStream::connect(address).await?;
        let stream = TokioIo::new(connector.connect(name, stream).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        let form = encoded(&JOHN, client, None);
        let request = http::Request::post("/token")
            .header(HOST, address.to_string())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("Test-Own", "yes")
            .body(Full::new(Bytes::from(form)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == 200, "{}", String::from_utf8_lossy(&body));
        Ok(ProviderTokens(serde_json::from_slice(&body)?))
    }
}

fn showing(identity: &Identity) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(Authority::shared().certificate_der().to_vec().into())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![identity.certificate_der().to_vec().into()],
            PrivatePkcs8KeyDer::from(identity.key_der()).into(),
        )?;
    Ok(Arc::new(config))
}
