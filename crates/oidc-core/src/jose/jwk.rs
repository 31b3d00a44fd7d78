//! Sets of public keys, each prepared once: RFC 7517, RFC 7518 §6, RFC 8037.
//! Serves the contract's section on keys: a key that cannot be used is skipped, the set is kept.

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::base64url::decode;
use super::{Algorithm, strict_json};

/// The bounds of a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySetLimits {
    /// The largest document. Default 512 KiB.
    pub max_bytes: usize,
    /// The most keys that are looked at. Default 100.
    pub max_keys: usize,
}

impl Default for KeySetLimits {
    fn default() -> Self {
        Self {
            max_bytes: 512 * 1024,
            max_keys: 100,
        }
    }
}

/// The keys of an issuer that can verify signatures.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
    ids: HashSet<KeyId>,
    skipped: usize,
}

/// A document that is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Larger than the bound.
    #[error("the key set is too large")]
    TooLarge,
    /// More keys than the bound.
    #[error("the key set holds too many keys")]
    TooManyKeys,
    /// Not a JSON object with an array `keys` (RFC 7517 §5).
    #[error("not a JSON Web Key set")]
    Malformed,
}

impl KeySet {
    /// Reads a set, and prepares each key in it that can be used.
    ///
    /// Skipped are keys for encryption, symmetric keys, RSA below 2048 or above 8192 bit, points
    /// off their curve, and types, curves and algorithms that are unknown (RFC 7517 §5).
    ///
    /// # Errors
    /// If the document is no key set, or beyond the bounds.
    pub fn parse(document: &[u8], limits: &KeySetLimits) -> Result<Self, KeySetError> {
        if document.len() > limits.max_bytes {
            return Err(KeySetError::TooLarge);
        }
        // A member that stands twice within one key spoils that key alone; the strict reader
        // refuses the whole document for it, so each key is read strictly by itself.
        #[derive(serde::Deserialize)]
        struct Set<'a> {
            #[serde(borrow)]
            keys: Vec<&'a serde_json::value::RawValue>,
        }
        let set: Set<'_> = serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        if set.keys.len() > limits.max_keys {
            return Err(KeySetError::TooManyKeys);
        }
        let listed = set.keys.len();
        let keys: Vec<_> = set
            .keys
            .iter()
            .filter_map(|key| {
                let jwk = strict_json::object(key.get().as_bytes()).ok()?;
                VerificationKey::prepare(&jwk, None)
            })
            .map(Arc::new)
            .collect();
        Ok(Self {
            ids: keys.iter().map(|key| key.id).collect(),
            skipped: listed - keys.len(),
            keys,
        })
    }

    /// The keys that fit a token's header: those of its `kid` and those that have none, or, if it
    /// names none, all of the algorithm's kind.
    pub fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Arc<VerificationKey>> {
        let named = move |key: &&Arc<VerificationKey>| match (kid, key.kid()) {
            (Some(wanted), Some(kid)) => kid == wanted,
            _ => true,
        };
        self.keys
            .iter()
            .filter(named)
            .filter(move |key| key.fits(algorithm))
    }

    /// Whether a key of this `kid` is in the set.
    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Whether this very key is in the set, under whatever `kid`.
    #[must_use]
    pub fn holds(&self, key: &KeyId) -> bool {
        self.ids.contains(key)
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys of the document were skipped.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }
}

/// What tells one public key from another: a hash of its `kid` and of all that it consists of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 32]);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "KeyId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// One public key, parsed once for each algorithm that it fits.
pub struct VerificationKey {
    kid: Option<String>,
    id: KeyId,
    jwk: Box<str>,
    prepared: Vec<(Algorithm, ParsedPublicKey)>,
}

