//! DPoP proofs, verified: the twelve checks of RFC 9449 §4.3. Whether the proof has been used
//! before is told by [`ReplayTable`](super::ReplayTable), whether it is by the token's key by
//! [`PossessionPolicy`](super::PossessionPolicy).

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::{NonceError, NonceKey, ProofMark, target};
use crate::jose::{
    AlgorithmSet, Claims, ClaimsError, CompactJws, JwsError, KeyThumbprint, Sha256, VerificationKey,
};
use crate::{Secret, UnixTime};

/// The longest proof that is looked at: an RSA key of 4096 bit and its signature make 2 KiB.
const LENGTH_MAX: usize = 8 * 1024;
/// The longest `jti`, in bytes.
const JTI_MAX: usize = 256;
/// The longest modulus in base64url: of 4096 bit. Whoever sends the proof chooses the key, and
/// the time to verify by it grows with the square of its length.
const MODULUS_MAX: usize = 683;

/// What a proof is checked against: the request that it came with.
#[derive(Clone, Copy, Debug)]
pub struct ProofCheck<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URL, as its sender sees it; query and fragment do not matter.
    pub url: &'a Url,
    /// The access token that came with it. At a resource there is one, and the proof has to name
    /// it; a token endpoint is asked without.
    pub access_token: Option<&'a Secret>,
    /// The signature algorithms that are accepted; symmetric ones never are.
    pub algorithms: AlgorithmSet,
    /// Whether the proof has to carry a nonce that was given out here.
    pub nonce: NonceRule<'a>,
    /// The time.
    pub now: UnixTime,
    /// How long a proof is good for, counted from its nonce if one is wanted and from `iat` if
    /// not (Kong's `dpop_proof_lifetime`, 300 s there).
    pub lifetime: Duration,
    /// How far the clocks may be apart, either way: 5 s or so. See
    /// [`LEEWAY`](ProofCheck::LEEWAY).
    pub leeway: Duration,
}

/// Whether a proof has to carry a nonce of ours (RFC 9449 §9; Kong's `dpop_use_nonce`).
#[derive(Clone, Copy, Debug)]
pub enum NonceRule<'a> {
    /// None is asked for. One that is there all the same is the client's own affair.
    Off,
    /// One is, made with this key. The time of its making takes the place of `iat`, by which a
    /// client whose clock is wrong, or who made proofs in advance, could have its way.
    Required(&'a NonceKey),
}

/// A proof that was found good; nothing else makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    key: KeyThumbprint,
    jti: String,
    issued_at: UnixTime,
    nonce_issued_at: Option<UnixTime>,
    expires_at: UnixTime,
}

