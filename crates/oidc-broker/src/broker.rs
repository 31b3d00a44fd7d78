//! The loop: one grant from a credential to its result, through flight and memory.

use std::sync::Arc;
use std::time::Duration;

use jwks_cache::{CacheError, Clock, DocumentCache, FetchError, JwksCache, Policy, Standing};
use oidc_core::client::choose;
use oidc_core::flight::Entered;
use oidc_core::grant::{
    AwaitFlight, AwaitMetadata, AwaitVerification, Ended, Grant, GrantPolicy, Granted, Moment,
    Step, TokenTypeHint,
};
use oidc_core::provider::{DiscoveryError, ProviderMetadata};
use oidc_core::{Credential, Denial, FingerprintKey, Reason, Secret, UnixTime};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::clock::{random, system_clock};
use crate::fetcher::Fetcher;
use crate::leader::Leader;
use crate::memory::{Memory, MemorySize, Outcome};
use crate::transport::{Observer, Transport};

/// Runs grants. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Broker {
    pub(crate) shared: Arc<Shared>,
    timeout: Duration,
}

pub(crate) struct Shared {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) clock: Clock,
    pub(crate) memory: Arc<Memory>,
    pub(crate) jwks: JwksCache,
    metadata: DocumentCache<ProviderMetadata, DiscoveryError>,
    fingerprints: FingerprintKey,
}

/// How much longer than its waiters a leader waits for the token endpoint. An answer that comes
/// too late for them holds the only refresh token there is after a rotation; it is remembered for
/// whoever asks again, and nobody sends the old one in the meantime.
const LATE_ANSWER: Duration = Duration::from_secs(20);

/// Settings of a [`Broker`].
pub struct BrokerBuilder {
    transport: Arc<dyn Transport>,
    observer: Arc<dyn Observer>,
    clock: Clock,
    memory: Arc<Memory>,
    fingerprints: Option<FingerprintKey>,
    documents: Policy,
    discovery_headers: Vec<(http::HeaderName, http::HeaderValue)>,
    timeout: Duration,
}

/// A broker that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness(#[from] getrandom::Error),
}

impl BrokerBuilder {
    /// Sees the calls to the provider.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Tells the time. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How much is remembered.
    #[must_use]
    pub fn memory(mut self, size: MemorySize) -> Self {
        self.memory = Arc::new(Memory::new(size));
        self
    }

    /// Shares flights and memory with another broker: two that may be given the same refresh
    /// token must, or each would send it.
    #[must_use]
    pub fn share_memory_with(mut self, other: &Broker) -> Self {
        self.memory = Arc::clone(&other.shared.memory);
        self.fingerprints = Some(other.shared.fingerprints.clone());
        self
    }

    /// The rules by which metadata and keys are kept.
    #[must_use]
    pub fn documents(mut self, policy: Policy) -> Self {
        self.documents = policy;
        self
    }

    /// Headers of discovery requests.
    #[must_use]
    pub fn discovery_headers(
        mut self,
        headers: Vec<(http::HeaderName, http::HeaderValue)>,
    ) -> Self {
        self.discovery_headers = headers;
        self
    }

    /// Bounds all calls to the provider that one grant waits for, together. Default 10 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the broker.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn build(self) -> Result<Broker, BuildError> {
        let fingerprints = match self.fingerprints {
            Some(key) => key,
            None => FingerprintKey::new(&random()?),
        };
        let fetcher = |what, headers| {
            Arc::new(Fetcher {
                transport: Arc::clone(&self.transport),
                headers,
                deadline: self.timeout,
                what,
                observer: Arc::clone(&self.observer),
                clock: Arc::clone(&self.clock),
            })
        };
        let parse = |url: &Url, body: &[u8]| {
            let issuer = url.as_str().strip_suffix(oidc_core::provider::WELL_KNOWN);
            ProviderMetadata::parse(body, issuer.unwrap_or_default())
        };
        let discovery = fetcher("discovery", self.discovery_headers.clone());
        let shared = Shared {
            metadata: DocumentCache::new(
                self.documents.clone(),
                discovery,
                Arc::clone(&self.clock),
                parse,
            ),
            jwks: JwksCache::new(
                self.documents,
                fetcher("jwks", Vec::new()),
                Arc::clone(&self.clock),
            ),
            transport: self.transport,
            observer: self.observer,
            clock: self.clock,
            memory: self.memory,
            fingerprints,
        };
        Ok(Broker {
            shared: Arc::new(shared),
            timeout: self.timeout,
        })
    }
}

