//! When an ID token is acceptable: OIDC Core §3.1.3.7, in its order and with its numbers.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Verified, VerifyError, in_time, signed};
use crate::UnixTime;
use crate::jose::{Algorithm, AlgorithmSet, Claims, KeySet};

/// What an ID token is held to.
#[derive(Clone, Debug)]
pub struct IdTokenPolicy<'a> {
    /// Accepted `iss`.
    pub issuers: &'a [String],
    /// The client that it must be for.
    pub client_id: &'a str,
    /// Accepted algorithms.
    pub algorithms: AlgorithmSet,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// The `nonce` of the authorization request, if there was one.
    pub nonce: Option<&'a str>,
    /// The access token that came with it, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// Whether the signature is checked.
    pub verify_signature: bool,
    /// Whether the claims are checked.
    pub verify_claims: bool,
}

/// Verifies an ID token.
///
/// # Errors
/// With the first check that it fails.
pub fn verify_id_token(
    token: &str,
    keys: &KeySet,
    policy: &IdTokenPolicy<'_>,
    now: UnixTime,
) -> Result<Verified<Claims>, VerifyError> {
    // 1. Encrypted ID tokens are not taken. 6. to 8. The algorithm, then the signature.
    let (jws, verified) = signed(token, keys, policy.algorithms, policy.verify_signature)?;
    let claims = verified.get();
    let another = |typ: &str| {
        ["Bearer", "DPoP", "Refresh", "Offline", "Logout"]
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(typ))
    };
    if claims.text("typ").is_some_and(another) {
        return Err(VerifyError::Type);
    }
    if policy.verify_claims {
        // 2. The issuer.
        if !claims
            .issuer()
            .is_some_and(|iss| policy.issuers.iter().any(|allowed| allowed == iss))
        {
            return Err(VerifyError::Issuer);
        }
        // 3. The audience.
        let mut audience = claims.audience().iter();
        if !audience.any(|audience| audience == policy.client_id) {
            return Err(VerifyError::Audience);
        }
        // 4. and 5. The authorized party, which has to be named where there are several audiences.
        match claims.text("azp") {
            Some(azp) if azp != policy.client_id => return Err(VerifyError::AuthorizedParty),
            None if claims.audience().len() > 1 => return Err(VerifyError::AuthorizedParty),
            _ => {}
        }
        // 9. and 10. The times.
        in_time(claims, now, policy.leeway)?;
        if claims.issued_at().is_none() {
            return Err(VerifyError::IssuedAtMissing);
        }
        // §2: the subject is required.
        if claims.subject().is_none_or(str::is_empty) {
            return Err(VerifyError::SubjectMissing);
        }
        // 11. The nonce.
        if policy.nonce.is_some() && claims.text("nonce") != policy.nonce {
            return Err(VerifyError::Nonce);
        }
        // §3.1.3.8: the access token that came along.
        if let (Some(hash), Some(access_token)) = (claims.text("at_hash"), policy.access_token)
            && hash != left_half(jws.algorithm(), access_token)
        {
            return Err(VerifyError::AccessTokenHash);
        }
    }
    Ok(verified)
}

/// The left half of the hash, by the ID token's own algorithm.
fn left_half(algorithm: Algorithm, token: &str) -> String {
    use Algorithm as A;
    let hash = match algorithm {
        A::Hs256 | A::Rs256 | A::Ps256 | A::Es256 => &digest::SHA256,
        A::Hs384 | A::Rs384 | A::Ps384 | A::Es384 => &digest::SHA384,
        // Ed25519 is built on SHA-512, which is what providers use for it.
        A::Hs512 | A::Rs512 | A::Ps512 | A::Es512 | A::EdDsa => &digest::SHA512,
    };
    let digest = digest::digest(hash, token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}
