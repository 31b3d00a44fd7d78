//! One client registered at the provider: its id and how it authenticates.
//! RFC 6749 §2.3, RFC 7523 §2.2, OIDC Core §9.

pub mod assertion;
mod authentication;
mod choose;

pub use authentication::{AssertionSigner, ClientAuthentication};
pub use choose::{Chosen, ChosenBy, choose};

/// A client that the provider knows.
#[derive(Clone, Debug)]
pub struct Client {
    id: String,
    authentication: ClientAuthentication,
}

impl Client {
    /// A client by its id and its way to authenticate.
    pub fn new(id: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self {
            id: id.into(),
            authentication,
        }
    }

    /// The `client_id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What of it must not be repeated, whoever says it.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        match &self.authentication {
            ClientAuthentication::SecretBasic(secret)
            | ClientAuthentication::SecretPost(secret) => vec![secret.expose()],
            // An assertion is good once, and long enough to be told by its length.
            ClientAuthentication::None | ClientAuthentication::Assertion(_) => Vec::new(),
        }
    }

    /// How it proves to the token endpoint who it is.
    #[must_use]
    pub const fn authentication(&self) -> &ClientAuthentication {
        &self.authentication
    }
}
