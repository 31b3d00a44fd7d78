//! What a provider and its clients are to be like: a test names only what it is about.

use std::time::Duration;

use serde_json::{Value, json};

/// What a provider is to be like. By default it rotates refresh tokens, its access tokens live for
/// five minutes, and it has no clients.
#[derive(Default)]
#[must_use]
pub struct ProviderOptions {
    options: serde_json::Map<String, Value>,
    clients: Vec<Value>,
}

/// A registered client, by its metadata (RFC 7591 §2). By default it may use the password, client
/// credentials and refresh token grants, and its access tokens are opaque.
#[must_use]
pub struct ProviderClient(Value);

impl ProviderOptions {
    /// A provider without clients.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a client.
    pub fn client(mut self, client: ProviderClient) -> Self {
        self.clients.push(client.json());
        self
    }

    /// Whether a refresh token is good for one use; a second one ends the grant.
    pub fn rotation(self, on: bool) -> Self {
        self.option("rotation", on)
    }

    /// How long access tokens live.
    pub fn access_token_lifespan(self, lifespan: Duration) -> Self {
        self.option("access_token_lifespan", lifespan.as_secs())
    }

    /// How long refresh tokens live.
    pub fn refresh_token_lifespan(self, lifespan: Duration) -> Self {
        self.option("refresh_token_lifespan", lifespan.as_secs())
    }

    /// Further claims of access tokens, in the JWT or in the answer of the introspection.
    pub fn access_token_claims(self, claims: Value) -> Self {
        self.option("access_token_claims", claims)
    }

    /// What access tokens that are JWTs are signed with: RS256, PS256, ES256, EdDSA or Ed25519.
    pub fn access_token_algorithm(self, algorithm: &str) -> Self {
        self.option("access_token_alg", algorithm)
    }

    /// Every DPoP proof has to have a nonce of the provider's (RFC 9449 §8).
    pub fn dpop_nonces(self) -> Self {
        self.option("dpop_nonces", true)
    }

    /// Listens with TLS, too, and asks for client certificates; `mtls_endpoint_aliases` say where
    /// (RFC 8705 §5). All is PEM: the server's certificate for 127.0.0.1, its key, and whose client
    /// certificates are trusted.
    pub fn tls(self, certificate: &str, key: &str, client_authority: &str) -> Self {
        self.option(
            "tls",
            json!({
                "certificate": certificate,
                "key": key,
                "client_authorities": [client_authority],
            }),
        )
    }

    fn option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn json(mut self) -> Value {
        self.options
            .insert("clients".to_owned(), self.clients.into());
        self.options.into()
    }
}

impl ProviderClient {
    /// A client with a secret, of printable ASCII alone: this provider takes no other.
    pub fn secret(id: &str, secret: &str) -> Self {
        Self::new(id, "client_secret_basic").with("client_secret", secret)
    }

    /// A client with key pairs, whose public halves are at this address.
    pub fn keys(id: &str, url: &str) -> Self {
        Self::new(id, "private_key_jwt").with("jwks_uri", url)
    }

    /// A public client.
    pub fn public(id: &str) -> Self {
        Self::new(id, "none")
    }

    /// A client by this method: for instance `tls_client_auth` with a `tls_client_auth_subject_dn`.
    pub fn new(id: &str, method: &str) -> Self {
        Self(json!({"client_id": id, "token_endpoint_auth_method": method}))
    }

    /// The client authenticates in another way.
    pub fn method(self, method: &str) -> Self {
        self.with("token_endpoint_auth_method", method)
    }

    /// Its access tokens are JWTs (RFC 9068), for an audience of their own: neither introspection
    /// nor userinfo takes them.
    pub fn jwt_access_tokens(self) -> Self {
        self.with("access_token_format", "jwt")
    }

    /// Any other metadata: `dpop_bound_access_tokens`, `tls_client_certificate_bound_access_tokens`,
    /// `introspection_signed_response_alg`, …
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    pub(super) fn json(self) -> Value {
        self.0
    }
}
