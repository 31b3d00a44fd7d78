//! A real Keycloak, an embedded identity provider and an echo upstream, for integration tests.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
