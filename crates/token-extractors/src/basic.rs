//! The `Basic` scheme: RFC 7617 §2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oidc_core::{CredentialKind, Secret};

use crate::malformed::Malformed;

/// The credentials of an `Authorization` value, if its scheme is `Basic`.
pub(crate) fn parse(authorization: &[u8]) -> Option<Result<(String, Secret), Malformed>> {
    Some(decode(after_scheme(authorization, b"basic")?))
}

/// What follows a scheme, whose case does not count (RFC 9110 §11.1).
pub(crate) fn after_scheme<'a>(authorization: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = authorization.split_at_checked(scheme.len())?;
    if !name.eq_ignore_ascii_case(scheme) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ', ..] => Some(rest.trim_ascii()),
        _ => None,
    }
}

fn decode(encoded: &[u8]) -> Result<(String, Secret), Malformed> {
    if encoded.is_empty() {
        return Err(Malformed::Empty);
    }
    let joined = STANDARD
        .decode(encoded)
        .map_err(|_| Malformed::BasicNotBase64)?;
    let joined = String::from_utf8(joined).map_err(|_| Malformed::Bytes)?;
    let joined = Secret::new(joined);
    let (name, secret) = joined
        .expose()
        .split_once(':')
        .ok_or(Malformed::BasicNoColon)?;
    Ok((name.to_owned(), Secret::new(secret)))
}

/// A name and its secret, from wherever: not empty, and text of their kind.
pub(crate) fn check(kind: CredentialKind, name: &str, secret: &Secret) -> Result<(), Malformed> {
    if name.is_empty() || secret.expose().is_empty() {
        return Err(Malformed::Empty);
    }
    let fits = |text: &str| match kind {
        // RFC 6749 A.1 and A.2: visible ASCII and the space.
        CredentialKind::ClientCredentials => text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)),
        // RFC 7617 §2: no control characters in either.
        _ => !text.chars().any(char::is_control),
    };
    if !fits(name) || !fits(secret.expose()) {
        return Err(Malformed::Bytes);
    }
    Ok(())
}
