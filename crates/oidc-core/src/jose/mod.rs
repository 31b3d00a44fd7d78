//! JSON Web Signatures, keys and claims, read strictly: RFC 7515, RFC 7517, RFC 7519, RFC 8725.

mod alg;
mod base64url;
mod claims;
mod header;
mod jwk;
mod jws;
pub(crate) mod strict_json;
mod thumbprint;

pub use alg::{Algorithm, AlgorithmSet, UnknownAlgorithm};
pub(crate) use base64url::decode;
pub use claims::{Claims, ClaimsError};
pub use jwk::{KeyId, KeySet, KeySetError, KeySetLimits, VerificationKey};
pub use jws::{CompactJws, JwsError};
pub use strict_json::StrictJsonError;
pub use thumbprint::KeyThumbprint;
pub(crate) use thumbprint::Sha256;
