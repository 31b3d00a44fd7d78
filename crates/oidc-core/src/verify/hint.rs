//! What can be told of a token without verifying it: which key to fetch, and a hint, no more.
//! Serves the contract: a refresh token is opaque, its claims, where it is a JWT, are a hint only.

use crate::jose::{Algorithm, Claims, CompactJws, JwsError};

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
    // Opaque tokens may have dots in them; a JWS begins with the encoded brace of its header.
    let looks_signed = token.starts_with("ey") && token.matches('.').count() == 2;
    if !looks_signed {
        return Ok(TokenKind::Opaque);
    }
    let jws = CompactJws::parse(token)?;
    Ok(TokenKind::Jws {
        kid: jws.kid().map(str::to_owned),
        algorithm: jws.algorithm(),
    })
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
