//! The grants of OAuth 2.0 and OpenID Connect as values and decisions, without I/O.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod credential;
mod secret;
mod time;

pub use credential::{Credential, CredentialKind};
pub use secret::{Fingerprint, FingerprintKey, Secret};
pub use time::UnixTime;
