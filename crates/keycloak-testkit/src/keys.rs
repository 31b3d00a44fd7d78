//! Key pairs: what the embedded provider signs with, and what a test's own client signs with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::{clock, random};

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA with P-256.
    Es256,
    /// ECDSA with P-384.
    Es384,
    /// EdDSA with Ed25519.
    EdDsa,
}

impl Algorithm {
    /// As `alg` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A private key and its public half.
#[derive(Clone)]
pub struct SigningKey(Arc<Pair>);

struct Pair {
    key: EncodingKey,
    /// PKCS #8.
    der: Vec<u8>,
    algorithm: Algorithm,
    kid: String,
    public: Jwk,
}

impl SigningKey {
    /// A new key pair.
    ///
    /// # Panics
    /// If the cryptographic library cannot make one.
    #[must_use]
    pub fn generate(algorithm: Algorithm) -> Self {
        let (key, der) = private_key(algorithm);
        let mut public = Jwk::from_encoding_key(&key, algorithm.of_library())
            .expect("a private key has a public half");
        let kid = public
            .thumbprint(ThumbprintHash::SHA256)
            .expect("a public key has a thumbprint");
        public.common.key_id = Some(kid.clone());
        Self(Arc::new(Pair {
            key,
            der,
            algorithm,
            kid,
            public,
        }))
    }

    /// The key's id: its thumbprint (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The private half as Keycloak imports it: PKCS #8 in Base64.
    pub(crate) fn private_base64(&self) -> String {
        STANDARD.encode(&self.0.der)
    }

    /// The public half as a JSON Web Key for signatures.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = json!(self.0.public);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public half as the only key of a JWK Set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.public_jwk()]})
    }

    /// Signs claims under the usual header: `alg`, `typ` and `kid`.
    ///
    /// # Panics
    /// If the cryptographic library cannot sign.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.0.algorithm.of_library());
        header.kid = Some(self.0.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.0.key).expect("claims can be signed")
    }

    /// Signs claims under this header, as it is: for tokens that should be refused.
    ///
    /// # Panics
    /// If the cryptographic library cannot sign.
    #[must_use]
    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
        let message = format!(
            "{}.{}",
            BASE64.encode(header.to_string()),
            BASE64.encode(claims.to_string())
        );
        let signature = jsonwebtoken::crypto::sign(
            message.as_bytes(),
            &self.0.key,
            self.0.algorithm.of_library(),
        )
        .expect("a message can be signed");
        format!("{message}.{signature}")
    }

    /// A fresh client assertion (RFC 7523 §3) for this audience, good for a minute.
    #[must_use]
    pub fn assertion(&self, client_id: &str, audience: &str) -> String {
        self.sign(&assertion_claims(client_id, audience))
    }
}

/// A fresh client assertion under a secret, with HS256.
///
/// # Panics
/// If the cryptographic library cannot sign.
#[must_use]
pub fn secret_assertion(client_id: &str, audience: &str, secret: &str) -> String {
    jsonwebtoken::encode(
        &Header::new(jsonwebtoken::Algorithm::HS256),
        &assertion_claims(client_id, audience),
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .expect("claims can be signed")
}

/// The claims of a client assertion, to change one of them before it is signed.
#[must_use]
pub fn assertion_claims(client_id: &str, audience: &str) -> Value {
    let now = clock::now();
    json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + Duration::from_secs(55).as_secs(),
        "jti": random::uuid(),
    })
}

fn private_key(algorithm: Algorithm) -> (EncodingKey, Vec<u8>) {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made");
            let der = pair.as_der().expect("an RSA key can be encoded");
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                lines(&STANDARD.encode(der.as_ref()))
            );
            let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key is read back");
            (key, der.as_ref().to_vec())
        }
        Algorithm::Es256 | Algorithm::Es384 => {
            let curve = if algorithm == Algorithm::Es256 {
                &ECDSA_P256_SHA256_FIXED_SIGNING
            } else {
                &ECDSA_P384_SHA384_FIXED_SIGNING
            };
            let pair = EcdsaKeyPair::generate(curve).expect("an EC key can be made");
            let der = pair.to_pkcs8v1().expect("an EC key can be encoded");
            (
                EncodingKey::from_ec_der(der.as_ref()),
                der.as_ref().to_vec(),
            )
        }
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().expect("an Ed25519 key can be made");
            let der = pair.to_pkcs8v1().expect("an Ed25519 key can be encoded");
            (
                EncodingKey::from_ed_der(der.as_ref()),
                der.as_ref().to_vec(),
            )
        }
    }
}

/// PEM has lines of 64 characters (RFC 7468 §2).
fn lines(text: &str) -> String {
    let rows: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|start| &text[start..text.len().min(start + 64)])
        .collect();
    rows.join("\n")
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.0.algorithm)
            .field("kid", &self.0.kid)
            .finish_non_exhaustive()
    }
}
