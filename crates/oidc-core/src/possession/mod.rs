//! Proof that who presents a token is whom it was issued to: by a certificate (RFC 8705 §3) or by
//! a key (DPoP, RFC 9449).
//!
//! What each file answers, in the order in which a request meets it:
//!
//! | file | answers |
//! |---|---|
//! | `certificate` | which certificate a trusted proxy passed on, and its thumbprint |
//! | `proof` | is this proof good for this request? The twelve checks of RFC 9449 §4.3 |
//! | `target` | are two URLs the same target? |
//! | `nonce` | did we give out this nonce, and when? |
//! | `policy` | does the token demand a proof, and was it given? |
//! | `replay` | has this proof been used before? |
//! | `signer` | the other side: the proofs of a gateway that is itself a client |

mod certificate;
mod confirmation;
mod nonce;
mod policy;
mod proof;
mod replay;
mod signer;
mod target;

pub use certificate::{
    CertificateError, CertificateFormat, CertificateThumbprint, PresentedCertificate,
};
pub use confirmation::Confirmation;
pub use nonce::{NonceError, NonceKey};
pub use policy::{Confirmed, Enforcement, PossessionError, PossessionPolicy, Presented, Scheme};
pub use proof::{NonceRule, Proof, ProofCheck, ProofError, proof_header};
pub use replay::{ProofMark, ReplayError, ReplayTable};
pub use signer::{DpopSigner, ProofClaims};
