//! A realm of the embedded provider, in a test's hand.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::EmbeddedIdp;
use super::state::{Account, Live};
use crate::keys::{Algorithm, SigningKey};
use crate::realm::{ClientAuthentication, ClientKeys};
use crate::wire::{Endpoint, Faults, Peer, Responder as _, TokenRequest};
use crate::{Call, Error, IdentityProvider, Reply, TlsSide, clock, random};

/// A realm of an [`EmbeddedIdp`]. Clones are the same realm; the provider runs as long as one of
/// its realms is in use.
#[derive(Clone)]
pub struct EmbeddedRealm {
    idp: EmbeddedIdp,
    live: Live,
    tls: TlsSide,
    name: String,
}

impl EmbeddedRealm {
    pub(super) fn new(idp: EmbeddedIdp, live: Live, tls: TlsSide) -> Self {
        let name = live.state().realm.name.clone();
        Self {
            idp,
            live,
            tls,
            name,
        }
    }

    /// The provider that it belongs to.
    #[must_use]
    pub const fn idp(&self) -> &EmbeddedIdp {
        &self.idp
    }

    /// The key that signs now: to make tokens that the provider would not.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        self.live.state().signing_key().clone()
    }

    /// Signs with a new key of another algorithm from now on. The old one stays published.
    pub fn rotate_keys_to(&self, algorithm: Algorithm) {
        let key = SigningKey::generate(algorithm);
        self.live.state().keys.insert(0, key);
    }

    /// Wants another nonce in proofs of possession from now on, if the realm wants one at all.
    pub fn renew_dpop_nonce(&self) {
        let mut state = self.live.state();
        state.dpop_nonce = state.dpop_nonce.take().map(|_| random::uuid());
    }

    /// Changes the claims of access tokens before they are signed.
    pub fn alter_access_token(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().access_token = Some(Box::new(change));
    }

    /// Changes the claims of ID tokens before they are signed.
    pub fn alter_id_token(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().id_token = Some(Box::new(change));
    }

    /// Changes token responses before they are sent.
    pub fn alter_token_response(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().token_response = Some(Box::new(change));
    }

    /// Changes the discovery document before it is sent.
    pub fn alter_discovery(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().discovery = Some(Box::new(change));
    }

    /// Changes the published keys before they are sent.
    pub fn alter_jwks(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().jwks = Some(Box::new(change));
    }

    /// Changes introspection answers before they are sent.
    pub fn alter_introspection(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().introspection = Some(Box::new(change));
    }

    /// Changes signed introspection answers, as an object of `header` and `claims`, before they are
    /// signed.
    pub fn alter_introspection_jwt(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().introspection_jwt = Some(Box::new(change));
    }

    /// Changes what is told of a user before it is sent, or signed.
    pub fn alter_userinfo(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.live.alterations.set().userinfo = Some(Box::new(change));
    }

    /// Takes back every alteration.
    pub fn alter_nothing(&self) {
        *self.live.alterations.set() = super::alter::Set::default();
    }

    fn user<R>(&self, name: &str, change: impl FnOnce(&mut Account) -> R) -> Result<R, Error> {
        let mut state = self.live.state();
        let account = state
            .user_mut(name)
            .ok_or_else(|| Error::Unknown(format!("user {name:?}")))?;
        Ok(change(account))
    }

    fn client(&self, id: &str, change: impl FnOnce(&mut crate::Client)) -> Result<(), Error> {
        let mut state = self.live.state();
        let client = state
            .client_mut(id)
            .ok_or_else(|| Error::Unknown(format!("client {id:?}")))?;
        change(client);
        Ok(())
    }
}

#[async_trait]
impl IdentityProvider for EmbeddedRealm {
    fn realm(&self) -> &str {
        &self.name
    }

    fn base_url(&self) -> &str {
        self.idp.base_url()
    }

    fn tls(&self) -> Option<&TlsSide> {
        Some(&self.tls)
    }

    fn faults(&self) -> &Faults {
        self.idp.faults()
    }

