//! What makes a token acceptable. A [`Verified`] value can be made by nothing else.
//! RFC 7519 §7.2, RFC 8725, RFC 9068 §4, OIDC Core §3.1.3.7; the contract's section 3.

mod access_token;
mod answer;
mod hint;
mod id_token;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use access_token::is_of_another_kind;
pub use access_token::{AccessTokenPolicy, verify_access_token};
pub use answer::{AnswerPolicy, verify_answer};
pub(crate) use hint::looks_signed;
pub use hint::{RefreshTokenHint, TokenKind, peek, refresh_token_hint};
pub use id_token::{IdTokenPolicy, verify_id_token};

use crate::UnixTime;
use crate::jose::{
    AlgorithmSet, Claims, ClaimsError, CompactJws, JwsError, KeySet, VerificationKey,
};

/// A value whose token was verified.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    key: Option<Arc<VerificationKey>>,
}

impl<T> Verified<T> {
    /// The value.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// The key by which the token was verified; `None` where signatures are not checked.
    pub const fn key(&self) -> Option<&Arc<VerificationKey>> {
        self.key.as_ref()
    }
}

/// Why a token is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is no signed token, or its signature is not good.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Its claims cannot be read.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Its header's `typ`, or its claim `typ`, is another kind of token's.
    #[error("the token is of another type")]
    Type,
    /// `iss` is absent or not an accepted one.
    #[error("the token's issuer is not an accepted one")]
    Issuer,
    /// `exp` is absent.
    #[error("the token has no expiry")]
    ExpiryMissing,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// A claim is absent that RFC 9068 §2.2 requires.
    #[error("the token lacks a claim that its type requires")]
    ClaimMissing,
    /// An ID token without `sub`.
    #[error("the token has no subject")]
    SubjectMissing,
    /// An ID token without `iat`.
    #[error("the token has no time of issue")]
    IssuedAtMissing,
    /// An ID token for another client.
    #[error("the token is for another audience")]
    Audience,
    /// An ID token whose authorized party is another client.
    #[error("the token's authorized party is another")]
    AuthorizedParty,
    /// An ID token with another `nonce` than the one sent.
    #[error("the token's nonce is another")]
    Nonce,
    /// An ID token about another access token.
    #[error("the token is about another access token")]
    AccessTokenHash,
}

impl VerifyError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jws(error) => error.code(),
            Self::Claims(error) => error.code(),
            Self::Type => "token.wrong_type",
            Self::Issuer => "token.issuer_mismatch",
            Self::ExpiryMissing => "token.expiry_missing",
            Self::Expired => "token.expired",
            Self::NotYetValid => "token.not_yet_valid",
            Self::IssuedInFuture => "token.issued_in_future",
            Self::ClaimMissing => "token.claim_missing",
            Self::SubjectMissing => "id_token.subject_missing",
            Self::IssuedAtMissing => "id_token.issued_at_missing",
            Self::Audience => "id_token.audience_mismatch",
            Self::AuthorizedParty => "id_token.authorized_party_mismatch",
            Self::Nonce => "id_token.nonce_mismatch",
            Self::AccessTokenHash => "id_token.at_hash_mismatch",
        }
    }
}

/// The steps that all tokens share: the algorithm before the signature, the signature before the
/// claims.
fn signed<'t>(
    token: &'t str,
    keys: &KeySet,
    algorithms: AlgorithmSet,
    verify_signature: bool,
) -> Result<(CompactJws<'t>, Verified<Claims>), VerifyError> {
    let jws = CompactJws::parse(token)?;
    if !algorithms.contains(jws.algorithm()) {
        return Err(JwsError::AlgorithmNotAllowed.into());
    }
    let key = if verify_signature {
        Some(Arc::clone(jws.verify(keys)?))
    } else {
        // It is looked at as little as that.
        jws.signature()?;
        None
    };
    let value = Claims::parse(&jws.payload()?)?;
    Ok((jws, Verified { value, key }))
}

/// `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6).
fn in_time(claims: &Claims, now: UnixTime, leeway: Duration) -> Result<(), VerifyError> {
    let expires = claims.expires_at().ok_or(VerifyError::ExpiryMissing)?;
    if expires.plus(leeway) <= now {
        return Err(VerifyError::Expired);
    }
    if claims
        .not_before()
        .is_some_and(|start| start > now.plus(leeway))
    {
        return Err(VerifyError::NotYetValid);
    }
    // Whole seconds on one side, milliseconds on the other: a token of this very second is fine,
    // and so is one from a provider whose clock is one second ahead.
    let tolerance = leeway.saturating_add(Duration::from_secs(1));
    if claims
        .issued_at()
        .is_some_and(|issued| issued > now.plus(tolerance))
    {
        return Err(VerifyError::IssuedInFuture);
    }
    Ok(())
}
