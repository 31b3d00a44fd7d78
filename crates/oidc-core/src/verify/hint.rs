//! What can be told of a token without verifying it: which key to fetch, and a hint, no more.
//! Serves the contract: a refresh token is opaque, its claims, where it is a JWT, are a hint only.

use memchr::memchr;

use crate::jose::{Algorithm, Claims, CompactJws, JwsError, decode};

/// What an access token looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Nothing that a gateway could read.
    Opaque,
    /// A signed token.
    Jws {
        /// The key that it names.
        kid: Option<String>,
        /// The algorithm that it names.
        algorithm: Algorithm,
    },
}

/// Tells an opaque token from a signed one.
///
/// # Errors
/// If it is built like a signed token and is malformed.
pub fn peek(token: &str) -> Result<TokenKind, JwsError> {
    if !looks_signed(token) {
        return Ok(TokenKind::Opaque);
    }
    let jws = CompactJws::parse(token)?;
    // What is malformed is refused before anybody is asked for keys.
    jws.signature()?;
    Ok(TokenKind::Jws {
        kid: jws.kid().map(str::to_owned),
        algorithm: jws.algorithm(),
    })
}

/// Opaque tokens may have dots in them, too; the first part of a signed one is a JSON object, if
/// perhaps with white space before it.
pub(crate) fn looks_signed(token: &str) -> bool {
    let dot = |from: usize| memchr(b'.', &token.as_bytes()[from..]).map(|place| from + place);
    let Some((first, second)) = dot(0).and_then(|first| Some((first, dot(first + 1)?))) else {
        return false;
    };
    if dot(second + 1).is_some() {
        return false;
    }
    let header = &token[..first];
    header.starts_with("ey")
        || decode(header).is_some_and(|header| header.trim_ascii_start().starts_with(b"{"))
}

/// What a refresh token says of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshTokenHint {
    /// The client that it was issued to.
    pub azp: Option<String>,
}

impl std::fmt::Debug for RefreshTokenHint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefreshTokenHint")
            .field("azp", &self.azp.is_some())
            .finish()
    }
}

/// Reads a refresh token that happens to be a JWT; gives `None` on anything else.
#[must_use]
pub fn refresh_token_hint(token: &str) -> Option<RefreshTokenHint> {
    let jws = CompactJws::parse(token).ok()?;
    let claims = Claims::parse(&jws.payload().ok()?).ok()?;
    Some(RefreshTokenHint {
        azp: claims.text("azp").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn a_signed_token_is_told_from_an_opaque_one_however_its_header_is_laid_out() {
        let token = |header: &str| format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header));
        for header in [
            r#"{"alg":"RS256"}"#,
            "{\n \"alg\": \"RS256\" }",
            " {\"alg\":\"RS256\"}",
        ] {
            assert!(
                matches!(peek(&token(header)), Ok(TokenKind::Jws { .. })),
                "{header}"
            );
        }
        for opaque in ["", "a.b.c", "opaque", "..", "gho_x.y", "eyJh.b.c.d.e"] {
            assert_eq!(peek(opaque), Ok(TokenKind::Opaque), "{opaque}");
        }
        // The last is told before anybody is asked for keys.
        let unsigned = format!("{}!", token(r#"{"alg":"RS256"}"#));
        let none = token(r#"{"alg":"none"}"#);
        for malformed in ["ey.b.c", &none, &token("{"), &unsigned] {
            assert!(peek(malformed).is_err(), "{malformed}");
        }
    }
}
