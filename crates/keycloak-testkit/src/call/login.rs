//! How a client authenticates in a test's own requests (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{SigningKey, secret_assertion};
use crate::pki::Identity;

/// As whom a test calls.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientLogin {
    /// A public client.
    Public(String),
    /// Id and secret in the form.
    Post(String, String),
    /// Id and secret in the header.
    Basic(String, String),
    /// An assertion under a secret.
    SecretJwt(String, String),
    /// An assertion under a private key.
    Key(String, SigningKey),
    /// An assertion that the test has made itself.
    Assertion(String),
    /// The id in the form, and a certificate by https.
    Certificate(String, Identity),
}

impl ClientLogin {
    /// A public client.
    #[must_use]
    pub fn public(id: &str) -> Self {
        Self::Public(id.to_owned())
    }

    /// Id and secret in the form (`client_secret_post`).
    #[must_use]
    pub fn post(id: &str, secret: &str) -> Self {
        Self::Post(id.to_owned(), secret.to_owned())
    }

    /// Id and secret in the header (`client_secret_basic`).
    #[must_use]
    pub fn basic(id: &str, secret: &str) -> Self {
        Self::Basic(id.to_owned(), secret.to_owned())
    }

    /// The id in the form, and this certificate by https (`tls_client_auth`).
    #[must_use]
    pub fn certificate(id: &str, identity: &Identity) -> Self {
        Self::Certificate(id.to_owned(), identity.clone())
    }

    /// The client `service` of the seed realm.
    #[must_use]
    pub fn service() -> Self {
        Self::post("service", crate::realm::SERVICE_SECRET)
    }

    /// Adds itself to a form, or gives the value of the `Authorization` header.
    pub(crate) fn apply(&self, issuer: &str, form: &mut Vec<(String, String)>) -> Option<String> {
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        match self {
            Self::Public(id) | Self::Certificate(id, _) => add("client_id", id.clone()),
            Self::Post(id, secret) => {
                add("client_id", id.clone());
                add("client_secret", secret.clone());
            }
            Self::Basic(id, secret) => {
                let encoded = |text: &str| -> String {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let pair = format!("{}:{}", encoded(id), encoded(secret));
                return Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            Self::SecretJwt(id, secret) => {
                add("client_assertion_type", ASSERTION_TYPE.to_owned());
                add("client_assertion", secret_assertion(id, issuer, secret));
            }
            Self::Key(id, key) => {
                add("client_assertion_type", ASSERTION_TYPE.to_owned());
                add("client_assertion", key.assertion(id, issuer));
            }
            Self::Assertion(assertion) => {
                add("client_assertion_type", ASSERTION_TYPE.to_owned());
                add("client_assertion", assertion.clone());
            }
        }
        None
    }

    /// The certificate that goes with it.
    pub(crate) const fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Certificate(_, identity) => Some(identity),
            _ => None,
        }
    }
}

/// RFC 7523 §2.2.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, id) = match self {
            Self::Public(id) => ("Public", id.as_str()),
            Self::Post(id, _) => ("Post", id.as_str()),
            Self::Basic(id, _) => ("Basic", id.as_str()),
            Self::SecretJwt(id, _) => ("SecretJwt", id.as_str()),
            Self::Key(id, _) => ("Key", id.as_str()),
            Self::Assertion(_) => ("Assertion", ""),
            Self::Certificate(id, _) => ("Certificate", id.as_str()),
        };
        f.debug_tuple(method).field(&id).finish()
    }
}