/// Why a proof is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Check 1: more than one header, or more than one value in it.
    #[error("the request carries more than one DPoP proof")]
    Repeated,
    /// Longer than the bound.
    #[error("the DPoP proof is longer than 8 KiB")]
    TooLong,
    /// Check 2: not a compact JWS of JSON objects.
    #[error("the DPoP proof is not a signed token in compact serialization")]
    Malformed,
    /// A member of header or claims stands twice.
    #[error("a member of the DPoP proof stands twice")]
    DuplicateMember,
    /// The header names an extension that is not understood.
    #[error("the DPoP proof's header names a critical extension")]
    CriticalExtension,
    /// Check 3: a claim that must be there is not.
    #[error("the DPoP proof lacks the claim {0}")]
    ClaimMissing(&'static str),
    /// A claim of a wrong type, or empty, or out of bounds.
    #[error("the DPoP proof's claim {0} has a wrong type or length")]
    ClaimType(&'static str),
    /// Check 4: another `typ`, or none.
    #[error("the DPoP proof's typ is not dpop+jwt")]
    Type,
    /// Check 5: `none`, symmetric, unknown, or not an accepted one.
    #[error("the DPoP proof's algorithm is not accepted")]
    AlgorithmNotAllowed,
    /// The header has no `jwk`, or it is no object.
    #[error("the DPoP proof's header has no key")]
    KeyMissing,
    /// Check 7: the key is a private one. Whoever made it should throw it away.
    #[error("the DPoP proof's header has a private key")]
    KeyPrivate,
    /// The key is malformed, too weak, too large, off its curve or not for the algorithm.
    #[error("the DPoP proof's key is malformed, of a wrong size, or not for its algorithm")]
    KeyRejected,
    /// Check 6.
    #[error("the DPoP proof's signature is wrong")]
    SignatureInvalid,
    /// Check 8.
    #[error("the DPoP proof is for another method")]
    MethodMismatch,
    /// Check 9.
    #[error("the DPoP proof is for another URL")]
    UrlMismatch,
    /// Check 10: none, where one is wanted.
    #[error("the DPoP proof has no nonce")]
    NonceMissing,
    /// Check 10: another's.
    #[error("the DPoP proof's nonce was not given out here")]
    NonceUnknown,
    /// Checks 10 and 11.
    #[error("the DPoP proof's nonce is too old")]
    NonceExpired,
    /// Check 11: too old.
    #[error("the DPoP proof is too old")]
    Expired,
    /// Check 11: from the future, beyond the leeway.
    #[error("the DPoP proof is from the future")]
    IssuedInFuture,
    /// Check 12: for another access token.
    #[error("the DPoP proof is for another access token")]
    AccessTokenMismatch,
}

impl ProofError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Repeated => "dpop.repeated",
            Self::TooLong => "dpop.too_long",
            Self::Malformed => "dpop.malformed",
            Self::DuplicateMember => "dpop.duplicate_member",
            Self::CriticalExtension => "dpop.critical_extension",
            Self::ClaimMissing(_) => "dpop.claim_missing",
            Self::ClaimType(_) => "dpop.claim_type",
            Self::Type => "dpop.type",
            Self::AlgorithmNotAllowed => "dpop.algorithm_not_allowed",
            Self::KeyMissing => "dpop.key_missing",
            Self::KeyPrivate => "dpop.key_private",
            Self::KeyRejected => "dpop.key_rejected",
            Self::SignatureInvalid => "dpop.signature_invalid",
            Self::MethodMismatch => "dpop.method_mismatch",
            Self::UrlMismatch => "dpop.url_mismatch",
            Self::NonceMissing => "dpop.nonce_missing",
            Self::NonceUnknown => "dpop.nonce_unknown",
            Self::NonceExpired => "dpop.nonce_expired",
            Self::Expired => "dpop.expired",
            Self::IssuedInFuture => "dpop.issued_in_future",
            Self::AccessTokenMismatch => "dpop.access_token_mismatch",
        }
    }

    /// Whether a fresh nonce would help: the answer is then `use_dpop_nonce`, with one in
    /// `DPoP-Nonce` (RFC 9449 §9).
    #[must_use]
    pub const fn wants_nonce(self) -> bool {
        matches!(
            self,
            Self::NonceMissing | Self::NonceUnknown | Self::NonceExpired
        )
    }
}

impl From<JwsError> for ProofError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::TooLong => Self::TooLong,
            JwsError::NotCompact | JwsError::Encrypted | JwsError::HeaderMalformed => {
                Self::Malformed
            }
            JwsError::HeaderDuplicate => Self::DuplicateMember,
            JwsError::AlgorithmUnknown | JwsError::AlgorithmNotAllowed => Self::AlgorithmNotAllowed,
            JwsError::CriticalExtension => Self::CriticalExtension,
            JwsError::KeyUnknown => Self::KeyRejected,
            JwsError::SignatureInvalid => Self::SignatureInvalid,
        }
    }
}

impl From<ClaimsError> for ProofError {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::NotAnObject => Self::Malformed,
            ClaimsError::Duplicate => Self::DuplicateMember,
            ClaimsError::WrongType(name) => Self::ClaimType(name),
        }
    }
}

impl From<NonceError> for ProofError {
    fn from(error: NonceError) -> Self {
        match error {
            NonceError::Unknown => Self::NonceUnknown,
            NonceError::Expired => Self::NonceExpired,
        }
    }
}

/// The proof among the lines of a request's `DPoP` headers: none, or the one.
///
/// # Errors
/// If there are several (RFC 9449 §4.3, check 1), be it in one line, or the one is not of the
/// characters of a signed token.
pub fn proof_header<'a>(lines: &[&'a [u8]]) -> Result<Option<&'a str>, ProofError> {
    let line = match lines {
        [] => return Ok(None),
        [line] => line.trim_ascii(),
        _ => return Err(ProofError::Repeated),
    };
    if line.len() > LENGTH_MAX {
        return Err(ProofError::TooLong);
    }
    if line.contains(&b',') {
        return Err(ProofError::Repeated);
    }
    match std::str::from_utf8(line) {
        Ok(proof) if !proof.is_empty() && proof.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(proof))
        }
        _ => Err(ProofError::Malformed),
    }
}

