//! A token that is not needed any more is declared worthless: RFC 7009.

use super::GrantPolicy;
use super::reply::{self, ProviderReply, Unavailable};
use super::request::{self, Moment, ProviderRequest};
use crate::client::Client;
use crate::provider::{Endpoint, ProviderMetadata};
use crate::{CredentialKind, Denial, Secret};

/// Which kind of token is revoked (RFC 7009 §2.1, `token_type_hint`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenTypeHint {
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
}

impl TokenTypeHint {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }
}

impl GrantPolicy {
    /// The request by which the provider is told to revoke a token that was issued to this client.
    ///
    /// # Errors
    /// If the provider has no such endpoint, or the client's assertion cannot be signed.
    pub fn revocation(
        &self,
        metadata: &ProviderMetadata,
        client: &Client,
        token: &Secret,
        hint: TokenTypeHint,
        moment: Moment,
    ) -> Result<ProviderRequest, Denial> {
        let by_certificate = client
            .authentication_at(Endpoint::Revocation)
            .is_by_certificate();
        let url = self
            .provider
            .endpoint(Endpoint::Revocation, metadata, by_certificate)
            .ok_or(Denial::new(Endpoint::Revocation.missing()))?;
        let param = (self.revocation_token_param.as_str(), token);
        let to = (url, metadata.issuer.as_str());
        request::revocation(self, client, param, hint.name(), to, moment)
    }

    /// What the provider's reply to a revocation says: that the token is good for nothing, whether
    /// it was before or not (RFC 7009 §2.2).
    ///
    /// # Errors
    /// If the provider did not do it.
    pub fn revoked(
        &self,
        client: &Client,
        token: &Secret,
        answer: Result<ProviderReply, Unavailable>,
    ) -> Result<(), Denial> {
        let answer = answer.map_err(|away| Denial::new(away.reason(Endpoint::Revocation)))?;
        if answer.status == 200 {
            return Ok(());
        }
        let mut secrets = client.secrets();
        secrets.push(token.expose());
        let kind = CredentialKind::RefreshToken;
        Err(reply::failure(
            &answer,
            Endpoint::Revocation,
            kind,
            &secrets,
        ))
    }
}
