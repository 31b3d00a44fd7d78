//! A certified OpenID provider that is not Keycloak: what the gateway does has to hold with it, too.

mod bound;
mod description;
mod process;
mod skip;

use std::net::SocketAddr;

use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

pub use description::{ProviderClient, ProviderOptions};

use crate::{Answer, Client, Request};
use process::Process;

/// A running provider, of one test. It ends when it is dropped, or when the test's process does.
///
/// Its one user is `john` with the password `doe`. A test gets tokens by [`john`](Self::john), a
/// gateway by the password grant; a refresh token comes for the scope `offline_access` alone.
pub struct SecondProvider {
    process: Process,
}

/// Tokens that the provider issued to a test.
pub struct ProviderTokens(Value);

/// A request as the provider saw it.
#[derive(Clone, Debug)]
pub struct ProviderRequest {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// What was answered; `None` until it was.
    pub status: Option<u64>,
    /// `grant_type`, empty if there was none.
    pub grant: String,
    /// The client, if it is registered.
    pub client: Option<String>,
    /// How the client authenticated, as discovery names the methods.
    pub authentication: String,
    /// The names of the parameters that the provider knows.
    pub parameters: Vec<String>,
    /// The header `Accept`.
    pub accept: String,
    /// Whether it had a DPoP proof.
    pub dpop: bool,
    /// Whether the connection had a client certificate.
    pub certificate: bool,
}

impl SecondProvider {
    /// Starts one; `None` if it cannot be had here, which is said aloud.
    ///
    /// # Panics
    /// If it does not start; with `CI=true` also if it cannot be had.
    pub async fn start(options: ProviderOptions) -> Option<Self> {
        let installed = skip::installed_or_skip().await?;
        let process = Process::start(&installed, &options.json())
            .await
            .unwrap_or_else(|error| panic!("the second provider: {error:#}"));
        Some(Self { process })
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.process.http
    }

    /// Where it listens with TLS and asks for client certificates, if that was asked for.
    #[must_use]
    pub const fn tls_address(&self) -> Option<SocketAddr> {
        self.process.https
    }

    /// A client that speaks to it around the gateway.
    #[must_use]
    pub const fn http(&self) -> Client {
        Client::of(self.address())
    }

    /// Registers a client, or changes it.
    pub async fn register(&self, client: ProviderClient) {
        self.command("register", &client.json()).await;
    }

    /// Signs with new keys; the old ones stay published.
    pub async fn rotate_keys(&self) {
        self.command("rotate_keys", &json!({})).await;
    }

    /// Signs with new keys, and publishes no others.
    pub async fn replace_keys(&self) {
        self.command("rotate_keys", &json!({"withdraw": true}))
            .await;
    }

    /// Takes no nonce any more that it gave out.
    pub async fn renew_nonces(&self) {
        self.command("renew_nonces", &json!({})).await;
    }

    /// What came to this path so far, except for the test's own calls.
    pub async fn requests(&self, path: &str) -> Vec<ProviderRequest> {
        let all = self.command("requests", &json!({})).await;
        let all = all.as_array().expect("requests");
        all.iter()
            .map(ProviderRequest::read)
            .filter(|request| request.path == path)
            .collect()
    }

    /// Token requests so far.
    pub async fn token_requests(&self) -> Vec<ProviderRequest> {
        self.requests("/token").await
    }

    /// Takes requests to this path up when they are released, and not before.
    pub async fn hold(&self, path: &str) {
        self.command("hold", &json!({"path": path})).await;
    }

    /// Takes up the requests that are held, and others as they come.
    pub async fn release(&self) {
        self.command("release", &json!({})).await;
    }

    /// John's tokens, issued to a client with a secret or, without one, to a public one.
    ///
    /// # Panics
    /// If the provider refuses.
    pub async fn john(&self, client: &str, secret: Option<&str>) -> ProviderTokens {
        let answer = self.token(&JOHN, client, secret).await.expect(200);
        ProviderTokens(answer.json())
    }

    /// Uses a refresh token.
    pub async fn refresh(&self, token: &str, client: &str, secret: Option<&str>) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(&form, client, secret).await
    }

    /// A token request of the test's own, which is neither counted nor held.
    pub async fn token(&self, form: &[(&str, &str)], client: &str, secret: Option<&str>) -> Answer {
        self.own("/token", &encoded(form, client, secret))
            .send()
            .await
    }

    /// Has a token revoked, and with a refresh token everything that came of the same login.
    ///
    /// # Panics
    /// If the provider refuses.
    pub async fn revoke(&self, token: &str, client: &str, secret: Option<&str>) {
        let form = encoded(&[("token", token)], client, secret);
        let answer = self.own("/token/revocation", &form).send().await;
        answer.expect(200);
    }

    /// A request that is neither counted nor held.
    fn own(&self, path: &str, form: &str) -> Request {
        let request = self.http().post_form(path, form);
        request.header("Test-Own", "yes")
    }

    async fn command(&self, name: &str, what: &Value) -> Value {
        Client::of(self.process.commands)
            .request("POST", &format!("/{name}"))
            .header(CONTENT_TYPE.as_str(), "application/json")
            .body(what.to_string())
            .send()
            .await
            .expect(200)
            .json()
    }
}

/// John's login.
const JOHN: [(&str, &str); 4] = [
    ("grant_type", "password"),
    ("username", "john"),
    ("password", "doe"),
    ("scope", "openid offline_access"),
];

fn encoded(form: &[(&str, &str)], client: &str, secret: Option<&str>) -> String {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    encoded
        .extend_pairs(form)
        .append_pair("client_id", client)
        .extend_pairs(secret.map(|secret| ("client_secret", secret)));
    encoded.finish()
}

impl ProviderTokens {
    /// The access token.
    #[must_use]
    pub fn access(&self) -> &str {
        self.text("access_token")
    }

    /// The refresh token.
    ///
    /// # Panics
    /// If none was issued.
    #[must_use]
    pub fn refresh(&self) -> &str {
        self.text("refresh_token")
    }

    /// The whole answer.
    #[must_use]
    pub const fn json(&self) -> &Value {
        &self.0
    }

    fn text(&self, name: &str) -> &str {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} was issued"))
    }
}

impl ProviderRequest {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let flag = |name: &str| value[name].as_bool().unwrap_or_default();
        let parameters = value["parameters"].as_array().into_iter().flatten();
        Self {
            method: text("method"),
            path: text("path"),
            status: value["status"].as_u64(),
            grant: text("grant"),
            client: value["client"].as_str().map(str::to_owned),
            authentication: text("authentication"),
            parameters: parameters
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect(),
            accept: text("accept"),
            dpop: flag("dpop"),
            certificate: flag("certificate"),
        }
    }
}
