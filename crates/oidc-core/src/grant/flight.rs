//! The state in which a grant meets the others: who leads, who waits, what is known already.
//! Serves the contract's guarantees "single flight" and "rotation-safe".

use std::sync::Arc;

use url::Url;

use super::call::AwaitReply;
use super::keys::AwaitKeys;
use super::memory::MemoryPlan;
use super::received::Received;
use super::request::{self, Moment, ProviderRequest};
use super::{Grant, Granted, Step};
use crate::provider::Endpoint;
use crate::provider::ProviderMetadata;
use crate::rotation::{Subject, Successor};
use crate::{Credential, CredentialKind, Denial, Fingerprint, FingerprintKey, Reason, Secret};

/// The longest way along successors. One that is followed makes the way shorter for the next, so
/// that only a provider which issues tokens in a ring gets anywhere near.
const SUCCESSORS_MAX: u16 = 4096;

/// Waits to know who else is under way with this credential.
#[derive(Clone, Debug)]
pub struct AwaitFlight {
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    /// The fingerprint of what the caller presented.
    presented: Fingerprint,
    /// The fingerprint of what would be sent.
    flight: Fingerprint,
    /// The successor that is sent in the presented token's place.
    sent: Option<Secret>,
    hops: u16,
}

impl AwaitFlight {
    pub(super) fn presenting(
        grant: Grant,
        metadata: Arc<ProviderMetadata>,
        presented: Fingerprint,
    ) -> Self {
        Self {
            grant,
            metadata,
            presented,
            flight: presented,
            sent: None,
            hops: 0,
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

    /// The flight to enter.
    #[must_use]
    pub const fn key(&self) -> Fingerprint {
        self.flight
    }

    /// The fingerprint of the credential that was presented; another one than
    /// [`key`](Self::key) once a successor stands in its place.
    #[must_use]
    pub const fn presented_key(&self) -> Fingerprint {
        self.presented
    }

    /// The token endpoint that would be asked.
    #[must_use]
    pub fn token_endpoint(&self) -> &Url {
        self.grant.policy.provider.token_endpoint_of(&self.metadata)
    }

    /// The endpoint that would be asked.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        match self.grant.kind() {
            CredentialKind::Introspection => Endpoint::Introspection,
            CredentialKind::UserInfo => Endpoint::UserInfo,
            _ => Endpoint::Token,
        }
    }

    /// Where this endpoint is for the grant's client; `None` if the provider has none.
    #[must_use]
    pub fn url_of(&self, endpoint: Endpoint) -> Option<&Url> {
        url_of(&self.grant, &self.metadata, endpoint)
    }

    /// What will be needed to remember this flight's outcome.
    #[must_use]
    pub fn memory(&self, key: &FingerprintKey) -> MemoryPlan {
        MemoryPlan {
            grant: self.grant.clone(),
            presented: self.presented,
            flight: self.flight,
            endpoint: self.token_endpoint().clone(),
            fingerprints: key.clone(),
        }
    }

    /// Goes on as the flight's leader: the one that asks the provider.
    pub fn lead(self, subject: Option<Subject>, moment: Moment) -> Step {
        let credential = match &self.sent {
            Some(token) => Credential::RefreshToken(token.clone()),
            None => self.grant.credential.clone(),
        };
        let endpoint = self.endpoint();
        let request = request(&self.grant, &self.metadata, &credential, endpoint, moment);
        match request {
            Ok(request) => Step::Call(AwaitReply {
                moment,
                asked_again: false,
                request,
                sent: credential,
                subject,
                metadata: self.metadata,
                grant: self.grant,
            }),
            Err(denial) => self.grant.done(denial),
        }
    }

    /// Goes on as the leader of a flight whose tokens have come before, and could not be verified
    /// for want of keys: the token endpoint is not asked again.
    pub fn verify(self, received: Arc<Received>) -> Step {
        AwaitKeys::begin(self.grant, self.metadata, received)
    }

    /// Goes on with a successor: a newer refresh token than the one presented.
    pub fn follow(mut self, successor: Successor) -> Step {
        if self.hops >= SUCCESSORS_MAX {
            return self.grant.deny(Reason::RefreshTokenRefused);
        }
        self.hops += 1;
        self.flight = successor.key;
        self.sent = Some(successor.token);
        Step::Flight(self)
    }

    /// Ends with what a flight, or the memory of one, has to give; it is verified again if it was
    /// verified in another way than this grant's.
    pub fn landed(self, outcome: Result<Arc<Granted>, Denial>) -> Step {
        let granted = match outcome {
            Ok(granted) => granted,
            Err(denial) => return self.grant.done(denial),
        };
        recalled(self.grant, self.metadata, granted)
    }

    /// Ends: there are too many flights.
    pub fn full(self) -> Step {
        self.grant.deny(Reason::TooManyFlights)
    }
}

/// Ends with what came of a credential before, or for others; it is verified again if it was
/// verified in another way than this grant's.
pub(super) fn recalled(
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    granted: Arc<Granted>,
) -> Step {
    let policy = &grant.policy;
    let keys = policy.provider.jwks_uri_of(&metadata);
    // An answer about a token was met by those alone who verify it in the same way: that is part of
    // their key. What the token is without the answer is nothing to go by.
    let told = matches!(
        grant.kind(),
        CredentialKind::Introspection | CredentialKind::UserInfo
    );
    if told
        || granted
            .verified
            .is(&policy.verification, grant.kind(), keys)
    {
        return AwaitKeys::of_key(grant, metadata, granted);
    }
    AwaitKeys::begin(grant, metadata, Arc::new(Received::from(&*granted)))
}

/// The endpoint by which a grant is told from others. One that asks about a token does so where it
/// is told to: another endpoint may give another answer.
pub(super) fn asked_of<'g>(grant: &'g Grant, metadata: &'g ProviderMetadata) -> &'g Url {
    let question = match grant.kind() {
        CredentialKind::Introspection => Some(Endpoint::Introspection),
        CredentialKind::UserInfo => Some(Endpoint::UserInfo),
        _ => None,
    };
    question
        .and_then(|endpoint| url_of(grant, metadata, endpoint))
        .unwrap_or_else(|| grant.policy.provider.token_endpoint_of(metadata))
}

/// Where this endpoint is for the grant's client.
fn url_of<'g>(
    grant: &'g Grant,
    metadata: &'g ProviderMetadata,
    endpoint: Endpoint,
) -> Option<&'g Url> {
    let client = grant.client();
    let by_certificate =
        client.is_some_and(|client| client.authentication_at(endpoint).is_by_certificate());
    let provider = &grant.policy.provider;
    provider.endpoint(endpoint, metadata, by_certificate)
}

/// What is to be sent for a credential.
///
/// # Errors
/// If the provider has no such endpoint, or something cannot be signed.
pub(super) fn request(
    grant: &Grant,
    metadata: &ProviderMetadata,
    credential: &Credential,
    endpoint: Endpoint,
    moment: Moment,
) -> Result<ProviderRequest, Denial> {
    let url = url_of(grant, metadata, endpoint).ok_or(Denial::new(endpoint.missing()))?;
    let policy = &*grant.policy;
    let issuer = &metadata.issuer;
    match (credential, grant.client()) {
        (Credential::UserInfo(token), _) => request::user_info(policy, token, url, moment),
        (_, None) => Err(Reason::ClientRefused.into()),
        (Credential::Introspection(token), Some(client)) => {
            request::introspection(policy, client, token, url, issuer, moment)
        }
        (_, Some(client)) => request::token(policy, client, credential, url, issuer, moment),
    }
}
