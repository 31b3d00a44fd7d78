//! A real Keycloak, an embedded identity provider and an echo upstream, for integration tests of
//! what talks to an OpenID provider.
//!
//! A test case is written once, for [`IdentityProvider`], and runs against both providers: the
//! embedded one starts at once and can be made to lie, the real one is right. What the embedded
//! one answers is held to what Keycloak answers by this crate's own tests.
//!
//! ```
//! use keycloak_testkit::{
//!     ClientLogin, EchoUpstream, Endpoint, Fault, IdentityProvider, ProviderKind, Realm,
//! };
//!
//! async fn survives_an_outage(idp: &dyn IdentityProvider) {
//!     let upstream = EchoUpstream::start().await.unwrap();
//!     // … start what is to be tested, with idp.issuer() and upstream.url("/anything") …
//!     let tokens = idp.log_in("john", "doe", ClientLogin::service()).await.unwrap();
//!     idp.faults().next(Endpoint::Token, 1, Fault::status(503));
//!     // … let it use tokens.refresh(), twice …
//! #   let _ = tokens;
//!     assert_eq!(idp.token_requests().len(), upstream.count());
//! }
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! // In a test: ProviderKind::ALL, or one of them.
//! let realm = Realm::seed("kong").rotation(true);
//! if let Some(idp) = ProviderKind::Embedded.realm(&realm).await.unwrap() {
//!     survives_an_outage(&*idp).await;
//! }
//! # });
//! ```
//!
//! - [`Realm`], [`Client`] and [`User`] describe a realm; [`Realm::seed`] is that of the guide.
//! - [`EmbeddedIdp`] serves realms in this process; an [`EmbeddedRealm`] can also be made to sign
//!   and to say what no provider would.
//! - [`Keycloak`] starts a real server: see [`Backend`] for where it is taken from.
//! - [`pki`] makes certificates, [`DpopKey`] proofs of possession; [`IdentityProvider::tls`] is where
//!   clients show certificates.
//! - [`Fault`] and [`Gate`] break and hold answers, of either provider.
//! - [`EchoUpstream`] says what it was asked, and remembers it to the byte.
//!
//! Where the embedded provider differs from Keycloak: a replay of an older refresh token is found
//! out within the same second too; a client's keys are fetched again at once for an unknown `kid`;
//! a repeated proof of possession is remembered for good. It has what Keycloak lacks, for tests of
//! what other providers do: opaque tokens, signed introspection answers (RFC 9701), nonces in
//! proofs, and clients with self-signed certificates.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod admin;
mod call;
mod clock;
mod dpop;
mod echo;
mod embedded;
mod error;
mod http_client;
mod keycloak;
pub mod keys;
mod kind;
pub mod pki;
mod provider;
mod random;
mod realm;
mod tls;
mod wire;

pub use call::{Call, CallError, ClientLogin, Refusal, Reply, TokenCall, Tokens, claims, header};
pub use dpop::{DpopKey, DpopProof};
pub use echo::{EchoRequest, EchoUpstream};
pub use embedded::{EmbeddedIdp, EmbeddedRealm};
pub use error::Error;
pub use keycloak::{Backend, Keycloak, KeycloakRealm, StartError, VERSION};
pub use kind::ProviderKind;
pub use provider::IdentityProvider;
pub use realm::{Client, ClientAuthentication, ClientKeys, Realm, User, realm_file};
pub use tls::TlsSide;
pub use wire::{Endpoint, Fault, Faults, Gate, TokenRequest};

/// What the seed realm consists of, by name.
pub mod seed {
    pub use crate::realm::{
        CERT_BOUND_SECRET, DPOP_SECRET, FRONTEND_SECRET, JWKS_URL, PASSWORD, SERVICE_SECRET, USER,
    };
}