impl Broker {
    /// A broker that sends by this transport.
    pub fn builder(transport: Arc<dyn Transport>) -> BrokerBuilder {
        BrokerBuilder {
            transport,
            observer: Arc::new(()),
            clock: system_clock(),
            memory: Arc::new(Memory::new(MemorySize::default())),
            fingerprints: None,
            documents: Policy::default(),
            discovery_headers: Vec::new(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Trades a credential for verified tokens.
    ///
    /// All who present the same credential at the same time share one token request. Cancel safe:
    /// a token request under way is brought to its end in a task of its own.
    ///
    /// # Errors
    /// With the reason for which the credential, or the provider's answer to it, is refused.
    pub async fn grant(
        &self,
        policy: &Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
    ) -> Result<Arc<Granted>, Denial> {
        self.grant_by(policy, credential, client_arg, self.deadline())
            .await
    }

    /// The same within a deadline, which [`complete_by`](Self::complete_by) may share.
    ///
    /// # Errors
    /// As [`grant`](Self::grant).
    pub async fn grant_by(
        &self,
        policy: &Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
        deadline: Instant,
    ) -> Result<Arc<Granted>, Denial> {
        self.shared
            .grant(policy, credential, client_arg, deadline)
            .await
    }

    /// The same, and for how long the answer may be given again without asking: `None` if it was
    /// not from memory, or if a newer one may come at any time.
    ///
    /// # Errors
    /// As [`grant`](Self::grant).
    pub async fn answer_by(
        &self,
        policy: &Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
        deadline: Instant,
    ) -> Result<(Arc<Granted>, Option<Standing>), Denial> {
        let mut standing = None;
        let granted = self
            .shared
            .answer(policy, credential, client_arg, deadline, &mut standing)
            .await?;
        Ok((granted, standing))
    }

    /// Until when all calls to the provider may take together for a request that has come now.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Finds out what else the policy asks for of what a credential gave: introspection of a
    /// verified token, an exchange for another, the user's information. Each is shared and
    /// remembered like a grant.
    ///
    /// # Errors
    /// With the reason for which the credential, or what belongs to it, is refused.
    pub async fn complete(
        &self,
        policy: &Arc<GrantPolicy>,
        granted: Arc<Granted>,
    ) -> Result<Arc<Granted>, Denial> {
        self.complete_by(policy, granted, self.deadline()).await
    }

    /// The same within a deadline.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub async fn complete_by(
        &self,
        policy: &Arc<GrantPolicy>,
        mut granted: Arc<Granted>,
        deadline: Instant,
    ) -> Result<Arc<Granted>, Denial> {
        let Some(mut credential) = policy.further(&granted) else {
            return Ok(granted);
        };
        loop {
            let kind = credential.kind();
            let client = granted.client_id().to_owned();
            let found = self
                .shared
                .grant(policy, credential, Some(&client), deadline)
                .await;
            granted = Arc::new(match found {
                Ok(further) => granted.with(&further)?,
                Err(denial) => granted.without(kind, denial)?,
            });
            credential = match policy.further(&granted) {
                Some(next) => next,
                None => return Ok(granted),
            };
        }
    }

    /// Tells the provider that a token is not needed any more (RFC 7009). `client_id` names the
    /// client that it was issued to; the policy's first is taken for any other name.
    ///
    /// # Errors
    /// If the provider did not revoke it.
    pub async fn revoke(
        &self,
        policy: &Arc<GrantPolicy>,
        client_id: &str,
        token: &Secret,
        hint: TokenTypeHint,
    ) -> Result<(), Denial> {
        let deadline = Instant::now() + self.timeout;
        let chosen = choose(&policy.clients, Some(client_id), None);
        let client = chosen.ok_or(Denial::new(Reason::ClientRefused))?.client;
        let url = policy.provider.discovery_url();
        let metadata = match timeout_at(deadline, self.shared.metadata.get(url)).await {
            Ok(Ok(metadata)) => metadata,
            Ok(Err(CacheError::Parse(error))) => return Err(error.reason().into()),
            Ok(Err(CacheError::Fetch(error))) => return Err(away(error)),
            Err(_) => return Err(Reason::ProviderTimeout.into()),
        };
        let moment = Moment {
            now: (self.shared.clock)(),
            random: random().map_err(|_| Denial::new(Reason::AssertionFailed))?,
        };
        let request = policy.revocation(&metadata, client, token, hint, moment)?;
        let reply = self.shared.ask(&request, deadline).await;
        policy.revoked(client, token, reply)
    }
}

enum Flight {
    On(Step),
    Shared(AwaitFlight, watch::Receiver<Outcome>),
}

impl Shared {
    /// One grant, from its beginning to its end.
    async fn grant(
        self: &Arc<Self>,
        policy: &Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
        deadline: Instant,
    ) -> Result<Arc<Granted>, Denial> {
        self.answer(policy, credential, client_arg, deadline, &mut None)
            .await
    }

    /// One grant, and for how long what is served from memory stands.
    async fn answer(
        self: &Arc<Self>,
        policy: &Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
        deadline: Instant,
        standing: &mut Option<Standing>,
    ) -> Result<Arc<Granted>, Denial> {
        let mut step = Grant::start(Arc::clone(policy), credential, client_arg);
        loop {
            step = match step {
                Step::Metadata(state) => self.find_metadata(state, deadline).await,
                Step::Verify(state) => {
                    return self.verify(state, deadline, standing).await.result;
                }
                Step::Flight(state) => match self.enter(state, deadline, standing)? {
                    Flight::On(step) => step,
                    Flight::Shared(state, mut handle) => {
                        let landed = timeout_at(deadline, handle.wait_for(Option::is_some)).await;
                        let outcome = match landed {
                            Ok(Ok(outcome)) => outcome.clone(),
                            // The leader is gone without a word, which only a panic can do.
                            Ok(Err(_)) => Some(Err(Reason::ProviderCut.into())),
                            Err(_) => Some(Err(Reason::ProviderTimeout.into())),
                        };
                        state.landed(outcome.unwrap_or_else(|| Err(Reason::ProviderCut.into())))
                    }
                },
                step => return self.finish_grant(step, deadline).await.result,
            };
        }
    }

    pub(crate) async fn find_metadata(&self, state: AwaitMetadata, deadline: Instant) -> Step {
        let found = timeout_at(deadline, self.metadata.get(state.discovery_url())).await;
        match found {
            Ok(Ok(metadata)) => state.found(metadata, &self.fingerprints),
            Ok(Err(CacheError::Parse(error))) => state.malformed(error),
            Ok(Err(CacheError::Fetch(error))) => {
                let away = away(error);
                state.unavailable(away.reason(), away.retry_after())
            }
            Err(_) => state.unavailable(Reason::ProviderTimeout, None),
        }
    }

    /// Verifies a token with the keys at hand, in the caller's own task, unless it has been before.
    async fn verify(
        &self,
        state: AwaitVerification,
        deadline: Instant,
        standing: &mut Option<Standing>,
    ) -> Ended {
        let now = (self.clock)();
        let served = state.key().and_then(|key| self.memory.served(&key, now));
        if let Some((granted, stands)) = served {
            let stands = self.standing_of(state.grant(), state.metadata(), stands);
            let ended = self.finish_grant(state.remembered(granted), deadline).await;
            let verified = ended.result.as_ref().ok();
            let by_key = verified.and_then(|granted| self.standing_of_key(granted));
            *standing = stands
                .zip(by_key)
                .map(|(standing, by_key)| standing.resting_on(by_key));
            return ended;
        }
        let plan = state.key().zip(state.memory(&self.fingerprints));
        let ended = self.finish_grant(state.verify(now), deadline).await;
        if let Some((key, plan)) = plan {
            let now = (self.clock)();
            self.memory.keep(key, plan.remember(&ended, now), now);
        }
        ended
    }

    /// The same, for as long as the provider is where it was found.
    fn standing_of(
        &self,
        grant: &Grant,
        metadata: &Arc<ProviderMetadata>,
        stands: Option<Standing>,
    ) -> Option<Standing> {
        let url = grant.policy().provider.discovery_url();
        let metadata = self.metadata.standing(url, metadata)?;
        Some(stands?.resting_on(metadata))
    }

    /// For how long the signature of an access token counts: while the set that its key was found
    /// in is the one at hand.
    fn standing_of_key(&self, granted: &Granted) -> Option<Standing> {
        let Some((key, uri)) = granted.access_token_key().zip(granted.key_set()) else {
            return Some(Standing::until(UnixTime::MAX));
        };
        let keys = self.jwks.cached(uri)?;
        let standing = self.jwks.standing(uri, &keys)?;
        // Another set may have come since the token was verified.
        keys.holds(key.id()).then_some(standing)
    }

    fn enter(
        self: &Arc<Self>,
        state: AwaitFlight,
        deadline: Instant,
        standing: &mut Option<Standing>,
    ) -> Result<Flight, Denial> {
        let now = (self.clock)();
        let mut sender = None;
        let (entered, stands) = self.memory.enter(state.key(), now, || {
            let (new, receiver) = watch::channel(None);
            sender = Some(new);
            receiver
        });
        Ok(match (entered, sender) {
            (Entered::Lead { subject, received }, Some(sender)) => {
                let leader = Leader {
                    shared: Arc::clone(self),
                    key: state.key(),
                    plan: state.memory(&self.fingerprints),
                    sender,
                    landed: false,
                };
                let handle = leader.sender.subscribe();
                let random = random().map_err(|_| Denial::new(Reason::AssertionFailed))?;
                // The leader goes on in a task of its own; this caller waits like any other.
                let waiting = state.clone();
                let step = match received {
                    Some(received) => state.verify(received),
                    None => state.lead(subject, Moment { now, random }),
                };
                tokio::spawn(leader.run(step, deadline + LATE_ANSWER));
                Flight::Shared(waiting, handle)
            }
            (Entered::Lead { .. }, None) => Flight::On(state.full()),
            (Entered::Join(handle), _) => Flight::Shared(state, handle),
            (Entered::Serve { granted, .. }, _) => {
                let mut stands = self.standing_of(state.grant(), state.metadata(), stands);
                if state.presented_key() != state.key() {
                    self.memory.followed(state.presented_key(), state.key());
                    stands = None;
                }
                let step = state.landed(Ok(granted));
                // What is verified again, in another way, is so each time.
                *standing = stands.filter(|_| matches!(step, Step::Done(_)));
                Flight::On(step)
            }
            (Entered::Refuse(denial), _) => Flight::On(state.landed(Err(denial))),
            (Entered::Refresh(successor), _) => Flight::On(state.follow(successor)),
            (Entered::Full, _) => Flight::On(state.full()),
        })
    }
}

/// Why there is no discovery document.
fn away(error: FetchError) -> Denial {
    let (reason, retry_after) = match error {
        FetchError::Unreachable => (Reason::ProviderUnreachable, None),
        FetchError::Cut => (Reason::ProviderCut, None),
        FetchError::Timeout => (Reason::ProviderTimeout, None),
        FetchError::Redirected => (Reason::Redirected, None),
        FetchError::Status { code, retry_after } => match code {
            429 => (Reason::ProviderBusy, retry_after),
            500.. => (Reason::ProviderError, retry_after),
            _ => (
                Reason::DiscoveryMalformed("discovery.unexpected_status"),
                None,
            ),
        },
        FetchError::TooLarge => (Reason::DiscoveryMalformed("discovery.too_large"), None),
        FetchError::NotHttp => (Reason::DiscoveryMalformed("discovery.not_http"), None),
        _ => (Reason::ProviderCut, None),
    };
    Denial::new(reason).with_retry_after(retry_after)
}