impl VerificationKey {
    /// One key that stands by itself, for this algorithm alone; `None` for the reasons for which
    /// a set skips a key, or if it is not for this algorithm.
    #[must_use]
    pub fn from_jwk(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<Self> {
        Self::prepare(jwk, Some(algorithm))
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What tells it from others.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key as a JSON Web Key: its public members alone, by name.
    #[must_use]
    pub fn jwk(&self) -> &str {
        &self.jwk
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.prepared.iter().any(|(alg, _)| *alg == algorithm)
    }

    /// Whether this key made this signature by this algorithm.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.prepared
            .iter()
            .find(|(alg, _)| *alg == algorithm)
            .is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }

    /// Prepares a key for each algorithm that it fits, or for `one`, since each costs.
    fn prepare(jwk: &Map<String, Value>, one: Option<Algorithm>) -> Option<Self> {
        let text = |name: &str| match jwk.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return None;
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
            Some(_) => return None,
        }
        let only: Option<Algorithm> = match text("alg")? {
            None => None,
            Some(name) => Some(name.parse().ok()?),
        };
        let bytes = |name: &str| decode(jwk.get(name)?.as_str()?);
        let wanted =
            |algorithm: &Algorithm| [only, one].iter().flatten().all(|only| only == algorithm);
        let prepared: Vec<_> = match text("kty")?? {
            "RSA" => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                if !RSA_BITS.contains(&bits(&n)) || !is_sound_exponent(&e) {
                    return None;
                }
                RSA.iter()
                    .filter(|(algorithm, _)| wanted(algorithm))
                    .map(|(algorithm, parameters)| {
                        let key = RsaPublicKeyComponents { n: &n, e: &e };
                        Some((*algorithm, key.to_parsed_public_key(parameters).ok()?))
                    })
                    .collect::<Option<_>>()?
            }
            "EC" => {
                let (algorithm, parameters, size) = curve(text("crv")??)?;
                let (x, y) = (bytes("x")?, bytes("y")?);
                // RFC 7518 §6.2.1.2: each coordinate has the full size of the field.
                if x.len() != size || y.len() != size {
                    return None;
                }
                let point = [&[4][..], &x, &y].concat();
                wanted(&algorithm)
                    .then(|| ParsedPublicKey::new(parameters, point).ok())
                    .flatten()
                    .map(|key| (algorithm, key))
                    .into_iter()
                    .collect()
            }
            "OKP" if text("crv")?? == "Ed25519" && wanted(&Algorithm::EdDsa) => {
                let key = ParsedPublicKey::new(&signature::ED25519, bytes("x")?).ok()?;
                vec![(Algorithm::EdDsa, key)]
            }
            _ => return None,
        };
        let public: Map<String, Value> = PUBLIC
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), jwk.get(*name)?.clone())))
            .collect();
        let public = Value::Object(public).to_string();
        let hash = digest::digest(&digest::SHA256, public.as_bytes());
        let mut id = [0; 32];
        id.copy_from_slice(hash.as_ref());
        (!prepared.is_empty()).then_some(Self {
            kid: text("kid")?.map(str::to_owned),
            id: KeyId(id),
            jwk: public.into(),
            prepared,
        })
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.prepared.iter().map(|(alg, _)| alg.name()).collect();
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("alg", &algorithms)
            .finish()
    }
}

/// The members of a public key that are passed on: none of a private one is among them.
const PUBLIC: [&str; 10] = [
    "kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e",
];

/// How large a modulus may be. The parameters below say the same, and are not asked before a
/// signature is verified.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
];

/// How many bits a number has that may be written with zeros before it.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = &number[zeros..];
    let unused = significant.first().map_or(0, |byte| byte.leading_zeros());
    significant.len() * 8 - unused as usize
}

/// An exponent of 1 signs anything, and an even one nothing; more than 32 bit are for stalling.
fn is_sound_exponent(e: &[u8]) -> bool {
    let zeros = e.iter().take_while(|byte| **byte == 0).count();
    match &e[zeros..] {
        [] | [1] => false,
        significant => {
            significant.len() <= 4 && significant.last().is_some_and(|byte| byte & 1 == 1)
        }
    }
}

fn curve(name: &str) -> Option<(Algorithm, &'static dyn VerificationAlgorithm, usize)> {
    Some(match name {
        "P-256" => (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED, 32),
        "P-384" => (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED, 48),
        "P-521" => (Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED, 66),
        _ => return None,
    })
}
