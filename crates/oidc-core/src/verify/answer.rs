//! When a signed answer of the provider is acceptable: RFC 9701 §5, OIDC Core §5.3.2.

use std::time::Duration;

use super::{Verified, VerifyError, signed};
use crate::UnixTime;
use crate::jose::{AlgorithmSet, Claims, KeySet};

/// What a signed answer is held to.
#[derive(Clone, Debug)]
pub struct AnswerPolicy<'a> {
    /// The provider that must have said it.
    pub issuer: &'a str,
    /// The client that it must be for.
    pub client_id: &'a str,
    /// The JOSE `typ` that it must have. An answer that has to have one must also name its issuer
    /// and its audience.
    pub typ: Option<&'a str>,
    /// Accepted algorithms.
    pub algorithms: AlgorithmSet,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Whether the signature is checked.
    pub verify_signature: bool,
}

/// Verifies a signed answer of the introspection or the userinfo endpoint.
///
/// # Errors
/// With the first check that it fails.
pub fn verify_answer(
    jwt: &str,
    keys: &KeySet,
    policy: &AnswerPolicy<'_>,
    now: UnixTime,
) -> Result<Verified<Claims>, VerifyError> {
    let (jws, verified) = signed(jwt, keys, policy.algorithms, policy.verify_signature)?;
    let claims = verified.get();
    let typed = policy.typ.is_some();
    let typ = jws.typ().map(str::to_ascii_lowercase);
    let typ = typ.as_deref();
    let bare = typ.map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    if typed && bare != policy.typ {
        return Err(VerifyError::Type);
    }
    let issuer = claims.issuer();
    if issuer.map_or(typed, |issuer| issuer != policy.issuer) {
        return Err(VerifyError::Issuer);
    }
    let for_us = claims.audience().iter().any(|one| one == policy.client_id);
    if typed && !for_us {
        return Err(VerifyError::Audience);
    }
    if claims
        .expires_at()
        .is_some_and(|end| end.plus(policy.leeway) <= now)
    {
        return Err(VerifyError::Expired);
    }
    Ok(verified)
}
