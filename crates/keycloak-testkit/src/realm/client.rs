//! A registered client: how it authenticates and what it may do (RFC 6749 §2, RFC 7591 §2).

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::texts;

/// Where a client's public keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientKeys {
    /// Fetched from this address.
    Url(String),
    /// Given as a JWK Set (RFC 7517 §5).
    Jwks(Value),
}

/// How a client proves to be itself.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Not at all: a public client.
    None,
    /// By a secret, in the `Authorization` header or in the form.
    Secret(String),
    /// By an assertion under a secret.
    SecretJwt(String),
    /// By an assertion under a private key.
    PrivateKeyJwt(ClientKeys),
    /// By a certificate with this subject.
    Certificate {
        /// The distinguished name, as in RFC 4514.
        subject: String,
    },
    /// By a certificate in this JWK Set. Keycloak (26.7) has no such clients.
    SelfSigned(Value),
}

/// A client of a realm. It may use every grant that needs no browser.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) id: String,
    pub(crate) authentication: ClientAuthentication,
    pub(crate) enabled: bool,
    pub(crate) direct_grants: bool,
    pub(crate) service_accounts: bool,
    pub(crate) refresh_tokens: bool,
    pub(crate) refresh_tokens_for_itself: bool,
    pub(crate) certificate_bound: bool,
    pub(crate) dpop_bound: bool,
    pub(crate) audiences: Vec<String>,
    pub(crate) assertion_algorithm: String,
    pub(crate) access_token_lifespan: Option<Duration>,
}

impl Client {
    fn new(id: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self {
            id: id.into(),
            service_accounts: authentication != ClientAuthentication::None,
            authentication,
            enabled: true,
            direct_grants: true,
            refresh_tokens: true,
            refresh_tokens_for_itself: false,
            certificate_bound: false,
            dpop_bound: false,
            audiences: Vec::new(),
            assertion_algorithm: "RS256".to_owned(),
            access_token_lifespan: None,
        }
    }

    /// A public client, which has only a name.
    #[must_use]
    pub fn public(id: impl Into<String>) -> Self {
        Self::new(id, ClientAuthentication::None)
    }

    /// A client with a secret (`client_secret_basic`, `client_secret_post`).
    #[must_use]
    pub fn secret(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(id, ClientAuthentication::Secret(secret.into()))
    }

    /// A client that signs with its secret (`client_secret_jwt`).
    #[must_use]
    pub fn secret_jwt(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(id, ClientAuthentication::SecretJwt(secret.into()))
    }

    /// A client that signs with a private key, whose public half is at this address
    /// (`private_key_jwt`).
    #[must_use]
    pub fn private_key_jwt(id: impl Into<String>, jwks_url: impl Into<String>) -> Self {
        Self::new(
            id,
            ClientAuthentication::PrivateKeyJwt(ClientKeys::Url(jwks_url.into())),
        )
    }

    /// A client that signs with a private key, whose public half is in this JWK Set.
    #[must_use]
    pub fn private_key_jwt_with(id: impl Into<String>, jwks: Value) -> Self {
        Self::new(
            id,
            ClientAuthentication::PrivateKeyJwt(ClientKeys::Jwks(jwks)),
        )
    }

    /// A client that authenticates by a certificate with this subject (`tls_client_auth`).
    #[must_use]
    pub fn certificate(id: impl Into<String>, subject: impl Into<String>) -> Self {
        let subject = subject.into();
        Self::new(id, ClientAuthentication::Certificate { subject })
    }

    /// A client that authenticates by a certificate of its own making, which is in this JWK Set
    /// (`self_signed_tls_client_auth`). The embedded provider has such clients; Keycloak (26.7)
    /// has none, and refuses this one.
    #[must_use]
    pub fn self_signed(id: impl Into<String>, jwks: Value) -> Self {
        Self::new(id, ClientAuthentication::SelfSigned(jwks))
    }

    /// Whether it authenticates not at all.
    pub(crate) fn is_public(&self) -> bool {
        self.authentication == ClientAuthentication::None
    }

    /// The client's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Replaces the keys of a client that signs with a private key.
    #[must_use]
    pub fn keys(mut self, keys: ClientKeys) -> Self {
        self.authentication = ClientAuthentication::PrivateKeyJwt(keys);
        self
    }

    /// Whether the client may be used at all.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Whether the client may use the password grant.
    #[must_use]
    pub const fn direct_grants(mut self, allowed: bool) -> Self {
        self.direct_grants = allowed;
        self
    }

    /// Whether the client may use the client credentials grant.
    #[must_use]
    pub const fn service_accounts(mut self, allowed: bool) -> Self {
        self.service_accounts = allowed;
        self
    }

    /// Whether the client is given refresh tokens (`use.refresh.tokens`).
    #[must_use]
    pub const fn refresh_tokens(mut self, issued: bool) -> Self {
        self.refresh_tokens = issued;
        self
    }

