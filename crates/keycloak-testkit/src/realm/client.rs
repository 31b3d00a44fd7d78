//! A registered client: how it authenticates and what it may do (RFC 6749 §2, RFC 7591 §2).

use std::time::Duration;

use serde_json::{Value, json};

use super::authentication::{ClientAuthentication, ClientKeys};
use super::mappers::mappers;
use super::texts;

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
    pub(crate) token_exchange: bool,
    pub(crate) opaque_tokens: bool,
    pub(crate) jwt_in_introspection: bool,
    pub(crate) signed_userinfo: bool,
    pub(crate) groups_claim: bool,
    pub(crate) attribute_claims: Vec<String>,
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
            token_exchange: false,
            opaque_tokens: false,
            jwt_in_introspection: false,
            signed_userinfo: false,
            groups_claim: false,
            attribute_claims: Vec::new(),
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

    /// Lets the client exchange tokens that are for it (RFC 8693;
    /// `standard.token.exchange.enabled`).
    #[must_use]
    pub const fn token_exchange(mut self) -> Self {
        self.token_exchange = true;
        self
    }

    /// Gives the client access tokens whose text says nothing. The embedded provider does;
    /// Keycloak (26.7) has only tokens that can be read.
    #[must_use]
    pub const fn opaque_tokens(mut self) -> Self {
        self.opaque_tokens = true;
        self
    }

    /// Adds a member `jwt`, the access token's claims signed, to introspection answers that the
    /// client asks for with `Accept: application/jwt`; that is Keycloak's own invention.
    #[must_use]
    pub const fn jwt_in_introspection(mut self) -> Self {
        self.jwt_in_introspection = true;
        self
    }

    /// Signs what is told of users (OpenID Connect Core §5.3.2), with RS256. Keycloak does not
    /// look at `Accept` for that.
    #[must_use]
    pub const fn signed_userinfo(mut self) -> Self {
        self.signed_userinfo = true;
        self
    }

    /// Puts the user's groups, as paths, into a claim `groups`.
    #[must_use]
    pub const fn groups_claim(mut self) -> Self {
        self.groups_claim = true;
        self
    }

    /// Puts the first value of this attribute of the user into a claim of the same name.
    #[must_use]
    pub fn attribute_claim(mut self, name: impl Into<String>) -> Self {
        self.attribute_claims.push(name.into());
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
        let switches = [
            (self.token_exchange, "standard.token.exchange.enabled"),
            (
                self.jwt_in_introspection,
                "client.introspection.response.allow.jwt.claim.enabled",
            ),
        ];
        for (_, name) in switches.into_iter().filter(|(on, _)| *on) {
            attributes.extend(texts([(name, "true".to_owned())]));
        }
        if self.signed_userinfo {
            let name = "user.info.response.signature.alg";
            attributes.extend(texts([(name, "RS256".to_owned())]));
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
        let mappers = mappers(self);
        if !mappers.is_empty() {
            client["protocolMappers"] = Value::Array(mappers);
        }
        client
    }
}
