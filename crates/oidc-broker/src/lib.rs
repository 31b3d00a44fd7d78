//! The async driver of oidc-core's grant machine: single flight, rotation memory, deadlines.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
