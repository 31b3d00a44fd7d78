#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod authorize;
pub mod client;
mod credential;
mod denial;
pub mod flight;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod grant;
pub mod jose;
pub mod possession;
pub mod provider;
pub mod rotation;
mod secret;
mod time;
pub mod verify;

pub use credential::{Credential, CredentialKind};
pub use denial::{Challenge, Denial, Fault, Reason};
pub use secret::{Fingerprint, FingerprintKey, Secret};
pub use time::UnixTime;
