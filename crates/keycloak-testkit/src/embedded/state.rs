//! What a realm knows while it runs: settings, keys, users, sessions.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;

use super::alter::Alterations;
use super::session::Session;
use crate::http_client::HttpClient;
use crate::keys::{Algorithm, SigningKey};
use crate::{Client, Realm, TlsSide, User, random};

/// A realm that is served.
pub(super) struct LiveRealm {
    pub(super) issuer: String,
    pub(super) tls: TlsSide,
    pub(super) http: HttpClient,
    /// Key sets of clients, by address.
    pub(super) fetched: AsyncMutex<HashMap<String, Value>>,
    pub(super) alterations: Alterations,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) realm: Realm,
    /// The first one signs; all are published.
    pub(super) keys: Vec<SigningKey>,
    pub(super) refresh_key: RefreshKey,
    pub(super) users: Vec<Account>,
    pub(super) sessions: HashMap<String, Session>,
    /// Identifiers of assertions and of proofs that were used.
    pub(super) spent: HashSet<String>,
    /// Access tokens whose text says nothing, with what they stand for.
    pub(super) opaque: HashMap<String, String>,
    /// Identifiers of access tokens that were revoked.
    pub(super) revoked: HashSet<String>,
    /// Tokens issued before this time are stale.
    pub(super) not_before: u64,
    /// What proofs of possession have to contain, if the realm wants that.
    pub(super) dpop_nonce: Option<String>,
}

/// A user or a client's service account.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) user: User,
    /// The client whose service account it is.
    pub(super) client: Option<String>,
    /// Tokens issued before this time are stale.
    pub(super) not_before: u64,
}

/// What refresh tokens are signed with. It is never published.
pub(super) struct RefreshKey {
    pub(super) kid: String,
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
}

/// The key for encryption that Keycloak lists beside the others: clients have to skip it.
static ENCRYPTION_KEY: LazyLock<Value> = LazyLock::new(|| {
    let mut jwk = SigningKey::generate(Algorithm::Rs256).public_jwk();
    jwk["alg"] = json!("RSA-OAEP");
    jwk["use"] = json!("enc");
    jwk
});

impl LiveRealm {
    pub(super) fn new(base: &str, tls: &TlsSide, realm: &Realm) -> Self {
        let secret = random::hex(64);
        let users = realm.users.iter().map(|user| Account {
            id: random::uuid(),
            user: user.clone(),
            client: None,
            not_before: 0,
        });
        let services = realm
            .clients
            .iter()
            .filter(|client| client.service_accounts);
        let services = services.map(|client| Account {
            id: random::uuid(),
            user: User::new(format!("service-account-{}", client.id), random::hex(16)),
            client: Some(client.id.clone()),
            not_before: 0,
        });
        Self {
            issuer: format!("{base}/realms/{}", realm.name),
            tls: tls.clone(),
            http: HttpClient::new(),
            fetched: AsyncMutex::default(),
            alterations: Alterations::default(),
            state: Mutex::new(State {
                keys: vec![SigningKey::generate(realm.algorithm)],
                refresh_key: RefreshKey {
                    kid: random::uuid(),
                    encoding: EncodingKey::from_secret(secret.as_bytes()),
                    decoding: DecodingKey::from_secret(secret.as_bytes()),
                },
                users: users.chain(services).collect(),
                sessions: HashMap::new(),
                spent: HashSet::new(),
                opaque: HashMap::new(),
                revoked: HashSet::new(),
                not_before: 0,
                dpop_nonce: realm.dpop_nonce.then(random::uuid),
                realm: realm.clone(),
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The published keys, with what else a Keycloak lists: a key for encryption, and one of a
    /// type that clients do not know yet.
    pub(super) fn jwks(&self) -> Value {
        let mut keys: Vec<Value> = self
            .state()
            .keys
            .iter()
            .map(SigningKey::public_jwk)
            .collect();
        keys.push(ENCRYPTION_KEY.clone());
        keys.push(json!({
            "kty": "AKP",
            "alg": "ML-DSA-44",
            "use": "sig",
            "kid": "post-quantum",
            "pub": "AAAA",
        }));
        json!({"keys": keys})
    }
}

impl State {
    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.realm.clients.iter().find(|client| client.id == id)
    }

    pub(super) fn client_mut(&mut self, id: &str) -> Option<&mut Client> {
        self.realm.clients.iter_mut().find(|client| client.id == id)
    }

    pub(super) fn account(&self, id: &str) -> Option<&Account> {
        self.users.iter().find(|account| account.id == id)
    }

    pub(super) fn user_mut(&mut self, name: &str) -> Option<&mut Account> {
        self.users
            .iter_mut()
            .find(|account| account.client.is_none() && account.user.name == name)
    }

    pub(super) fn signing_key(&self) -> &SigningKey {
        &self.keys[0]
    }

    /// Ends a user's sessions; offline ones go on.
    pub(super) fn end_sessions(&mut self, account: &str) {
        self.sessions
            .retain(|_, session| session.offline || session.account != account);
    }
}

pub(super) type Live = Arc<LiveRealm>;
