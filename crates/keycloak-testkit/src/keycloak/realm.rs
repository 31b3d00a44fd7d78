//! A realm of a real server, behind a wire that counts and breaks as the embedded one does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::http_client::HttpClient;
use crate::keys::Algorithm;
use crate::provider::path;
use crate::wire::{AnswerFuture, Endpoint, Faults, Gone, Responder, TokenRequest, Wire};
use crate::{ClientKeys, Error, IdentityProvider, Realm, Reply, clock};

/// A realm of a [`Keycloak`](super::Keycloak) server.
///
/// Its issuer is not the server's own address but that of a wire in front of it, which forwards
/// requests as they are: the server takes its address from the `Host` of each request.
pub struct KeycloakRealm {
    admin: Admin,
    http: HttpClient,
    name: String,
    base: String,
    algorithm: Algorithm,
    wire: Wire,
    /// Whether the realm is to be removed with this value: the server lives on.
    tidy: AtomicBool,
}

impl KeycloakRealm {
    /// A wire in front of a realm that exists.
    pub(super) async fn open(admin: Admin, realm: &Realm, tidy: bool) -> Result<Self, Error> {
        let http = HttpClient::new();
        let relay = Relay {
            server: admin.base_url().to_owned(),
            http: http.clone(),
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wire = Wire::listen(any, Arc::new(relay))
            .await
            .map_err(|source| Error::Listen {
                address: any.to_string(),
                source,
            })?;
        let realm = Self {
            admin,
            http,
            name: realm.name.clone(),
            algorithm: realm.algorithm,
            tidy: AtomicBool::new(tidy),
            base: format!("http://{}", wire.address()),
            wire,
        };
        realm.check_issuer().await?;
        Ok(realm)
    }

    /// The administrator of its server.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    async fn check_issuer(&self) -> Result<(), Error> {
        let request = self.request(Request::get(self.direct(Endpoint::Discovery)));
        let response = self.send(request.body(Bytes::new())).await?;
        let document: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let found = document["issuer"].as_str().unwrap_or_default();
        if found == self.issuer() {
            return Ok(());
        }
        Err(Error::FixedHostName {
            found: found.to_owned(),
            asked: self.issuer(),
        })
    }

    /// The server's own address of an endpoint.
    fn direct(&self, endpoint: Endpoint) -> String {
        let server = self.admin.base_url();
        format!("{server}/realms/{}{}", self.name, path(endpoint))
    }

    /// A request that the server takes for one over the wire.
    fn request(&self, builder: http::request::Builder) -> http::request::Builder {
        builder.header(header::HOST, self.wire.address().to_string())
    }

    async fn send(
        &self,
        request: Result<Request<Bytes>, http::Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        let request = request.map_err(|error| Error::NoAnswer {
            url: self.base.clone(),
            reason: error.to_string(),
        })?;
        self.http.send(request).await
    }
}

#[async_trait]
impl IdentityProvider for KeycloakRealm {
    fn realm(&self) -> &str {
        &self.name
    }

    fn base_url(&self) -> &str {
        &self.base
    }

    fn faults(&self) -> &Faults {
        self.wire.faults()
    }

    fn token_requests(&self) -> Vec<TokenRequest> {
        self.wire.token_requests()
    }

    fn count(&self, endpoint: Endpoint) -> usize {
        self.wire.count(endpoint)
    }

    fn forget_requests(&self) {
        self.wire.forget();
    }

    async fn wait_for(&self, endpoint: Endpoint, count: usize) {
        self.wire.wait_for(endpoint, count).await;
    }

    async fn go_down(&self) {
        self.wire.go_down().await;
    }

    async fn come_back(&self) -> Result<(), Error> {
        self.wire.come_back().await.map_err(|source| Error::Listen {
            address: self.wire.address().to_string(),
            source,
        })
    }

