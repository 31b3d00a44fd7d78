//! The identity provider of the demo: in this process, or a real Keycloak.

use std::net::SocketAddr;

use anyhow::Result;
use keycloak_testkit::{EmbeddedIdp, EmbeddedRealm, Keycloak, Realm};

use crate::keycloak;

/// The realm of the refresh token guide.
pub(crate) const REALM: &str = "kong";

/// A running provider. It stops when it is dropped.
pub(crate) enum Provider {
    /// In this process.
    Embedded { _realm: EmbeddedRealm },
    /// A server of its own.
    Keycloak { _server: Box<Keycloak> },
}

impl Provider {
    /// Starts one of the two.
    ///
    /// # Errors
    /// If it does not start, with what to do.
    pub(crate) async fn start(address: SocketAddr, real: bool) -> Result<Self> {
        if real {
            let server = keycloak::start(address.port()).await?;
            println!("Keycloak answers; it comes from: {}", server.backend());
            return Ok(Self::Keycloak {
                _server: Box::new(server),
            });
        }
        let server = EmbeddedIdp::start_at(address).await?;
        Ok(Self::Embedded {
            _realm: server.realm(&Realm::seed(REALM)),
        })
    }
}
