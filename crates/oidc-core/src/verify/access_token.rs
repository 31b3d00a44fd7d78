//! When an access token is acceptable: RFC 9068 §4, RFC 8725 §3.11, the contract's section 3.

use std::time::Duration;

use super::{Verified, VerifyError, in_time, signed};
use crate::UnixTime;
use crate::jose::{AlgorithmSet, Claims, KeySet};

/// What an access token is held to.
#[derive(Clone, Debug)]
pub struct AccessTokenPolicy {
    /// Accepted `iss`.
    pub issuers: Vec<String>,
    /// Accepted algorithms.
    pub algorithms: AlgorithmSet,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Whether the signature is checked.
    pub verify_signature: bool,
    /// Whether issuer and times are checked. A token of another type is refused in any case.
    pub verify_claims: bool,
}

/// Verifies a signed access token.
///
/// # Errors
/// With the first check that it fails.
pub fn verify_access_token(
    token: &str,
    keys: &KeySet,
    policy: &AccessTokenPolicy,
    now: UnixTime,
) -> Result<Verified<Claims>, VerifyError> {
    let (jws, claims) = signed(token, keys, policy.algorithms, policy.verify_signature)?;
    if !jws.typ().is_none_or(is_access_token_type) || claims.text("typ").is_some_and(is_other_kind)
    {
        return Err(VerifyError::Type);
    }
    if policy.verify_claims {
        if !claims
            .issuer()
            .is_some_and(|iss| policy.issuers.iter().any(|allowed| allowed == iss))
        {
            return Err(VerifyError::Issuer);
        }
        in_time(&claims, now, policy.leeway)?;
    }
    Ok(Verified(claims))
}

/// RFC 7515 §4.1.9: `application/` may be left out, and case does not count.
fn is_access_token_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(
        typ.strip_prefix("application/").unwrap_or(&typ),
        "jwt" | "at+jwt"
    )
}

/// Keycloak says in a claim which kind of token it is; these kinds are no access tokens.
fn is_other_kind(typ: &str) -> bool {
    ["ID", "Refresh", "Offline", "Logout"]
        .iter()
        .any(|kind| kind.eq_ignore_ascii_case(typ))
}
