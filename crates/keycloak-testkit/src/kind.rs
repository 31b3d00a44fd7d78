//! Which provider a test case runs against.

use crate::{EmbeddedIdp, Error, IdentityProvider, Keycloak, Realm};

/// A kind of provider, so that one test case can run against each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderKind {
    /// The one in this process.
    Embedded,
    /// A real Keycloak.
    Keycloak,
}

impl ProviderKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Embedded, Self::Keycloak];

    /// The realm at a provider of this kind: at an embedded one of its own, or, under a unique
    /// name, at the shared server. Where no server can be had there is none, as
    /// [`Keycloak::start_or_skip`] says it.
    ///
    /// # Errors
    /// If the realm cannot be made.
    pub async fn realm(self, realm: &Realm) -> Result<Option<Box<dyn IdentityProvider>>, Error> {
        match self {
            Self::Embedded => {
                let idp = EmbeddedIdp::start().await?;
                Ok(Some(Box::new(idp.realm(realm))))
            }
            Self::Keycloak => match Keycloak::start_or_skip().await {
                None => Ok(None),
                Some(keycloak) => {
                    let realm = keycloak.realm(&realm.clone().unique()).await?;
                    Ok(Some(Box::new(realm)))
                }
            },
        }
    }
}
