//! Tokens: the schemes `Bearer` (RFC 6750 §2.1) and `DPoP` (RFC 9449 §7.1), and what a token may
//! consist of.

use oidc_core::Secret;

use crate::basic::after_scheme;
use crate::malformed::Malformed;

/// The token of an `Authorization` value, if its scheme is `Bearer`.
pub(crate) fn parse(authorization: &[u8]) -> Option<Result<Secret, Malformed>> {
    Some(access_token(after_scheme(authorization, b"bearer")?))
}

/// The token of an `Authorization` value, if its scheme is `DPoP`.
pub(crate) fn parse_dpop(authorization: &[u8]) -> Option<Result<Secret, Malformed>> {
    Some(access_token(after_scheme(authorization, b"dpop")?))
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
pub(crate) fn access_token(bytes: &[u8]) -> Result<Secret, Malformed> {
    let text = text(bytes)?;
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(allowed) {
        return Err(Malformed::NotB64Token);
    }
    Ok(Secret::new(text))
}

/// `refresh-token = 1*VSCHAR` (RFC 6749 A.17).
pub(crate) fn refresh_token(bytes: &[u8]) -> Result<Secret, Malformed> {
    text(bytes).map(Secret::new)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    if bytes.is_empty() {
        return Err(Malformed::Empty);
    }
    if !bytes.iter().all(|byte| (0x20..=0x7e).contains(byte)) {
        return Err(Malformed::Bytes);
    }
    std::str::from_utf8(bytes).map_err(|_| Malformed::Bytes)
}