    /// Whether the client credentials grant also gives a refresh token
    /// (`client_credentials.use_refresh_token`).
    #[must_use]
    pub const fn refresh_tokens_for_itself(mut self, issued: bool) -> Self {
        self.refresh_tokens_for_itself = issued;
        self
    }

    /// Binds access tokens to the client's certificate (RFC 8705 §3).
    #[must_use]
    pub const fn certificate_bound(mut self) -> Self {
        self.certificate_bound = true;
        self
    }

    /// Binds access tokens to a key by DPoP (RFC 9449).
    #[must_use]
    pub const fn dpop_bound(mut self) -> Self {
        self.dpop_bound = true;
        self
    }

    /// Adds an audience to the client's access tokens. Keycloak (26.7) answers an introspection
    /// only to a client that is in the token's audience.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The algorithm that the client's assertions must have.
    #[must_use]
    pub fn assertion_algorithm(mut self, name: impl Into<String>) -> Self {
        self.assertion_algorithm = name.into();
        self
    }

    /// How long this client's access tokens live, where it differs from the realm.
    #[must_use]
    pub const fn access_token_lifespan(mut self, lifespan: Duration) -> Self {
        self.access_token_lifespan = Some(lifespan);
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut attributes = texts([
            ("use.refresh.tokens", self.refresh_tokens.to_string()),
            (
                "client_credentials.use_refresh_token",
                self.refresh_tokens_for_itself.to_string(),
            ),
        ]);
        if self.certificate_bound {
            attributes.extend(texts([(
                "tls.client.certificate.bound.access.tokens",
                "true".to_owned(),
            )]));
        }
        if self.dpop_bound {
            attributes.extend(texts([("dpop.bound.access.tokens", "true".to_owned())]));
        }
        if let Some(lifespan) = self.access_token_lifespan {
            attributes.extend(texts([(
                "access.token.lifespan",
                lifespan.as_secs().to_string(),
            )]));
        }
        let mut client = json!({
            "clientId": self.id,
            "enabled": self.enabled,
            "protocol": "openid-connect",
            "publicClient": self.is_public(),
            "clientAuthenticatorType": self.authentication.keycloak_name(),
            "standardFlowEnabled": true,
            "redirectUris": ["http://127.0.0.1/*", "http://localhost/*"],
            "directAccessGrantsEnabled": self.direct_grants,
            "serviceAccountsEnabled": self.service_accounts,
        });
        match &self.authentication {
            ClientAuthentication::None | ClientAuthentication::SelfSigned(_) => {}
            ClientAuthentication::Secret(secret) | ClientAuthentication::SecretJwt(secret) => {
                client["secret"] = json!(secret);
            }
            ClientAuthentication::PrivateKeyJwt(keys) => {
                attributes.extend(keys.attributes());
                attributes.extend(texts([(
                    "token.endpoint.auth.signing.alg",
                    self.assertion_algorithm.clone(),
                )]));
            }
            ClientAuthentication::Certificate { subject } => {
                attributes.extend(texts([
                    ("x509.subjectdn", subject.clone()),
                    ("x509.allow.regex.pattern.comparison", "false".to_owned()),
                ]));
            }
        }
        client["attributes"] = Value::Object(attributes);
        if !self.audiences.is_empty() {
            let mappers: Vec<Value> = self.audiences.iter().map(|name| mapper(name)).collect();
            client["protocolMappers"] = Value::Array(mappers);
        }
        client
    }
}

/// What adds an audience to access tokens.
fn mapper(audience: &str) -> Value {
    json!({
        "name": format!("audience {audience}"),
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": texts([
            ("included.custom.audience", audience.to_owned()),
            ("access.token.claim", "true".to_owned()),
            ("introspection.token.claim", "true".to_owned()),
        ]),
    })
}

impl ClientKeys {
    /// How Keycloak's client attributes say it.
    pub(crate) fn attributes(&self) -> serde_json::Map<String, Value> {
        let (url, keys) = match self {
            Self::Url(url) => (url.clone(), String::new()),
            Self::Jwks(jwks) => (String::new(), jwks.to_string()),
        };
        let by_url = matches!(self, Self::Url(_));
        let mut attributes = texts([
            ("use.jwks.url", by_url.to_string()),
            ("use.jwks.string", (!by_url).to_string()),
        ]);
        if by_url {
            attributes.extend(texts([("jwks.url", url)]));
        } else {
            attributes.extend(texts([("jwks.string", keys)]));
        }
        attributes
    }
}

impl ClientAuthentication {
    const fn keycloak_name(&self) -> &'static str {
        match self {
            Self::None | Self::Secret(_) => "client-secret",
            Self::SecretJwt(_) => "client-secret-jwt",
            Self::PrivateKeyJwt(_) => "client-jwt",
            Self::Certificate { .. } | Self::SelfSigned(_) => "client-x509",
        }
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Secret(_) => "Secret",
            Self::SecretJwt(_) => "SecretJwt",
            Self::PrivateKeyJwt(_) => "PrivateKeyJwt",
            Self::Certificate { .. } => "Certificate",
            Self::SelfSigned(_) => "SelfSigned",
        })
    }
}
