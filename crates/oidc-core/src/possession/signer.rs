//! Proofs of our own, as a client of a provider or of an upstream: RFC 9449 §4.2, §5, §7.1.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use super::target;
use crate::client::assertion::{SignError, SigningKey};
use crate::jose::{Algorithm, KeyThumbprint, Sha256};
use crate::{Secret, UnixTime};

/// What a proof says.
#[derive(Clone, Copy, Debug)]
pub struct ProofClaims<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URL; query and fragment are left out.
    pub url: &'a Url,
    /// The time of issue.
    pub now: UnixTime,
    /// Its id, never used twice, with 96 bit of randomness or more.
    pub jti: &'a str,
    /// The nonce that the server gave out last, if it gave one.
    pub nonce: Option<&'a str>,
    /// The access token that goes along; none to a token endpoint.
    pub access_token: Option<&'a Secret>,
}

/// A key that proves its possession.
#[derive(Debug)]
pub struct DpopSigner {
    key: SigningKey,
    algorithm: Algorithm,
    thumbprint: KeyThumbprint,
    /// The same for each proof, and so encoded once.
    header: String,
}

impl DpopSigner {
    /// A signer with a new key for ES256, which every server of DPoP knows and which is made and
    /// signs fastest.
    ///
    /// # Errors
    /// If the library fails.
    pub fn generate() -> Result<Self, SignError> {
        Self::new(SigningKey::generate(Algorithm::Es256)?, Algorithm::Es256)
    }

    /// A signer that can sign.
    ///
    /// # Errors
    /// If the key does not fit the algorithm, or is a shared secret.
    pub fn new(key: SigningKey, algorithm: Algorithm) -> Result<Self, SignError> {
        let jwk = key.public_members().ok_or(SignError::KeyMismatch)?;
        key.sign(algorithm, b"")?;
        let members = jwk.as_object().ok_or(SignError::Failed)?;
        let thumbprint = KeyThumbprint::of_jwk(members).ok_or(SignError::Failed)?;
        let header = json!({"typ": "dpop+jwt", "alg": algorithm.name(), "jwk": jwk});
        Ok(Self {
            key,
            algorithm,
            thumbprint,
            header: encode(&header),
        })
    }

    /// The key's thumbprint, to which the provider binds the tokens that it issues.
    #[must_use]
    pub const fn thumbprint(&self) -> &KeyThumbprint {
        &self.thumbprint
    }

    /// A proof for one request. A request that is sent again needs another.
    ///
    /// # Errors
    /// If the library fails.
    pub fn proof(&self, claims: &ProofClaims<'_>) -> Result<Secret, SignError> {
        let mut payload = json!({
            "jti": claims.jti,
            "htm": claims.method,
            "htu": target::named(claims.url),
            "iat": claims.now.as_secs(),
        });
        if let Some(nonce) = claims.nonce {
            payload["nonce"] = nonce.into();
        }
        if let Some(token) = claims.access_token {
            payload["ath"] = Sha256::of(token.expose().as_bytes()).to_string().into();
        }
        let input = format!("{}.{}", self.header, encode(&payload));
        let signature = self.key.sign(self.algorithm, input.as_bytes())?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{input}.{signature}")))
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
