//! The compact serialization of a signed token, read strictly: RFC 7515 §3.1 and §4, RFC 8725.

use std::sync::Arc;

use memchr::memchr_iter;
use serde_json::{Map, Value};

use super::base64url::decode;
use super::header::JoseHeader;
use super::{Algorithm, KeySet, VerificationKey};

/// The longest token that is looked at.
const LENGTH_MAX: usize = 64 * 1024;

/// A compact JWS whose signature has not been checked.
#[derive(Debug)]
pub struct CompactJws<'a> {
    signing_input: &'a str,
    header: Arc<JoseHeader>,
    payload: &'a str,
    signature: &'a str,
}

/// A token that is not taken for a JWS, or whose signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than the bound.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url without padding (RFC 7515 §3.1).
    #[error("the token is not in compact serialization")]
    NotCompact,
    /// Five parts: an encrypted token (RFC 7516 §3.1).
    #[error("the token is encrypted")]
    Encrypted,
    /// The header is not a JSON object, or a member of it has a wrong type.
    #[error("the token's header is malformed")]
    HeaderMalformed,
    /// A member of the header stands twice.
    #[error("a member of the token's header stands twice")]
    HeaderDuplicate,
    /// `alg` is absent, `none` or unknown.
    #[error("the token's algorithm is none or unknown")]
    AlgorithmUnknown,
    /// The algorithm is not an accepted one.
    #[error("the token's algorithm is not accepted")]
    AlgorithmNotAllowed,
    /// `crit` names an extension; none is understood (RFC 7515 §4.1.11).
    #[error("the token's header names a critical extension")]
    CriticalExtension,
    /// No key of the issuer fits the token's `kid` and algorithm.
    #[error("no key of the issuer fits the token")]
    KeyUnknown,
    /// No fitting key verifies the signature.
    #[error("the token's signature is wrong")]
    SignatureInvalid,
}

impl JwsError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token.too_long",
            Self::NotCompact => "token.not_compact",
            Self::Encrypted => "token.encrypted",
            Self::HeaderMalformed => "token.header_malformed",
            Self::HeaderDuplicate => "token.header_duplicate_member",
            Self::AlgorithmUnknown => "token.algorithm_unknown",
            Self::AlgorithmNotAllowed => "token.algorithm_not_allowed",
            Self::CriticalExtension => "token.critical_extension",
            Self::KeyUnknown => "token.key_unknown",
            Self::SignatureInvalid => "token.signature_invalid",
        }
    }
}

impl<'a> CompactJws<'a> {
    /// Takes a token apart; believes nothing in it.
    ///
    /// `jku`, `jwk`, `x5u` and `x5c` are never looked at: a token does not choose its own key.
    ///
    /// # Errors
    /// If it is not a compact JWS with a header that is understood in full.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        let parts = Parts::of(token)?;
        Ok(parts.with(JoseHeader::of(parts.header)?))
    }

    /// The same with the whole header, for the one kind of token that does bring its own key: a
    /// proof of possession (RFC 9449 §4.2).
    pub(crate) fn parse_with_header(
        token: &'a str,
    ) -> Result<(Self, Map<String, Value>), JwsError> {
        let parts = Parts::of(token)?;
        let (header, members) = JoseHeader::read(parts.header)?;
        Ok((parts.with(Arc::new(header)), members))
    }

    /// The algorithm that the header names.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// The key that the header names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The media type that the header names (RFC 7515 §4.1.9).
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// The decoded payload.
    ///
    /// # Errors
    /// If it is not base64url.
    pub fn payload(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.payload).ok_or(JwsError::NotCompact)
    }

    /// The decoded signature.
    ///
    /// # Errors
    /// If it is not base64url.
    pub(crate) fn signature(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.signature).ok_or(JwsError::NotCompact)
    }

    /// Checks the signature with the fitting keys of a set, and gives the one that made it. Whether
    /// the algorithm is accepted is for the caller to have asked before.
    ///
    /// # Errors
    /// If it is not base64url, no key fits, or none verifies.
    pub fn verify<'k>(&'k self, keys: &'k KeySet) -> Result<&'k Arc<VerificationKey>, JwsError> {
        let signature = self.signature()?;
        let mut error = JwsError::KeyUnknown;
        for key in keys.candidates(self.kid(), self.algorithm()) {
            if self.is_by(key, &signature) {
                return Ok(key);
            }
            error = JwsError::SignatureInvalid;
        }
        Err(error)
    }

    /// Whether this key made the signature.
    ///
    /// # Errors
    /// If it is not base64url.
    pub(crate) fn verify_with(&self, key: &VerificationKey) -> Result<bool, JwsError> {
        Ok(self.is_by(key, &self.signature()?))
    }

    fn is_by(&self, key: &VerificationKey, signature: &[u8]) -> bool {
        key.verify(self.algorithm(), self.signing_input.as_bytes(), signature)
    }
}

/// The three parts of a token, each still encoded.
struct Parts<'a> {
    signing_input: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Exactly three, of a token that is not too long.
    fn of(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > LENGTH_MAX {
            return Err(JwsError::TooLong);
        }
        let mut dots = memchr_iter(b'.', token.as_bytes());
        let (Some(first), Some(second)) = (dots.next(), dots.next()) else {
            return Err(JwsError::NotCompact);
        };
        match dots.count() {
            0 => {}
            2 => return Err(JwsError::Encrypted),
            _ => return Err(JwsError::NotCompact),
        }
        Ok(Self {
            signing_input: &token[..second],
            header: &token[..first],
            payload: &token[first + 1..second],
            signature: &token[second + 1..],
        })
    }

    fn with(&self, header: Arc<JoseHeader>) -> CompactJws<'a> {
        CompactJws {
            signing_input: self.signing_input,
            header,
            payload: self.payload,
            signature: self.signature,
        }
    }
}
