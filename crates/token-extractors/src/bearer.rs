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
    let mut body = bytes;
    while let [rest @ .., b'='] = body {
        body = rest;
    }
    // Without a branch for each byte: tokens are long.
    let foreign = body
        .iter()
        .fold(false, |foreign, byte| foreign | !B64[usize::from(*byte)]);
    if body.is_empty() || foreign {
        // Which defect it is, is told by the order of the checks.
        return text(bytes).and(Err(Malformed::NotB64Token));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Bytes)?;
    Ok(Secret::new(text))
}

/// The characters of a `b64token`.
const B64: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    table
};

/// `refresh-token = 1*VSCHAR` (RFC 6749 A.17).
pub(crate) fn refresh_token(bytes: &[u8]) -> Result<Secret, Malformed> {
    text(bytes).map(Secret::new)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    if bytes.is_empty() {
        return Err(Malformed::Empty);
    }
    let visible = |byte: &u8| byte.wrapping_sub(0x20) <= 0x7e - 0x20;
    if !bytes.iter().fold(true, |all, byte| all & visible(byte)) {
        return Err(Malformed::Bytes);
    }
    std::str::from_utf8(bytes).map_err(|_| Malformed::Bytes)
}
