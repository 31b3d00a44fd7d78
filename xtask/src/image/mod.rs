//! `cargo xtask image`: container images, built on this machine.

pub(crate) mod gateway;
pub(crate) mod keycloak;

use anyhow::Result;
use clap::Subcommand;

use crate::engine::Engine;

/// Which image.
#[derive(Subcommand)]
pub(crate) enum Image {
    /// Keycloak's, under the official image's name: pulled, or built here where it cannot be.
    Keycloak,
    /// The gateway's, from `docker/Dockerfile`: one static binary and the certificate authorities.
    Gateway(gateway::Gateway),
    /// The echo upstream's, for `docker/compose.yml`.
    Echo,
}

impl Image {
    /// Sees to it that the image is there.
    ///
    /// # Errors
    /// If there is no container engine, or the image cannot be built.
    pub(crate) fn run(self) -> Result<()> {
        let _engine = Engine::find_or_start()?;
        match self {
            Self::Keycloak => keycloak::provide(),
            Self::Gateway(gateway) => gateway.run(),
            Self::Echo => gateway::echo(),
        }
    }
}