    async fn post(
        &self,
        endpoint: Endpoint,
        form: Vec<(String, String)>,
        authorization: Option<String>,
    ) -> Result<Reply, Error> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = self
            .request(Request::post(self.direct(endpoint)))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let response = self.send(request.body(Bytes::from(body))).await?;
        Ok(Reply {
            status: response.status().as_u16(),
            body: serde_json::from_slice(response.body()).unwrap_or_default(),
        })
    }

    async fn rotate_keys(&self) -> Result<(), Error> {
        self.admin.add_key(&self.name, self.algorithm).await
    }

    async fn withdraw_old_keys(&self) -> Result<(), Error> {
        self.admin.remove_old_keys(&self.name).await
    }

    async fn log_out(&self, user: &str) -> Result<(), Error> {
        self.admin.log_out(&self.name, user).await
    }

    async fn set_user_enabled(&self, user: &str, enabled: bool) -> Result<(), Error> {
        let change = json!({"enabled": enabled});
        self.admin.change_user(&self.name, user, &change).await
    }

    async fn delete_user(&self, user: &str) -> Result<(), Error> {
        self.admin.delete_user(&self.name, user).await
    }

    async fn set_rotation(&self, on: bool) -> Result<(), Error> {
        let change = json!({"revokeRefreshToken": on, "refreshTokenMaxReuse": 0});
        self.admin.change_realm(&self.name, &change).await
    }

    async fn set_access_token_lifespan(&self, lifespan: Duration) -> Result<(), Error> {
        let change = json!({"accessTokenLifespan": lifespan.as_secs()});
        self.admin.change_realm(&self.name, &change).await
    }

    async fn set_sso_session_idle(&self, idle: Duration) -> Result<(), Error> {
        let change = json!({"ssoSessionIdleTimeout": idle.as_secs()});
        self.admin.change_realm(&self.name, &change).await
    }

    async fn not_before_now(&self) -> Result<(), Error> {
        let next = clock::now() + 1;
        let change = json!({"notBefore": next});
        self.admin.change_realm(&self.name, &change).await?;
        clock::reached(next).await;
        Ok(())
    }

    async fn set_client_secret(&self, client: &str, secret: &str) -> Result<(), Error> {
        self.admin
            .set_client_secret(&self.name, client, secret)
            .await
    }

    async fn set_client_keys(&self, client: &str, keys: ClientKeys) -> Result<(), Error> {
        self.admin.set_client_keys(&self.name, client, &keys).await
    }

    async fn delete(&self) -> Result<(), Error> {
        self.tidy.store(false, Ordering::Relaxed);
        self.admin.delete_realm(&self.name).await
    }
}

impl Drop for KeycloakRealm {
    /// A test that failed leaves its realm; on a server of the user's own it is removed.
    fn drop(&mut self) {
        if !self.tidy.swap(false, Ordering::Relaxed) {
            return;
        }
        let (admin, name) = (self.admin.clone(), self.name.clone());
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                // The server may be gone, and with it the realm.
                let _ = runtime.block_on(admin.delete_realm(&name));
            }
        });
        let _ = removal.join();
    }
}

impl std::fmt::Debug for KeycloakRealm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeycloakRealm")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

/// Forwards requests to the server, with the `Host` that the client sent.
struct Relay {
    server: String,
    http: HttpClient,
}

impl Responder for Relay {
    fn answer(&self, request: Request<Bytes>) -> AnswerFuture<'_> {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let target = parts
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str());
            let uri: Uri = format!("{}{target}", self.server)
                .parse()
                .map_err(|_| Gone)?;
            if let Some(authority) = parts.uri.authority()
                && !parts.headers.contains_key(header::HOST)
            {
                // HTTP/2 names the host there.
                let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Gone)?;
                parts.headers.insert(header::HOST, host);
            }
            parts.uri = uri;
            parts.version = http::Version::HTTP_11;
            without_connection_headers(&mut parts.headers);
            let request = Request::from_parts(parts, body);
            let mut response = self.http.send(request).await.map_err(|_| Gone)?;
            without_connection_headers(response.headers_mut());
            Ok(response)
        })
    }
}

/// What concerns one connection only (RFC 9110 §7.6.1); lengths are set anew.
fn without_connection_headers(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::TE,
        header::UPGRADE,
        header::EXPECT,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
