//! The realm of the guides: clients `kong`, `service`, `frontend` and their bound kin, and john.

use super::{Client, Realm, User};

/// The secret of the client `service`.
pub const SERVICE_SECRET: &str = "cf4c655a-0622-4ce6-a0de-d3353ef0b714";

/// The secret of the client `frontend`, whose access tokens are for `service`, too.
pub const FRONTEND_SECRET: &str = "frontend-secret";

/// The secret of the client `cert-bound`.
pub const CERT_BOUND_SECRET: &str = "cert-bound-secret";

/// The secret of the client `client-dpop-auth`.
pub const DPOP_SECRET: &str = "dpop-secret";

/// Where the client `kong` publishes its keys, if nothing else is said.
pub const JWKS_URL: &str = "http://127.0.0.1:8001/openid-connect/jwks";

/// The name of the user.
pub const USER: &str = "john";

/// The user's password.
pub const PASSWORD: &str = "doe";

impl Realm {
    /// The realm of the guides, under this name.
    #[must_use]
    pub fn seed(name: impl Into<String>) -> Self {
        Self::new(name)
            .client(Client::private_key_jwt("kong", JWKS_URL))
            .client(Client::secret("service", SERVICE_SECRET).token_exchange())
            .client(Client::secret("frontend", FRONTEND_SECRET).audience("service"))
            .client(Client::secret("cert-bound", CERT_BOUND_SECRET).certificate_bound())
            .client(Client::certificate("client-tls-auth", "CN=JohnDoe, OU=IT"))
            .client(Client::secret("client-dpop-auth", DPOP_SECRET).dpop_bound())
            .user(
                User::new(USER, PASSWORD)
                    .named("John", "Doe")
                    .email("john@example.test"),
            )
    }
}

/// The text of `docker/keycloak/realm.json`: the seed realm `kong`, whose `kong` client reads its
/// key address from the server's environment, so that one file serves inside and outside of a
/// container network.
#[must_use]
pub fn realm_file() -> String {
    let realm = Realm::seed("kong").jwks_url(format!("${{KONG_JWKS_URL:{JWKS_URL}}}"));
    format!("{:#}\n", realm.to_json())
}
