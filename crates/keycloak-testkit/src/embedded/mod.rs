//! An identity provider in this process: it answers as Keycloak does, and starts at once.

mod alter;
mod authenticate;
mod dpop;
mod exchange;
mod grants;
mod inspect;
mod introspect;
mod issue;
mod mappers;
mod metadata;
mod possession;
mod realm;
mod refusal;
mod respond;
mod session;
mod state;
mod userinfo;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use realm::EmbeddedRealm;

use crate::tls::AuthorityFile;
use crate::wire::{Admission, Wire};
use crate::{Endpoint, Error, Faults, Realm, TlsSide, TokenRequest};
use state::LiveRealm;

/// An identity provider in this process, with as many realms as a test wants.
///
/// It serves discovery, keys, tokens (password, client credentials, refresh), introspection,
/// user information, revocation and logout under Keycloak's paths, and refuses with Keycloak's
/// statuses and words. It stops when it and its realms are dropped.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use keycloak_testkit::{ClientLogin, EmbeddedIdp, IdentityProvider, Realm};
///
/// let idp = EmbeddedIdp::start().await?;
/// let realm = idp.realm(&Realm::seed("kong").rotation(true));
///
/// let first = realm.log_in("john", "doe", ClientLogin::service()).await.unwrap();
/// let second = realm.refresh(first.refresh(), ClientLogin::service()).await.unwrap();
/// // A replay of the first token is refused, and it ends the session: so is the second one.
/// let replay = realm.refresh(first.refresh(), ClientLogin::service()).await.unwrap_err();
/// assert_eq!(replay.refusal().unwrap().error, "invalid_grant");
/// assert!(realm.refresh(second.refresh(), ClientLogin::service()).await.is_err());
/// # Ok::<(), keycloak_testkit::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct EmbeddedIdp(Arc<Server>);

/// A client's own certificate may be registered.
const ADMISSION: Admission = Admission::IssuedOrSelfSigned;

struct Server {
    wire: Wire,
    tls_base: String,
    authority: Arc<AuthorityFile>,
    realms: Arc<Realms>,
}

/// What answers behind the wire.
#[derive(Default)]
struct Realms {
    base: OnceLock<String>,
    by_name: Mutex<HashMap<String, Arc<LiveRealm>>>,
}

impl EmbeddedIdp {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> Result<Self, Error> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts at this address.
    ///
    /// # Errors
    /// If something else listens there.
    pub async fn start_at(address: SocketAddr) -> Result<Self, Error> {
        let realms = Arc::new(Realms::default());
        let responder: Arc<Realms> = Arc::clone(&realms);
        let wire = Wire::listen(address, responder, Some(ADMISSION))
            .await
            .map_err(|source| Error::Listen {
                address: address.to_string(),
                source,
            })?;
        realms
            .base
            .get_or_init(|| format!("http://{}", wire.address()));
        let tls_address = wire.tls_address().unwrap_or_else(|| wire.address());
        Ok(Self(Arc::new(Server {
            wire,
            tls_base: format!("https://{tls_address}"),
            authority: AuthorityFile::new()?,
            realms,
        })))
    }

    /// Serves a realm. One with the same name is replaced, with its sessions and keys.
    #[must_use]
    pub fn realm(&self, realm: &Realm) -> EmbeddedRealm {
        let authority = Arc::clone(&self.0.authority);
        let tls = TlsSide::new(self.0.tls_base.clone(), realm.name(), authority);
        let live = Arc::new(LiveRealm::new(self.base_url(), &tls, realm));
        self.0
            .realms
            .all()
            .insert(realm.name().to_owned(), Arc::clone(&live));
        EmbeddedRealm::new(self.clone(), live, tls)
    }

    /// Where it listens, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.0.realms.base.get().map_or("", String::as_str)
    }

    /// What goes wrong on the wire.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.0.wire.faults()
    }

    /// The token requests of all realms, in order.
    #[must_use]
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.0.wire.token_requests()
    }

    /// How many calls an endpoint has had, over all realms.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.0.wire.count(endpoint)
    }

    fn wire(&self) -> &Wire {
        &self.0.wire
    }

    fn remove(&self, name: &str) {
        self.0.realms.all().remove(name);
    }
}

impl Realms {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<LiveRealm>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Option<Arc<LiveRealm>> {
        self.all().get(name).cloned()
    }
}

impl std::fmt::Debug for EmbeddedIdp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedIdp")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}
