//! Signed client assertions and the keys that make them: RFC 7523 §3, RFC 7517, RFC 7638.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    RsaPublicKeyComponents, RsaSignatureEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::AssertionSigner;
use crate::jose::{Algorithm, KeyThumbprint};
use crate::{Secret, UnixTime};

/// What an assertion says.
#[derive(Clone, Copy, Debug)]
pub struct AssertionClaims<'a> {
    /// The client: both `iss` and `sub`.
    pub client_id: &'a str,
    /// Whom it is for: one audience, since Keycloak refuses several.
    pub audience: &'a str,
    /// The time of issue.
    pub now: UnixTime,
    /// How long it is good for.
    pub lifetime: Duration,
    /// Its id, never used twice.
    pub jti: &'a str,
}

/// A key that cannot be used, or not with this algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key's type and the algorithm do not go together.
    #[error("the key does not fit the algorithm")]
    KeyMismatch,
    /// The key material is malformed, too weak or incomplete.
    #[error("the key is malformed, too weak or incomplete")]
    KeyRejected,
    /// The cryptographic library failed.
    #[error("signing failed")]
    Failed,
}

/// A key that makes signatures.
pub struct SigningKey {
    kind: Kind,
    kid: Option<String>,
}

enum Kind {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, Algorithm),
    Ed25519(Ed25519KeyPair),
    Hmac(Zeroizing<Vec<u8>>),
}

impl SigningKey {
    /// A new key pair for this algorithm: RSA of 2048 bit, the algorithm's curve, or Ed25519.
    ///
    /// # Errors
    /// If the algorithm is symmetric, or the library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignError> {
        let failed = |_| SignError::Failed;
        let kind = match family(algorithm) {
            Family::Hmac => return Err(SignError::KeyMismatch),
            Family::Rsa => Kind::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Family::Ec(parameters) => Kind::Ec(
                EcdsaKeyPair::generate(parameters).map_err(failed)?,
                algorithm,
            ),
            Family::Ed25519 => Kind::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Self { kind, kid: None }.named()
    }

    /// A client secret, to make assertions with (`client_secret_jwt`).
    #[must_use]
    pub fn from_secret(secret: Secret) -> Self {
        Self {
            kind: Kind::Hmac(Zeroizing::new(secret.expose().as_bytes().to_vec())),
            kid: None,
        }
    }

