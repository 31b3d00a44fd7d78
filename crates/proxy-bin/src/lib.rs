//! An OpenID Connect gateway: takes a credential, trades it at the identity provider, forwards with an access token.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
