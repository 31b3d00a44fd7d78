//! An OpenID Connect gateway: takes a credential, trades it at the identity provider, forwards with
//! an access token. The library behind the binary `oidc-proxy`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod config;
