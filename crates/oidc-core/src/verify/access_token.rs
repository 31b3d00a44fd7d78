//! When an access token is acceptable: RFC 9068 §4, RFC 8725 §3.11, the contract's section 3.

use std::time::Duration;

use super::{Verified, VerifyError, in_time, signed};
use crate::UnixTime;
use crate::jose::{AlgorithmSet, Claims, KeySet};

/// What an access token is held to.
#[derive(Clone, Debug)]
pub struct AccessTokenPolicy<'a> {
    /// Accepted `iss`.
    pub issuers: &'a [String],
    /// Accepted algorithms.
    pub algorithms: AlgorithmSet,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// The JOSE `typ` that it must have, in lower case and without `application/`, such as
    /// `at+jwt` (RFC 9068 §2.1); `None` takes no `typ`, `JWT` and `at+jwt`.
    pub typ: Option<&'a str>,
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
    policy: &AccessTokenPolicy<'_>,
    now: UnixTime,
) -> Result<Verified<Claims>, VerifyError> {
    let (jws, verified) = signed(token, keys, policy.algorithms, policy.verify_signature)?;
    let claims = verified.get();
    let fits = match policy.typ {
        Some(wanted) => jws.typ().is_some_and(|typ| is_media_type(typ, wanted)),
        None => jws.typ().is_none_or(is_access_token_type),
    };
    if !fits || is_of_another_kind(claims) {
        return Err(VerifyError::Type);
    }
    if policy
        .typ
        .is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt"))
    {
        // RFC 9068 §2.2: who asks for this type may rely on all of it.
        let texts = ["iss", "sub", "client_id", "jti"];
        let missing = texts.iter().any(|name| claims.text(name).is_none());
        if missing || claims.audience().is_empty() || claims.issued_at().is_none() {
            return Err(VerifyError::ClaimMissing);
        }
    }
    if policy.verify_claims {
        if !claims
            .issuer()
            .is_some_and(|iss| policy.issuers.iter().any(|allowed| allowed == iss))
        {
            return Err(VerifyError::Issuer);
        }
        in_time(claims, now, policy.leeway)?;
    }
    Ok(verified)
}

/// RFC 7515 §4.1.9: `application/` may be left out, and case does not count.
fn is_media_type(typ: &str, wanted: &str) -> bool {
    let bare = match typ.split_at_checked(APPLICATION.len()) {
        Some((before, bare)) if before.eq_ignore_ascii_case(APPLICATION) => bare,
        _ => typ,
    };
    bare.eq_ignore_ascii_case(wanted)
}

const APPLICATION: &str = "application/";

fn is_access_token_type(typ: &str) -> bool {
    is_media_type(typ, "jwt") || is_media_type(typ, "at+jwt")
}

/// Whether the claims are those of another kind of token: Keycloak names the kind in `typ`; a hash
/// of an access token or of a code is an ID token's (OIDC Core §3.3.2.11), and `events` a logout
/// token's (OIDC Back-Channel Logout §2.4).
pub(crate) fn is_of_another_kind(claims: &Claims) -> bool {
    let kind = claims.text("typ").is_some_and(|typ| {
        ["ID", "Refresh", "Offline", "Logout"]
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(typ))
    });
    let members = ["at_hash", "c_hash", "events"];
    kind || members.iter().any(|name| claims.has(name))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_type_is_the_same_in_any_case_and_asks_for_the_same_claims() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let bare = r#"{"iss":"i"}"#;
        let whole = r#"{"iss":"i","sub":"s","client_id":"c","jti":"j","aud":"a","iat":1,"exp":9}"#;
        for wanted in ["at+jwt", "AT+JWT"] {
            for (typ, payload, expected) in [
                ("at+jwt", whole, None),
                ("application/at+jwt", whole, None),
                ("Application/AT+JWT", whole, None),
                ("JWT", whole, Some(VerifyError::Type)),
                ("at+jwt", bare, Some(VerifyError::ClaimMissing)),
            ] {
                let header = part(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#));
                let token = format!("{header}.{}.", part(payload));
                let policy = AccessTokenPolicy {
                    issuers: &["i".to_owned()],
                    algorithms: AlgorithmSet::default(),
                    leeway: Duration::ZERO,
                    typ: Some(wanted),
                    verify_signature: false,
                    verify_claims: true,
                };
                let keys = KeySet::default();
                let verified = verify_access_token(&token, &keys, &policy, UnixTime::from_secs(2));
                assert_eq!(verified.err(), expected, "{wanted} {typ} {payload}");
            }
        }
    }
}
