//! The second provider of the tests: a certified one that is not Keycloak, by npm.

use anyhow::Result;

/// Has npm fetch it, if that was not done before.
///
/// # Errors
/// If Node.js or npm is missing or fails, with what to do.
pub(crate) fn install() -> Result<()> {
    let installed = second_provider::install(|line| println!("{line}"))?;
    println!("{}", installed.folder().display());
    Ok(())
}