impl ProofCheck<'_> {
    /// The default leeway.
    pub const LEEWAY: Duration = Duration::from_secs(5);

    /// Verifies a proof. The signature comes last: it costs some fifteen times (RS256) to forty
    /// times (ES256) what the other checks cost together, and a proof that fails any is refused
    /// all the same.
    ///
    /// # Errors
    /// With the first check that it fails.
    pub fn verify(&self, proof: &str) -> Result<Proof, ProofError> {
        use ProofError as E;
        if proof.len() > LENGTH_MAX {
            return Err(E::TooLong);
        }
        let (jws, header) = CompactJws::parse_with_header(proof)?;
        if jws.typ() != Some("dpop+jwt") {
            return Err(E::Type);
        }
        if jws.algorithm().is_symmetric() || !self.algorithms.contains(jws.algorithm()) {
            return Err(E::AlgorithmNotAllowed);
        }
        let jwk = public_key(&header)?;

        let claims = Claims::parse(&jws.payload()?)?;
        let jti = text(&claims, "jti")?;
        if jti.is_empty() || jti.len() > JTI_MAX {
            return Err(E::ClaimType("jti"));
        }
        if text(&claims, "htm")? != self.method {
            return Err(E::MethodMismatch);
        }
        if !target::names(text(&claims, "htu")?, self.url) {
            return Err(E::UrlMismatch);
        }
        if let Some(token) = self.access_token {
            let claimed = Sha256::parse(text(&claims, "ath")?);
            if claimed != Some(Sha256::of(token.expose().as_bytes())) {
                return Err(E::AccessTokenMismatch);
            }
        }
        let issued_at = claims.issued_at().ok_or(E::ClaimMissing("iat"))?;
        let nonce_issued_at = match self.nonce {
            NonceRule::Off => None,
            NonceRule::Required(key) => {
                let nonce = claims.text("nonce").ok_or(E::NonceMissing)?;
                Some(key.check(nonce, self.now, self.lifetime)?)
            }
        };
        let expires_at = self.window(&claims, issued_at, nonce_issued_at)?;

        let key = VerificationKey::from_jwk(jwk, jws.algorithm()).ok_or(E::KeyRejected)?;
        let thumbprint = KeyThumbprint::of_jwk(jwk).ok_or(E::KeyRejected)?;
        if !jws.verify_with(&key)? {
            return Err(E::SignatureInvalid);
        }
        Ok(Proof {
            key: thumbprint,
            jti: jti.to_owned(),
            issued_at,
            nonce_issued_at,
            expires_at,
        })
    }

    /// The last moment at which the proof is good, if it is now.
    fn window(
        &self,
        claims: &Claims,
        issued_at: UnixTime,
        nonce_issued_at: Option<UnixTime>,
    ) -> Result<UnixTime, ProofError> {
        let latest = self.now.plus(self.leeway);
        let end = match nonce_issued_at {
            Some(issued) => issued.plus(self.lifetime),
            None if issued_at > latest => return Err(ProofError::IssuedInFuture),
            None => issued_at.plus(self.lifetime).plus(self.leeway),
        };
        // A proof need not say these, but one that does means it (RFC 7519 §4.1.4, §4.1.5).
        if claims.not_before().is_some_and(|time| time > latest) {
            return Err(ProofError::IssuedInFuture);
        }
        let end = claims
            .expires_at()
            .map_or(end, |time| end.min(time.plus(self.leeway)));
        if self.now > end {
            return Err(ProofError::Expired);
        }
        Ok(end)
    }
}

impl Proof {
    /// The key that made it: what a token's `cnf.jkt` has to name.
    #[must_use]
    pub const fn key(&self) -> &KeyThumbprint {
        &self.key
    }

    /// Its id, which its key never uses twice.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// Its `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// When its nonce was given out, if one was wanted: by which to tell whether the client had
    /// better be given the next.
    #[must_use]
    pub const fn nonce_issued_at(&self) -> Option<UnixTime> {
        self.nonce_issued_at
    }

    /// The last moment at which it is good, and until which it has to be remembered.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// What is remembered of it.
    #[must_use]
    pub fn mark(&self) -> ProofMark {
        ProofMark::new(&self.key, &self.jti, self.expires_at)
    }
}

/// A private member anywhere is a private key, whatever the type says.
fn public_key(header: &Map<String, Value>) -> Result<&Map<String, Value>, ProofError> {
    let Some(Value::Object(jwk)) = header.get("jwk") else {
        return Err(ProofError::KeyMissing);
    };
    // RFC 7518 §6.2.2, §6.3.2, §6.4.1.
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return Err(ProofError::KeyPrivate);
    }
    let modulus = jwk.get("n").and_then(Value::as_str);
    if modulus.is_some_and(|modulus| modulus.len() > MODULUS_MAX) {
        return Err(ProofError::KeyRejected);
    }
    Ok(jwk)
}

fn text<'c>(claims: &'c Claims, name: &'static str) -> Result<&'c str, ProofError> {
    match claims.claim(&[name]) {
        None => Err(ProofError::ClaimMissing(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ProofError::ClaimType(name)),
    }
}
