//! A realm as a test describes it: what Keycloak imports, and what the embedded provider serves.

mod authentication;
mod client;
mod groups;
mod mappers;
mod seed;
mod user;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub use authentication::{ClientAuthentication, ClientKeys};
pub use client::Client;
pub use seed::{
    CERT_BOUND_SECRET, DPOP_SECRET, FRONTEND_SECRET, JWKS_URL, PASSWORD, SERVICE_SECRET, USER,
    realm_file,
};
pub use user::User;

use crate::keys::Algorithm;
use crate::random;

/// A realm: its clients, its users and how long its tokens live.
///
/// ```
/// use std::time::Duration;
/// use keycloak_testkit::{Client, Realm, User};
///
/// let realm = Realm::new("shop")
///     .client(Client::secret("backend", "s3cret").audience("orders"))
///     .client(Client::public("app"))
///     .user(User::new("ann", "pw"))
///     .access_token_lifespan(Duration::from_secs(60))
///     .rotation(true);
/// assert_eq!(realm.to_json()["revokeRefreshToken"], true);
/// ```
#[derive(Clone, Debug)]
pub struct Realm {
    pub(crate) name: String,
    pub(crate) clients: Vec<Client>,
    pub(crate) users: Vec<User>,
    pub(crate) roles: Vec<String>,
    pub(crate) access_token_lifespan: Duration,
    pub(crate) sso_session_idle: Duration,
    pub(crate) sso_session_max: Duration,
    pub(crate) rotation: bool,
    pub(crate) algorithm: Algorithm,
    pub(crate) dpop_nonce: bool,
}

impl Realm {
    /// A realm without clients and users, with Keycloak's defaults: access tokens live for five
    /// minutes, sessions for half an hour without use, and refresh tokens are not rotated.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            clients: Vec::new(),
            users: Vec::new(),
            roles: Vec::new(),
            access_token_lifespan: Duration::from_secs(300),
            sso_session_idle: Duration::from_secs(1800),
            sso_session_max: Duration::from_secs(36_000),
            rotation: false,
            algorithm: Algorithm::Rs256,
            dpop_nonce: false,
        }
    }

    /// The realm's name, as in the path of its URLs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the realm a name of its own, so that tests can share one server.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.name = format!("{}-{}", self.name, random::hex(6));
        self
    }

    /// Adds a client. One with the same id is replaced.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.clients.retain(|known| known.id != client.id);
        self.clients.push(client);
        self
    }

    /// Changes the client with this id.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn change_client(mut self, id: &str, change: impl FnOnce(Client) -> Client) -> Self {
        let known = self
            .clients
            .iter_mut()
            .find(|client| client.id == id)
            .unwrap_or_else(|| panic!("the realm has no client {id:?}"));
        *known = change(known.clone());
        self
    }

    /// Where the client `kong` publishes its keys.
    ///
    /// # Panics
    /// If the realm has no client `kong`.
    #[must_use]
    pub fn jwks_url(self, url: impl Into<String>) -> Self {
        self.change_client("kong", |client| client.keys(ClientKeys::Url(url.into())))
    }

    /// Adds a user. One with the same name is replaced.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.retain(|known| known.name != user.name);
        self.users.push(user);
        self
    }

    /// Adds a realm role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// How long an access token lives.
    #[must_use]
    pub const fn access_token_lifespan(mut self, lifespan: Duration) -> Self {
        self.access_token_lifespan = lifespan;
        self
    }

    /// How long a session lives without use; a refresh token expires with it.
    #[must_use]
    pub const fn sso_session_idle(mut self, idle: Duration) -> Self {
        self.sso_session_idle = idle;
        self
    }

    /// How long a session lives at most.
    #[must_use]
    pub const fn sso_session_max(mut self, max: Duration) -> Self {
        self.sso_session_max = max;
        self
    }

    /// Whether a refresh token is good for one use only (`revokeRefreshToken`, with
    /// `refreshTokenMaxReuse` at 0).
    #[must_use]
    pub const fn rotation(mut self, on: bool) -> Self {
        self.rotation = on;
        self
    }

    /// What tokens are signed with.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Whether proofs of possession need a nonce of the provider's (RFC 9449 §8). The embedded
    /// provider then asks for one; Keycloak (26.7) has none.
    #[must_use]
    pub const fn dpop_nonce(mut self, needed: bool) -> Self {
        self.dpop_nonce = needed;
        self
    }

    /// The realm as Keycloak imports it.
    ///
    /// Client scopes are left to Keycloak: a list of them, even a partial one, would replace the
    /// built-in scopes, and with them the claims `sub` and `aud`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut realm = json!({
            "realm": self.name,
            "enabled": true,
            "sslRequired": "none",
            "bruteForceProtected": false,
            "accessTokenLifespan": self.access_token_lifespan.as_secs(),
            "ssoSessionIdleTimeout": self.sso_session_idle.as_secs(),
            "ssoSessionMaxLifespan": self.sso_session_max.as_secs(),
            "revokeRefreshToken": self.rotation,
            "refreshTokenMaxReuse": 0,
            "defaultSignatureAlgorithm": self.algorithm.name(),
            "clients": self.clients.iter().map(Client::to_json).collect::<Vec<_>>(),
            "users": self.users.iter().map(|user| user.to_json(&self.name)).collect::<Vec<_>>(),
        });
        let named = |names: &[String]| -> Vec<Value> {
            names.iter().map(|name| json!({"name": name})).collect()
        };
        if !self.roles.is_empty() {
            realm["roles"]["realm"] = json!(named(&self.roles));
        }
        for (client, roles) in self.client_roles() {
            realm["roles"]["client"][client] = json!(named(&roles));
        }
        let groups = groups::tree(&self.users);
        if !groups.is_empty() {
            realm["groups"] = Value::Array(groups);
        }
        realm
    }

    /// The roles of clients that users have, by client.
    fn client_roles(&self) -> BTreeMap<&str, Vec<String>> {
        let mut clients: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (client, role) in self.users.iter().flat_map(|user| &user.client_roles) {
            let roles = clients.entry(client).or_default();
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        clients
    }
}

/// An object of texts, which is what Keycloak's `attributes` and `config` are.
fn texts(members: impl IntoIterator<Item = (&'static str, String)>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect()
}