    /// A private key in PKCS #8 (RFC 5208), for this algorithm.
    ///
    /// # Errors
    /// If the key is malformed or does not fit the algorithm.
    pub fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Result<Self, SignError> {
        let rejected = |_| SignError::KeyRejected;
        let kind = match family(algorithm) {
            Family::Hmac => return Err(SignError::KeyMismatch),
            Family::Rsa => Kind::Rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected)?),
            Family::Ec(parameters) => Kind::Ec(
                EcdsaKeyPair::from_pkcs8(parameters, der).map_err(rejected)?,
                algorithm,
            ),
            Family::Ed25519 => Kind::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?),
        };
        Self { kind, kid: None }.named()
    }

    /// A private JSON Web Key (RFC 7518 §6), for this algorithm. Its `kid` is kept; without one it
    /// is named by its thumbprint.
    ///
    /// # Errors
    /// If a member is missing or malformed, or the key does not fit the algorithm.
    pub fn from_jwk(jwk: &Value, algorithm: Algorithm) -> Result<Self, SignError> {
        let bytes = |name: &str| {
            let text = jwk
                .get(name)
                .and_then(Value::as_str)
                .ok_or(SignError::KeyRejected)?;
            let bytes = URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| SignError::KeyRejected)?;
            Ok(Zeroizing::new(bytes))
        };
        let rejected = |_| SignError::KeyRejected;
        let kty = jwk
            .get("kty")
            .and_then(Value::as_str)
            .ok_or(SignError::KeyRejected)?;
        let kind = match (family(algorithm), kty) {
            (Family::Hmac, "oct") => Kind::Hmac(bytes("k")?),
            (Family::Rsa, "RSA") => {
                let components = KeyPairComponents {
                    public_key: RsaPublicKeyComponents {
                        n: bytes("n")?,
                        e: bytes("e")?,
                    },
                    d: bytes("d")?,
                    p: bytes("p")?,
                    q: bytes("q")?,
                    dP: bytes("dp")?,
                    dQ: bytes("dq")?,
                    qInv: bytes("qi")?,
                };
                let key = RsaKeyPair::from_components(&components).map_err(rejected)?;
                if key.public_modulus_len() < 2048 / 8 {
                    return Err(SignError::KeyRejected);
                }
                Kind::Rsa(key)
            }
            (Family::Ec(parameters), "EC") => {
                let point = [&[4][..], &bytes("x")?, &bytes("y")?].concat();
                let key =
                    EcdsaKeyPair::from_private_key_and_public_key(parameters, &bytes("d")?, &point);
                Kind::Ec(key.map_err(rejected)?, algorithm)
            }
            (Family::Ed25519, "OKP") => {
                let key = Ed25519KeyPair::from_seed_and_public_key(&bytes("d")?, &bytes("x")?);
                Kind::Ed25519(key.map_err(rejected)?)
            }
            _ => return Err(SignError::KeyMismatch),
        };
        let key = Self {
            kind,
            kid: jwk.get("kid").and_then(Value::as_str).map(str::to_owned),
        };
        if key.kid.is_some() {
            Ok(key)
        } else {
            key.named()
        }
    }

    /// The private key in PKCS #8, to be stored where nobody else can read it.
    ///
    /// # Errors
    /// If the key is a shared secret, or the library fails.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SignError> {
        let failed = |_| SignError::Failed;
        Ok(Zeroizing::new(match &self.kind {
            Kind::Rsa(key) => key.as_der().map_err(failed)?.as_ref().to_vec(),
            Kind::Ec(key, _) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Kind::Ed25519(key) => key.to_pkcs8().map_err(failed)?.as_ref().to_vec(),
            Kind::Hmac(_) => return Err(SignError::KeyMismatch),
        }))
    }

    /// The key's id: its thumbprint (RFC 7638), unless its JWK named another.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The public half as a JSON Web Key for this algorithm; `None` of a shared secret.
    #[must_use]
    pub fn public_jwk(&self, algorithm: Algorithm) -> Option<Value> {
        let mut jwk = self.public_members()?;
        jwk["use"] = "sig".into();
        jwk["alg"] = algorithm.name().into();
        jwk["kid"] = self.kid.as_deref()?.into();
        Some(jwk)
    }

    /// Signs this message.
    ///
    /// # Errors
    /// If the key does not fit the algorithm, or the library fails.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Rsa(key) => {
                let encoding = rsa_encoding(algorithm).ok_or(SignError::KeyMismatch)?;
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .map_err(|_| SignError::Failed)?;
                Ok(signature)
            }
            Kind::Ec(key, of) if *of == algorithm => {
                let signature = key.sign(&random, message).map_err(|_| SignError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Kind::Ed25519(key) if algorithm == Algorithm::EdDsa => {
                Ok(key.sign(message).as_ref().to_vec())
            }
            Kind::Hmac(secret) => {
                let hash = match algorithm {
                    Algorithm::Hs256 => hmac::HMAC_SHA256,
                    Algorithm::Hs384 => hmac::HMAC_SHA384,
                    Algorithm::Hs512 => hmac::HMAC_SHA512,
                    _ => return Err(SignError::KeyMismatch),
                };
                let key = hmac::Key::new(hash, secret);
                Ok(hmac::sign(&key, message).as_ref().to_vec())
            }
            Kind::Ec(..) | Kind::Ed25519(_) => Err(SignError::KeyMismatch),
        }
    }

    fn named(mut self) -> Result<Self, SignError> {
        let members = self.public_members().ok_or(SignError::Failed)?;
        let members = members.as_object().ok_or(SignError::Failed)?;
        let thumbprint = KeyThumbprint::of_jwk(members).ok_or(SignError::Failed)?;
        self.kid = Some(thumbprint.to_string());
        Ok(self)
    }

    /// The members of the public half that its type requires, and no other.
    pub(crate) fn public_members(&self) -> Option<Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Some(match &self.kind {
            Kind::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
            Kind::Ec(key, algorithm) => {
                let point = key.public_key().as_ref();
                let (x, y) = point.get(1..)?.split_at_checked((point.len() - 1) / 2)?;
                let curve = match algorithm {
                    Algorithm::Es256 => "P-256",
                    Algorithm::Es384 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Kind::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())})
            }
            Kind::Hmac(_) => return None,
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

