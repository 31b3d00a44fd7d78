//! The state of a token that the issuer's keys alone decide on: RFC 6750 §2, RFC 9068 §4.

use std::sync::Arc;

use super::flight::recalled;
use super::keys::AwaitKeys;
use super::memory::MemoryPlan;
use super::received::Received;
use super::{Grant, Granted, Step};
use crate::provider::ProviderMetadata;
use crate::{Fingerprint, FingerprintKey, Secret, UnixTime};

/// Waits to know whether a token was verified before, or else what time it is. There is no flight
/// that others join: to verify it with the keys at hand costs less than to wait for somebody else.
#[derive(Clone, Debug)]
pub struct AwaitVerification {
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    token: Secret,
    key: Option<Fingerprint>,
}

impl AwaitVerification {
    pub(super) fn presenting(
        grant: Grant,
        metadata: Arc<ProviderMetadata>,
        token: Secret,
        key: Option<Fingerprint>,
    ) -> Self {
        Self {
            grant,
            metadata,
            token,
            key,
        }
    }

    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The provider's metadata that the grant is run by.
    #[must_use]
    pub const fn metadata(&self) -> &Arc<ProviderMetadata> {
        &self.metadata
    }

    /// What an earlier result is remembered by; `None` where nothing is remembered.
    #[must_use]
    pub const fn key(&self) -> Option<Fingerprint> {
        self.key
    }

    /// What will be needed to remember what comes of it; `None` where nothing is remembered.
    #[must_use]
    pub fn memory(&self, fingerprints: &FingerprintKey) -> Option<MemoryPlan> {
        let key = self.key?;
        let endpoint = self.grant.policy.provider.token_endpoint_of(&self.metadata);
        Some(MemoryPlan {
            endpoint: endpoint.clone(),
            grant: self.grant.clone(),
            presented: key,
            flight: key,
            fingerprints: fingerprints.clone(),
        })
    }

    /// Goes on with what came of the token before; it is verified again if it was verified in
    /// another way than this grant's, or by a key that is withdrawn.
    pub fn remembered(self, granted: Arc<Granted>) -> Step {
        recalled(self.grant, self.metadata, granted)
    }

    /// Goes on to verify it as of now.
    pub fn verify(self, now: UnixTime) -> Step {
        let received = Arc::new(Received::presented(self.token, now));
        AwaitKeys::begin(self.grant, self.metadata, received)
    }
}
