//! Proofs of possession as a client makes them, and such as no client should (RFC 9449 §4.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::keys::{Algorithm, SigningKey};
use crate::{clock, random};

/// A client's key for proofs.
///
/// ```
/// use keycloak_testkit::{DpopKey, claims, header};
///
/// let key = DpopKey::new();
/// let good = key.proof("GET", "https://api.test/things").access_token("token").sign();
/// assert_eq!(claims(&good)["htm"], "GET");
/// let stale = key.proof("GET", "https://api.test/things").issued_at(0).sign();
/// let unsigned = key.proof("GET", "https://api.test/things").unsigned().sign();
/// assert_eq!(header(&unsigned)["alg"], "none");
/// # let _ = stale;
/// ```
#[derive(Clone)]
pub struct DpopKey(SigningKey);

impl DpopKey {
    /// A new key for ES256.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Algorithm::Es256)
    }

    /// A new key for this algorithm.
    #[must_use]
    pub fn of(algorithm: Algorithm) -> Self {
        Self(SigningKey::generate(algorithm))
    }

    /// The key's thumbprint, as `cnf.jkt` says it.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        self.0.kid()
    }

    /// The public half, with the members that its thumbprint is made of.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.0.public_jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.retain(|name, _| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str()));
        }
        jwk
    }

    /// A proof for a request with this method to this address, to be changed or signed.
    #[must_use]
    pub fn proof(&self, method: &str, url: &str) -> DpopProof {
        DpopProof {
            header: json!({
                "typ": "dpop+jwt",
                "alg": self.0.algorithm().name(),
                "jwk": self.public_jwk(),
            }),
            claims: json!({
                "jti": random::uuid(),
                "htm": method,
                "htu": url,
                "iat": clock::now(),
            }),
            key: self.0.clone(),
            signature: Signature::Own,
        }
    }
}

impl Default for DpopKey {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DpopKey").field(&self.thumbprint()).finish()
    }
}

/// A proof that is being made.
#[derive(Clone, Debug)]
pub struct DpopProof {
    header: Value,
    claims: Value,
    key: SigningKey,
    signature: Signature,
}

#[derive(Clone, Copy, Debug)]
enum Signature {
    Own,
    Empty,
    Spoilt,
}

impl DpopProof {
    /// Binds it to an access token (`ath`).
    #[must_use]
    pub fn access_token(self, token: &str) -> Self {
        self.claim("ath", URL_SAFE_NO_PAD.encode(Sha256::digest(token)))
    }

    /// With the nonce that a server gave.
    #[must_use]
    pub fn nonce(self, nonce: &str) -> Self {
        self.claim("nonce", nonce)
    }

    /// With this identifier.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.claim("jti", id)
    }

    /// As if made at this second.
    #[must_use]
    pub fn issued_at(self, second: u64) -> Self {
        self.claim("iat", second)
    }

    /// As if made so many seconds ago; a negative number is the future.
    #[must_use]
    pub fn age(self, seconds: i64) -> Self {
        self.issued_at(clock::now().saturating_add_signed(-seconds))
    }

    /// With this claim instead.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Without this claim.
    #[must_use]
    pub fn without_claim(mut self, name: &str) -> Self {
        remove(&mut self.claims, name);
        self
    }

    /// With this member of the header instead.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// Without this member of the header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        remove(&mut self.header, name);
        self
    }

    /// With another type.
    #[must_use]
    pub fn typ(self, typ: &str) -> Self {
        self.header("typ", typ)
    }

    /// Naming another key than the one that signs.
    #[must_use]
    pub fn of_key(self, other: &DpopKey) -> Self {
        self.header("jwk", other.public_jwk())
    }

    /// With a private key in the header, which nobody may send. It is not the one that signs.
    #[must_use]
    pub fn with_private_key(mut self) -> Self {
        self.header["jwk"]["d"] = json!(URL_SAFE_NO_PAD.encode(random::hex(16)));
        self
    }

    /// With a symmetric key in the header, and its algorithm. The signature is not of that.
    #[must_use]
    pub fn symmetric(self) -> Self {
        let key = URL_SAFE_NO_PAD.encode(random::hex(16));
        self.header("alg", "HS256")
            .header("jwk", json!({"kty": "oct", "k": key}))
    }

    /// With the algorithm `none` and no signature.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signature = Signature::Empty;
        self.header("alg", "none")
    }

    /// With a signature of something else.
    #[must_use]
    pub const fn spoilt(mut self) -> Self {
        self.signature = Signature::Spoilt;
        self
    }

    /// The proof, as the value of the `DPoP` header.
    #[must_use]
    pub fn sign(&self) -> String {
        let signed = self.key.sign_with_header(&self.header, &self.claims);
        let (message, _) = signed.rsplit_once('.').unwrap_or_default();
        match self.signature {
            Signature::Own => signed,
            Signature::Empty => format!("{message}."),
            Signature::Spoilt => {
                let other = self.key.sign_with_header(&self.header, &json!({}));
                let (_, signature) = other.rsplit_once('.').unwrap_or_default();
                format!("{message}.{signature}")
            }
        }
    }
}

impl From<DpopProof> for String {
    fn from(proof: DpopProof) -> Self {
        proof.sign()
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}