enum Family {
    Hmac,
    Rsa,
    Ec(&'static EcdsaSigningAlgorithm),
    Ed25519,
}

const fn family(algorithm: Algorithm) -> Family {
    use Algorithm as A;
    match algorithm {
        A::Hs256 | A::Hs384 | A::Hs512 => Family::Hmac,
        A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => Family::Rsa,
        A::Es256 => Family::Ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        A::Es384 => Family::Ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        A::Es512 => Family::Ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        A::EdDsa => Family::Ed25519,
    }
}

const fn rsa_encoding(algorithm: Algorithm) -> Option<&'static RsaSignatureEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

/// A signed assertion (RFC 7523 §3).
///
/// # Errors
/// If the key cannot sign by this algorithm.
pub fn client_assertion(
    claims: &AssertionClaims<'_>,
    key: &SigningKey,
    algorithm: Algorithm,
) -> Result<Secret, SignError> {
    let mut header = json!({"alg": algorithm.name(), "typ": "JWT"});
    if let Some(kid) = key.kid() {
        header["kid"] = kid.into();
    }
    let issued = claims.now.as_secs();
    let payload = json!({
        "iss": claims.client_id,
        "sub": claims.client_id,
        "aud": claims.audience,
        "iat": issued,
        "exp": issued.saturating_add(claims.lifetime.as_secs()),
        "jti": claims.jti,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(&header), encode(&payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(algorithm, input.as_bytes())?);
    Ok(Secret::new(format!("{input}.{signature}")))
}

/// One key with the algorithm that it is used with: the plainest [`AssertionSigner`].
#[derive(Debug)]
pub struct KeyedSigner {
    key: SigningKey,
    algorithm: Algorithm,
}

impl KeyedSigner {
    /// A signer that can sign.
    ///
    /// # Errors
    /// If the key does not fit the algorithm.
    pub fn new(key: SigningKey, algorithm: Algorithm) -> Result<Self, SignError> {
        key.sign(algorithm, b"")?;
        Ok(Self { key, algorithm })
    }
}

impl AssertionSigner for KeyedSigner {
    fn sign(&self, claims: &AssertionClaims<'_>) -> Result<Secret, SignError> {
        client_assertion(claims, &self.key, self.algorithm)
    }

    fn method(&self) -> &'static str {
        if self.algorithm.is_symmetric() {
            "client_secret_jwt"
        } else {
            "private_key_jwt"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Claims, CompactJws, KeySet, KeySetLimits};

    fn set(key: &SigningKey, algorithm: Algorithm) -> KeySet {
        let set = json!({"keys": [key.public_jwk(algorithm)]}).to_string();
        KeySet::parse(set.as_bytes(), &KeySetLimits::default()).expect("a key set")
    }

    #[test]
    fn an_assertion_of_each_algorithm_is_verified_by_the_published_key() {
        let rsa = SigningKey::generate(Algorithm::Rs256)
            .expect("a key")
            .to_pkcs8()
            .expect("DER");
        for algorithm in Algorithm::ALL.into_iter().filter(|alg| !alg.is_symmetric()) {
            let key = match family(algorithm) {
                Family::Rsa => SigningKey::from_pkcs8(&rsa, algorithm),
                _ => SigningKey::generate(algorithm),
            }
            .expect("a key");
            let claims = AssertionClaims {
                client_id: "client!+ID",
                audience: "https://idp.test",
                now: UnixTime::from_secs(1000),
                lifetime: Duration::from_secs(60),
                jti: "one",
            };
            let assertion = client_assertion(&claims, &key, algorithm).expect("signed");
            let jws = CompactJws::parse(assertion.expose()).expect("a JWS");
            assert_eq!(jws.kid(), key.kid());
            jws.verify(&set(&key, algorithm))
                .expect("the signature is good");
            let stranger = SigningKey::generate(algorithm).expect("a key");
            assert!(jws.verify(&set(&stranger, algorithm)).is_err());
            let claims = Claims::parse(&jws.payload().expect("a payload")).expect("claims");
            assert_eq!(
                (claims.issuer(), claims.subject()),
                (Some("client!+ID"), Some("client!+ID"))
            );
            assert_eq!(claims.audience(), ["https://idp.test"]);
            assert_eq!(claims.expires_at(), Some(UnixTime::from_secs(1060)));
            let restored =
                SigningKey::from_pkcs8(&key.to_pkcs8().expect("DER"), algorithm).expect("a key");
            assert_eq!(restored.kid(), key.kid());
        }
    }

    #[test]
    fn a_shared_secret_signs_and_is_never_published() {
        let key = SigningKey::from_secret(Secret::new("SECRET?%G:client"));
        assert!(key.public_jwk(Algorithm::Hs256).is_none());
        assert!(!format!("{key:?}").contains("SECRET"));
        assert!(key.sign(Algorithm::Hs256, b"x").is_ok());
        assert_eq!(
            key.sign(Algorithm::Rs256, b"x").err(),
            Some(SignError::KeyMismatch)
        );
    }
}
