//! `cargo xtask keycloak`: a real Keycloak with the demo's realm; and what else asks for one.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use keycloak_testkit::{Keycloak, Realm, VERSION, seed};

use crate::provider::REALM;
use crate::signals::Signals;

/// Where the demo's configuration has its provider.
const PORT: u16 = 8080;

/// The official image of the version that the tests are written for.
pub(crate) fn image() -> String {
    format!("quay.io/keycloak/keycloak:{VERSION}")
}

/// The distribution, fetched and prepared if need be.
///
/// # Errors
/// If Java or Maven is missing or fails, with what to do.
pub(crate) fn distribution() -> Result<PathBuf> {
    let directory = Keycloak::fetch(|line| println!("{line}"))?;
    println!("{}", directory.display());
    Ok(directory)
}

/// Runs a server until Ctrl-C.
///
/// # Errors
/// If none can be had, with what to do.
#[tokio::main]
pub(crate) async fn run() -> Result<()> {
    let mut signals = Signals::new()?;
    println!("starting Keycloak on port {PORT}; what is missing is fetched first");
    let keycloak = tokio::select! {
        keycloak = start(PORT) => keycloak?,
        () = signals.received() => return Ok(()),
    };
    println!(
        "Keycloak {VERSION} ({}) with the realm {REALM}; its user is {} with the password {}\n\
         issuer {}/realms/{REALM}\n\
         Ctrl-C stops it",
        keycloak.backend(),
        seed::USER,
        seed::PASSWORD,
        keycloak.base_url(),
    );
    signals.received().await;
    println!("stopping");
    Ok(())
}

/// A server with the guide's realm.
///
/// # Errors
/// If none can be had, with what to do.
pub(crate) async fn start(port: u16) -> Result<Keycloak> {
    let keycloak = Keycloak::launch(port)
        .await
        .map_err(|error| anyhow!("{error}"))?;
    keycloak.admin().create_realm(&Realm::seed(REALM)).await?;
    Ok(keycloak)
}

#[cfg(test)]
mod tests {
    use super::image;
    use crate::workspace::root;

    #[test]
    fn the_compose_file_has_the_version_that_is_tested() {
        let compose = std::fs::read_to_string(root().join("docker/compose.yml")).expect("the file");
        assert!(compose.contains(&format!("image: {}\n", image())));
    }
}
