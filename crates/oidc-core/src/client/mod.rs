//! One client registered at the provider: its id and how it authenticates.
//! RFC 6749 §2.3, RFC 7523 §2.2, OIDC Core §9.

pub mod assertion;
mod authentication;
mod choose;

pub use authentication::{AssertionSigner, ClientAuthentication};
pub use choose::{Chosen, ChosenBy, choose};

use crate::provider::Endpoint;

/// A client that the provider knows.
#[derive(Clone, Debug)]
pub struct Client {
    id: String,
    authentication: ClientAuthentication,
    /// How it authenticates elsewhere than at the token endpoint, where that differs.
    elsewhere: Vec<(Endpoint, ClientAuthentication)>,
}

impl Client {
    /// A client by its id and its way to authenticate.
    pub fn new(id: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self {
            id: id.into(),
            authentication,
            elsewhere: Vec::new(),
        }
    }

    /// Authenticates in another way at this endpoint (`introspection_endpoint_auth_method`,
    /// `revocation_endpoint_auth_method`).
    #[must_use]
    pub fn authenticating_at(
        mut self,
        endpoint: Endpoint,
        authentication: ClientAuthentication,
    ) -> Self {
        self.elsewhere.retain(|(other, _)| *other != endpoint);
        self.elsewhere.push((endpoint, authentication));
        self
    }

    /// How it proves to this endpoint who it is.
    #[must_use]
    pub fn authentication_at(&self, endpoint: Endpoint) -> &ClientAuthentication {
        let elsewhere = self.elsewhere.iter().find(|(other, _)| *other == endpoint);
        elsewhere.map_or(&self.authentication, |(_, authentication)| authentication)
    }

    /// The `client_id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What of it must not be repeated, whoever says it.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let elsewhere = self
            .elsewhere
            .iter()
            .map(|(_, authentication)| authentication);
        std::iter::once(&self.authentication)
            .chain(elsewhere)
            .filter_map(|authentication| match authentication {
                ClientAuthentication::SecretBasic(secret)
                | ClientAuthentication::SecretPost(secret) => Some(secret.expose()),
                // An assertion is good once, and long enough to be told by its length.
                ClientAuthentication::None
                | ClientAuthentication::Assertion(_)
                | ClientAuthentication::Tls
                | ClientAuthentication::SelfSignedTls => None,
            })
            .collect()
    }

    /// How it proves to the token endpoint who it is.
    #[must_use]
    pub const fn authentication(&self) -> &ClientAuthentication {
        &self.authentication
    }
}
