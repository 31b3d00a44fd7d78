//! Whether a token's binding is asked for, and was proven: one decision in one place.
//! RFC 8705 §3, RFC 9449 §7; Kong's `proof_of_possession_mtls` and `proof_of_possession_dpop`.

use serde_json::Value;

use super::{CertificateThumbprint, Confirmation, Proof, ProofError, ReplayError};
use crate::Reason;

/// How far a kind of binding is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// It is not looked at.
    #[default]
    Off,
    /// A token that is bound has to be proven; others need no proof.
    Optional,
    /// Every token has to be bound, and proven.
    Strict,
}

/// Which proofs are asked for. Each kind by itself: with both strict, every token has to be bound
/// to a certificate and to a key.
///
/// With a kind off, its bindings are not enforced: a token with `cnf.jkt` that comes as a plain
/// bearer token is accepted, as Kong does. Whoever stole it can use it, which RFC 9449 §7.2 would
/// have refused; to refuse it, set DPoP to optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PossessionPolicy {
    /// Of a certificate (RFC 8705).
    pub mtls: Enforcement,
    /// Of a key (RFC 9449).
    pub dpop: Enforcement,
}

/// The scheme by which a token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer`, and every other place where a bare token may stand.
    Bearer,
    /// `Authorization: DPoP`.
    Dpop,
}

/// What came with a token.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// How the token was presented.
    pub scheme: Scheme,
    /// The certificate of the client's connection, or out of a trusted header.
    pub certificate: Option<CertificateThumbprint>,
    /// What came of verifying the proof in the header `DPoP`, if there is one. It matters with
    /// the scheme [`Dpop`](Scheme::Dpop) alone, and need not be verified for another.
    pub proof: Option<Result<&'a Proof, ProofError>>,
}

/// What was proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Confirmed {
    /// The token is bound to the certificate of its presenter.
    pub by_certificate: bool,
    /// The token is bound to the key of its presenter. The proof is good, and has still to be
    /// entered into the [`ReplayTable`](super::ReplayTable).
    pub by_key: bool,
}

/// Why a token is not taken from who presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PossessionError {
    /// `cnf`, or a member of it, is of a wrong type.
    #[error("the token's claim cnf is malformed")]
    ConfirmationMalformed,
    /// `cnf` binds the token by means that cannot be checked here.
    #[error("the token is bound by means that are not supported")]
    ConfirmationUnknown,
    /// The token is bound to no certificate, and has to be, or is bound to a key alone.
    #[error("the token is not bound to a certificate")]
    NotBoundToCertificate,
    /// The token is bound to a certificate, and its presenter shows none.
    #[error("the token is bound to a certificate, and none was presented")]
    CertificateMissing,
    /// The token is bound to another certificate.
    #[error("the token is bound to another certificate")]
    CertificateMismatch,
    /// The scheme is DPoP, and DPoP is off.
    #[error("DPoP is not enabled")]
    DpopOff,
    /// The token is bound to no key, and has to be for the sake of the policy or of the scheme.
    #[error("the token is not bound to a key")]
    NotBoundToKey,
    /// The token is bound to a key, and came as if it were not (RFC 9449 §7.2).
    #[error("the token is bound to a key, and was presented without its scheme")]
    BearerScheme,
    /// There is no proof.
    #[error("the token is bound to a key, and no DPoP proof was presented")]
    ProofMissing,
    /// The proof is not good.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof is by another key.
    #[error("the token is bound to another key than the DPoP proof's")]
    KeyMismatch,
    /// The proof is good, and cannot be used.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl PossessionError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConfirmationMalformed => "possession.confirmation_malformed",
            Self::ConfirmationUnknown => "possession.confirmation_unknown",
            Self::NotBoundToCertificate => "mtls.token_not_bound",
            Self::CertificateMissing => "mtls.certificate_missing",
            Self::CertificateMismatch => "mtls.certificate_mismatch",
            Self::DpopOff => "dpop.off",
            Self::NotBoundToKey => "dpop.token_not_bound",
            Self::BearerScheme => "dpop.bearer_scheme",
            Self::ProofMissing => "dpop.proof_missing",
            Self::Proof(error) => error.code(),
            Self::KeyMismatch => "dpop.key_mismatch",
            Self::Replay(error) => error.code(),
        }
    }

    /// The challenge's `error` (RFC 6750 §3.1, RFC 9449 §7.1 and §9). With `use_dpop_nonce` goes
    /// a fresh nonce in `DPoP-Nonce`.
    #[must_use]
    pub const fn oauth_error(self) -> &'static str {
        match self {
            Self::Proof(error) if error.wants_nonce() => "use_dpop_nonce",
            Self::Proof(_) | Self::ProofMissing | Self::Replay(_) => "invalid_dpop_proof",
            Self::ConfirmationMalformed
            | Self::ConfirmationUnknown
            | Self::NotBoundToCertificate
            | Self::CertificateMissing
            | Self::CertificateMismatch
            | Self::DpopOff
            | Self::NotBoundToKey
            | Self::BearerScheme
            | Self::KeyMismatch => "invalid_token",
        }
    }
}

