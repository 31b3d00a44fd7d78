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
    // Without a branch for each byte, and many at once: tokens are long.
    let foreign = body
        .iter()
        .fold(false, |foreign, byte| foreign | !is_b64(*byte));
    if body.is_empty() || foreign {
        // Which defect it is, is told by the order of the checks.
        return text(bytes).and(Err(Malformed::NotB64Token));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Bytes)?;
    Ok(Secret::new(text))
}

/// Whether it is a character of a `b64token`. Neither a table nor a branch: a compiler makes of it
/// what looks at sixteen at once.
const fn is_b64(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.` and `/` stand right before the digits.
    let is_digit_or_before = byte.wrapping_sub(b'-') < 13;
    is_letter | is_digit_or_before | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_consists_of_the_characters_of_its_grammar() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64(byte), expected, "{byte}");
        }
    }
}
