//! How a registered client proves to be itself (RFC 6749 §2.3, RFC 7523, RFC 8705 §2).

use std::fmt;

use serde_json::Value;

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
    pub(super) const fn keycloak_name(&self) -> &'static str {
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
