//! A realm of a real server, behind a wire that counts and breaks as the embedded one does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use serde_json::json;

use super::relay::Relay;
use crate::admin::Admin;
use crate::http_client::HttpClient;
use crate::keys::Algorithm;
use crate::provider::path;
use crate::tls::AuthorityFile;
use crate::wire::{Admission, Endpoint, Faults, TokenRequest, Wire};
use crate::{Call, ClientKeys, Error, IdentityProvider, Realm, Reply, TlsSide, clock};

/// A realm of a [`Keycloak`](super::Keycloak) server.
///
/// Its issuer is not the server's own address but that of a wire in front of it, which forwards
/// requests as they are. Only `mtls_endpoint_aliases` of the discovery document are changed:
/// Keycloak names its issuer's address there too, and clients with certificates need the one by
/// https.
pub struct KeycloakRealm {
    admin: Admin,
    http: HttpClient,
    name: String,
    base: String,
    algorithm: Algorithm,
    wire: Wire,
    tls: Option<TlsSide>,
    tls_server: Option<String>,
    /// Whether the realm is to be removed with this value: the server lives on.
    tidy: AtomicBool,
}

impl KeycloakRealm {
    /// A realm that did not exist, behind a wire.
    pub(super) async fn open(
        admin: Admin,
        tls_server: Option<&str>,
        realm: &Realm,
        tidy: bool,
    ) -> Result<Self, Error> {
        let http = HttpClient::new();
        let relay = Arc::new(Relay {
            server: admin.base_url().to_owned(),
            tls_server: tls_server.map(str::to_owned),
            http: http.clone(),
            bases: OnceLock::new(),
        });
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let responder: Arc<Relay> = Arc::clone(&relay);
        let wire = Wire::listen(any, responder, tls_server.map(|_| Admission::Issued))
            .await
            .map_err(|source| Error::Listen {
                address: any.to_string(),
                source,
            })?;
        let base = format!("http://{}", wire.address());
        let tls = match wire.tls_address() {
            None => None,
            Some(address) => {
                let side = TlsSide::new(
                    format!("https://{address}"),
                    realm.name(),
                    AuthorityFile::new()?,
                );
                relay
                    .bases
                    .get_or_init(|| (base.clone(), side.base_url().to_owned()));
                Some(side)
            }
        };
        admin.create_realm_at(realm, &base).await?;
        let realm = Self {
            admin,
            http,
            name: realm.name.clone(),
            algorithm: realm.algorithm,
            tidy: AtomicBool::new(tidy),
            base,
            wire,
            tls,
            tls_server: tls_server.map(str::to_owned),
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
        let reply = self.call(Endpoint::Discovery, &Call::get()).await?;
        let found = reply.body["issuer"].as_str().unwrap_or_default();
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
}

fn uri(url: &str) -> Result<Uri, Error> {
    url.parse().map_err(|error| Error::NoAnswer {
        url: url.to_owned(),
        reason: format!("{error}"),
    })
}

#[async_trait]
impl IdentityProvider for KeycloakRealm {
    fn realm(&self) -> &str {
        &self.name
    }

    fn base_url(&self) -> &str {
        &self.base
    }

    fn tls(&self) -> Option<&TlsSide> {
        self.tls.as_ref()
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

    async fn call(&self, endpoint: Endpoint, call: &Call) -> Result<Reply, Error> {
        // The server takes it for one over the wire, by the `Host`.
        let mut request = call.request(&self.url_of(endpoint, call)?)?;
        let response = match call.identity() {
            None => {
                *request.uri_mut() = uri(&self.direct(endpoint))?;
                self.http.send(request).await?
            }
            Some(identity) => {
                let server = self.tls_server.as_deref().unwrap_or_default();
                let url = format!("{server}/realms/{}{}", self.name, path(endpoint));
                *request.uri_mut() = uri(&url)?;
                HttpClient::showing(Some(identity)).send(request).await?
            }
        };
        Ok(Reply::read(&response))
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