impl From<PossessionError> for Reason {
    fn from(error: PossessionError) -> Self {
        match error.oauth_error() {
            "use_dpop_nonce" => Self::ProofNonceWanted(error.code()),
            "invalid_dpop_proof" => Self::ProofRefused(error.code()),
            _ => Self::PossessionUnproven(error.code()),
        }
    }
}

impl PossessionPolicy {
    /// Whether any proof is asked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mtls != Enforcement::Off || self.dpop != Enforcement::Off
    }

    /// Decides on a token by its claim `cnf`: its own, or the one that introspection gives of an
    /// opaque token.
    ///
    /// The token must have been verified: this asks whose it is, not whether it is good.
    ///
    /// # Errors
    /// If a proof is asked for and was not given.
    pub fn decide(
        &self,
        cnf: Option<&Value>,
        presented: &Presented<'_>,
    ) -> Result<Confirmed, PossessionError> {
        let bound = if self.is_on() {
            Confirmation::parse(cnf)?
        } else {
            Confirmation::default()
        };
        Ok(Confirmed {
            by_certificate: self.by_certificate(&bound, presented)?,
            by_key: self.by_key(&bound, presented)?,
        })
    }

    fn by_certificate(
        &self,
        bound: &Confirmation,
        presented: &Presented<'_>,
    ) -> Result<bool, PossessionError> {
        match (self.mtls, &bound.certificate) {
            (Enforcement::Off, _) | (Enforcement::Optional, None) => Ok(false),
            (Enforcement::Strict, None) => Err(PossessionError::NotBoundToCertificate),
            (Enforcement::Optional | Enforcement::Strict, Some(bound)) => {
                match &presented.certificate {
                    None => Err(PossessionError::CertificateMissing),
                    Some(certificate) if certificate != bound => {
                        Err(PossessionError::CertificateMismatch)
                    }
                    Some(_) => Ok(true),
                }
            }
        }
    }

    fn by_key(
        &self,
        bound: &Confirmation,
        presented: &Presented<'_>,
    ) -> Result<bool, PossessionError> {
        match (self.dpop, presented.scheme, &bound.key) {
            (Enforcement::Off, Scheme::Bearer, _)
            | (Enforcement::Optional, Scheme::Bearer, None) => Ok(false),
            // The scheme promises a check that would not be made.
            (Enforcement::Off, Scheme::Dpop, _) => Err(PossessionError::DpopOff),
            (Enforcement::Strict, _, None) | (Enforcement::Optional, Scheme::Dpop, None) => {
                Err(PossessionError::NotBoundToKey)
            }
            (Enforcement::Optional | Enforcement::Strict, Scheme::Bearer, Some(_)) => {
                Err(PossessionError::BearerScheme)
            }
            (Enforcement::Optional | Enforcement::Strict, Scheme::Dpop, Some(bound)) => {
                match presented.proof {
                    None => Err(PossessionError::ProofMissing),
                    Some(Err(error)) => Err(error.into()),
                    Some(Ok(proof)) if proof.key() != bound => Err(PossessionError::KeyMismatch),
                    Some(Ok(_)) => Ok(true),
                }
            }
        }
    }
}
