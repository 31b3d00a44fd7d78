//! The first state: where the provider is. OIDC Discovery §4.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::flight::{self, AwaitFlight};
use super::verification::AwaitVerification;
use super::{Grant, Step};
use crate::provider::{DiscoveryError, ProviderMetadata};
use crate::{Credential, Denial, FingerprintKey, Reason};

/// Waits for the provider's metadata.
#[derive(Debug)]
pub struct AwaitMetadata {
    pub(super) grant: Grant,
}

impl AwaitMetadata {
    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Where the metadata are to be fetched, if they are not at hand.
    #[must_use]
    pub fn discovery_url(&self) -> &Url {
        self.grant.policy.provider.discovery_url()
    }

    /// Goes on with the metadata.
    pub fn found(self, metadata: Arc<ProviderMetadata>, key: &FingerprintKey) -> Step {
        if let Credential::Bearer(token) = &self.grant.credential {
            let (token, policy) = (token.clone(), &self.grant.policy);
            let client_id = self.grant.client_id();
            let key = policy
                .cache_tokens
                .then(|| policy.verification_key(client_id, &token, key));
            let state = AwaitVerification::presenting(self.grant, metadata, token, key);
            return Step::Verify(state);
        }
        let endpoint = flight::asked_of(&self.grant, &metadata);
        let presented = self.grant.key(&self.grant.credential, endpoint, key);
        Step::Flight(AwaitFlight::presenting(self.grant, metadata, presented))
    }

    /// Ends: the document cannot be used.
    pub fn malformed(self, error: DiscoveryError) -> Step {
        self.grant.deny(error.reason())
    }

    /// Ends: there is no document.
    pub fn unavailable(self, reason: Reason, retry_after: Option<Duration>) -> Step {
        self.grant
            .done(Denial::new(reason).with_retry_after(retry_after))
    }
}
