//! How a client proves at the token endpoint who it is: RFC 6749 §2.3.1, RFC 7523 §2.2.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::assertion::{AssertionClaims, SignError};
use crate::Secret;

/// Signs client assertions; behind it a key may be rotated at any time.
pub trait AssertionSigner: Send + Sync {
    /// A signed JWT of these claims.
    ///
    /// # Errors
    /// If the key cannot sign.
    fn sign(&self, claims: &AssertionClaims<'_>) -> Result<Secret, SignError>;

    /// The method's registered name: `private_key_jwt` or `client_secret_jwt`.
    fn method(&self) -> &'static str;
}

/// A way for a client to authenticate, named as in `token_endpoint_auth_methods_supported`.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// A public client sends its id alone (`none`).
    None,
    /// `client_secret_basic`: the secret in the `Authorization` header.
    SecretBasic(Secret),
    /// `client_secret_post`: the secret in the form.
    SecretPost(Secret),
    /// `client_secret_jwt` or `private_key_jwt`: a signed assertion in the form.
    Assertion(Arc<dyn AssertionSigner>),
    /// `tls_client_auth`: a certificate of a trusted authority, shown in the TLS handshake
    /// (RFC 8705 §2.1). The transport has it.
    Tls,
    /// `self_signed_tls_client_auth`: a registered certificate (RFC 8705 §2.2).
    SelfSignedTls,
}

impl ClientAuthentication {
    /// The method's registered name.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::Assertion(signer) => signer.method(),
            Self::Tls => "tls_client_auth",
            Self::SelfSignedTls => "self_signed_tls_client_auth",
        }
    }

    /// Whether it is a certificate, shown in the TLS handshake.
    #[must_use]
    pub const fn is_by_certificate(&self) -> bool {
        matches!(self, Self::Tls | Self::SelfSignedTls)
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAuthentication({})", self.method())
    }
}

/// What the chosen method adds to a request.
pub(crate) struct Authenticated {
    /// The `Authorization` header, if the method uses it.
    pub(crate) authorization: Option<Secret>,
    /// Form parameters.
    pub(crate) form: Vec<(&'static str, Secret)>,
}

impl ClientAuthentication {
    /// Authenticates one request; called once for each, so that no assertion is used twice.
    pub(crate) fn authenticate(
        &self,
        claims: &AssertionClaims<'_>,
    ) -> Result<Authenticated, SignError> {
        let id = || ("client_id", Secret::new(claims.client_id));
        Ok(match self {
            // RFC 8705 §2: the id says whose certificate it should be.
            Self::None | Self::Tls | Self::SelfSignedTls => Authenticated {
                authorization: None,
                form: vec![id()],
            },
            Self::SecretBasic(secret) => Authenticated {
                authorization: Some(basic(claims.client_id, secret)),
                form: Vec::new(),
            },
            Self::SecretPost(secret) => Authenticated {
                authorization: None,
                form: vec![id(), ("client_secret", secret.clone())],
            },
            Self::Assertion(signer) => Authenticated {
                authorization: None,
                form: vec![
                    id(),
                    ("client_assertion_type", Secret::new(JWT_BEARER)),
                    ("client_assertion", signer.sign(claims)?),
                ],
            },
        })
    }
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
fn basic(id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let joined = Secret::new(format!("{}:{}", encode(id), encode(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(joined.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_form_encodes_both_halves() {
        let header = basic("client!+ID", &Secret::new("SECRET?%G:client"));
        let encoded = header.expose().strip_prefix("Basic ").expect("the scheme");
        let joined = STANDARD.decode(encoded).expect("base64");
        assert_eq!(joined, b"client%21%2BID:SECRET%3F%25G%3Aclient");
    }
}