    fn token_requests(&self) -> Vec<TokenRequest> {
        let mut requests = self.idp.token_requests();
        requests.retain(|request| request.realm == self.name);
        requests
    }

    fn count(&self, endpoint: Endpoint) -> usize {
        self.idp.count(endpoint)
    }

    fn forget_requests(&self) {
        self.idp.wire().forget();
    }

    async fn wait_for(&self, endpoint: Endpoint, count: usize) {
        self.idp.wire().wait_for(endpoint, count).await;
    }

    async fn go_down(&self) {
        self.idp.wire().go_down().await;
    }

    async fn come_back(&self) -> Result<(), Error> {
        let wire = self.idp.wire();
        wire.come_back().await.map_err(|source| Error::Listen {
            address: wire.address().to_string(),
            source,
        })
    }

    async fn call(&self, endpoint: Endpoint, call: &Call) -> Result<Reply, Error> {
        let url = self.url_of(endpoint, call)?;
        let mut request = call.request(&url)?;
        if let Some(identity) = call.identity() {
            let certificate = identity.chain().pop();
            let let_in = |one| super::ADMISSION.lets_in(one);
            if !certificate.as_ref().is_some_and(let_in) {
                return Err(Error::NoAnswer {
                    url,
                    reason: "the certificate is not let in".to_owned(),
                });
            }
            request.extensions_mut().insert(Peer { certificate });
        }
        let response = self.idp.0.realms.answer(request).await;
        let response = response.map_err(|gone| Error::NoAnswer {
            url,
            reason: gone.to_string(),
        })?;
        Ok(Reply::read(&response))
    }

    async fn rotate_keys(&self) -> Result<(), Error> {
        let algorithm = self.live.state().realm.algorithm;
        self.rotate_keys_to(algorithm);
        Ok(())
    }

    async fn withdraw_old_keys(&self) -> Result<(), Error> {
        self.live.state().keys.truncate(1);
        Ok(())
    }

    async fn log_out(&self, user: &str) -> Result<(), Error> {
        let id = self.user(user, |account| {
            account.not_before = clock::now();
            account.id.clone()
        })?;
        self.live.state().end_sessions(&id);
        Ok(())
    }

    async fn set_user_enabled(&self, user: &str, enabled: bool) -> Result<(), Error> {
        self.user(user, |account| account.user.enabled = enabled)
    }

    async fn delete_user(&self, user: &str) -> Result<(), Error> {
        let id = self.user(user, |account| account.id.clone())?;
        let mut state = self.live.state();
        state.users.retain(|account| account.id != id);
        state.sessions.retain(|_, session| session.account != id);
        Ok(())
    }

    async fn set_rotation(&self, on: bool) -> Result<(), Error> {
        self.live.state().realm.rotation = on;
        Ok(())
    }

    async fn set_access_token_lifespan(&self, lifespan: Duration) -> Result<(), Error> {
        self.live.state().realm.access_token_lifespan = lifespan;
        Ok(())
    }

    async fn set_sso_session_idle(&self, idle: Duration) -> Result<(), Error> {
        self.live.state().realm.sso_session_idle = idle;
        Ok(())
    }

    async fn not_before_now(&self) -> Result<(), Error> {
        let next = clock::now() + 1;
        self.live.state().not_before = next;
        clock::reached(next).await;
        Ok(())
    }

    async fn set_client_secret(&self, client: &str, secret: &str) -> Result<(), Error> {
        self.client(client, |client| {
            client.authentication = match client.authentication {
                ClientAuthentication::SecretJwt(_) => {
                    ClientAuthentication::SecretJwt(secret.to_owned())
                }
                _ => ClientAuthentication::Secret(secret.to_owned()),
            };
        })
    }

    async fn set_client_keys(&self, client: &str, keys: ClientKeys) -> Result<(), Error> {
        self.client(client, |client| {
            client.authentication = ClientAuthentication::PrivateKeyJwt(keys);
        })
    }

    async fn delete(&self) -> Result<(), Error> {
        self.idp.remove(&self.name);
        Ok(())
    }
}

impl std::fmt::Debug for EmbeddedRealm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedRealm")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}
