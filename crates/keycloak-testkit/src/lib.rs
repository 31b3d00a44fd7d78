//! A real Keycloak, an embedded identity provider and an echo upstream, for integration tests.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod admin;
mod call;
mod clock;
mod echo;
mod embedded;
mod error;
mod http_client;
mod keycloak;
pub mod keys;
mod kind;
mod provider;
mod random;
mod realm;
mod wire;

pub use call::{CallError, ClientLogin, Refusal, Reply, TokenCall, Tokens, claims, header};
pub use echo::{EchoRequest, EchoUpstream};
pub use embedded::{EmbeddedIdp, EmbeddedRealm};
pub use error::Error;
pub use keycloak::{Backend, Keycloak, KeycloakRealm, StartError, VERSION};
pub use kind::ProviderKind;
pub use provider::IdentityProvider;
pub use realm::{Client, ClientAuthentication, ClientKeys, Realm, User, realm_file};
/// What the seed realm consists of, by name.
pub mod seed {
    pub use crate::realm::{
        CERT_BOUND_SECRET, DPOP_SECRET, JWKS_URL, PASSWORD, SERVICE_SECRET, USER,
    };
}
pub use wire::{Endpoint, Fault, Faults, Gate, TokenRequest};
