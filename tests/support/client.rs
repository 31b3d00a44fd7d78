//! A client of the gateway, which says nothing that a test did not ask it to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use keycloak_testkit::pki::{Authority, Identity};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long an answer may take; far above what any takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that makes a connection for each request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// A client that comes by TLS, and shows a certificate if it has one.
#[derive(Clone, Debug)]
pub struct TlsClient {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// A client of whoever listens at this address as `localhost`, by a certificate of the tests'
    /// authority.
    ///
    /// # Panics
    /// If the certificates cannot be used.
    #[must_use]
    pub fn new(address: SocketAddr, identity: Option<&Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(Authority::shared().certificate_der().to_vec().into())
            .expect("the tests' authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(
                    vec![identity.certificate_der().to_vec().into()],
                    PrivatePkcs8KeyDer::from(identity.key_der()).into(),
                )
                .expect("a client's certificate"),
        };
        Self {
            address,
            config: Arc::new(config),
        }
    }

    /// A GET.
    pub fn get(&self, target: &str) -> Request {
        let mut request = Client::of(self.address).get(target);
        request.tls = Some(Arc::clone(&self.config));
        request
    }
}

/// A request to be sent.
#[derive(Debug)]
#[must_use]
pub struct Request {
    address: SocketAddr,
    head: http::request::Builder,
    body: Bytes,
    tls: Option<Arc<ClientConfig>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// A client of whoever listens at this address.
    #[must_use]
    pub const fn of(address: SocketAddr) -> Self {
        Self { address }
    }

    /// A GET.
    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    /// A POST of a form.
    pub fn post_form(&self, target: &str, form: &str) -> Request {
        self.request("POST", target)
            .header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")
            .body(form.to_owned())
    }

    /// A request by any method.
    pub fn request(&self, method: &str, target: &str) -> Request {
        Request {
            address: self.address,
            head: http::Request::builder()
                .method(method)
                .uri(target)
                .header(HOST, self.address.to_string()),
            body: Bytes::new(),
            tls: None,
        }
    }
}

impl Request {
    /// Adds a header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// Presents a refresh token.
    pub fn refresh_token(self, token: &str) -> Self {
        self.header("Refresh-Token", token)
    }

    /// Presents an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Presents a name and a password, or a client's id and secret.
    pub fn basic(self, name: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{name}:{password}"));
        self.header(AUTHORIZATION.as_str(), &format!("Basic {pair}"))
    }

    /// Gives it a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, and waits for the whole answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer of the gateway")
    }

    /// Sends it; fails where the connection does.
    ///
    /// # Errors
    /// If there is no whole answer.
    pub async fn try_send(self) -> anyhow::Result<Answer> {
        tokio::time::timeout(PATIENCE, async {
            let stream = TcpStream::connect(self.address).await?;
            let request = self.head.body(Full::new(self.body))?;
            let response = match self.tls {
                None => exchange(stream, request).await?,
                Some(config) => {
                    let name = ServerName::try_from("localhost")?;
                    let connector = TlsConnector::from(config);
                    exchange(connector.connect(name, stream).await?, request).await?
                }
            };
            let (head, body) = response.into_parts();
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        })
        .await?
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Full<Bytes>>,
) -> anyhow::Result<http::Response<Incoming>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

impl Answer {
    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("a body of JSON, not {:?}", self.text()))
    }

    /// A header of the request as the upstream received it, which the echo tells.
    #[must_use]
    pub fn upstream_header(&self, name: &str) -> Option<String> {
        Some(self.json()["headers"].get(name)?.as_str()?.to_owned())
    }

    /// The access token that the upstream received.
    ///
    /// # Panics
    /// If it received none.
    #[must_use]
    pub fn access_token(&self) -> String {
        let authorization = self
            .upstream_header("Authorization")
            .expect("an access token");
        let token = authorization
            .strip_prefix("Bearer ")
            .expect("a bearer token");
        token.to_owned()
    }

    /// The refresh token that the upstream received.
    ///
    /// # Panics
    /// If it received none.
    #[must_use]
    pub fn refresh_token(&self) -> String {
        self.upstream_header("Refresh-Token")
            .expect("a refresh token")
    }

    /// Asserts the status, and shows the answer if it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{:?}: {:?}",
            self.headers,
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// Asserts a refusal by its status and its reason code, which `display_errors` shows.
    #[track_caller]
    pub fn refused(self, status: u16, reason: &str) {
        let answer = self.expect(status);
        assert_eq!(answer.json()["reason"], reason, "{}", answer.text());
    }
}
