//! The grant state machine, without I/O of its own: RFC 6749 §4.3, §4.4 and §6, the contract's
//! sections 3 and 4.
//!
//! ```text
//! Grant::start ─► Metadata ─► Flight ─┬─ lead ───► Token ─► Keys ─► Done
//!                               ▲  │  ├─ join ──────────────────► Done
//!                     successor │  │  └─ replay ── (Keys) ──────► Done
//!                               └──┘
//! ```
//!
//! Each [`Step`] says what is needed and is the only thing that takes the answer, so that an
//! answer which does not fit a state cannot be given to it, and no state can be resumed twice. A
//! token request is asked for once on each way through: nothing leads back from `Token`.

mod granted;
mod policy;
mod request;
mod response;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use granted::Granted;
pub use policy::{GrantPolicy, SUCCESSOR_WINDOW, Verification, default_assertion_algorithm};
pub use request::{Moment, TokenRequest};
pub use response::{TokenReply, Unavailable};

use crate::client::{Chosen, ChosenBy, Client, choose};
use crate::jose::KeySet;
use crate::provider::{DiscoveryError, ProviderMetadata};
use crate::rotation::{Remembered, Subject, Successor, about_to_expire};
use crate::verify::{
    AccessTokenPolicy, IdTokenPolicy, RefreshTokenHint, TokenKind, VerifyError, peek,
    refresh_token_hint, verify_access_token, verify_id_token,
};
use crate::{
    Credential, CredentialKind, Denial, Fingerprint, FingerprintKey, Reason, Secret, UnixTime,
};

/// A grant at its beginning.
#[derive(Clone, Debug)]
pub struct Grant {
    policy: Arc<GrantPolicy>,
    credential: Credential,
    /// Place of the chosen client in `policy.clients`.
    client: usize,
    chosen_by: ChosenBy,
    hint: Option<RefreshTokenHint>,
}

/// What the machine needs next, or its end.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// The provider's metadata.
    Metadata(AwaitMetadata),
    /// To know whether this credential is under way or has been traded already.
    Flight(AwaitFlight),
    /// The answer of the token endpoint.
    Token(AwaitToken),
    /// The issuer's keys.
    Keys(AwaitKeys),
    /// The end.
    Done(Result<Arc<Granted>, Denial>),
}

/// The longest way along successors; a chain this long within one window is no honest one.
const SUCCESSORS_MAX: u8 = 32;

impl Grant {
    /// Begins: chooses the client, and asks for the provider's metadata.
    ///
    /// `client_arg` is the request's own word for the client to use, if it has one.
    pub fn start(
        policy: Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
    ) -> Step {
        let hint = match &credential {
            Credential::RefreshToken(token) => refresh_token_hint(token.expose()),
            _ => None,
        };
        let azp = hint.as_ref().and_then(|hint| hint.azp.as_deref());
        // The caller's own id is used in a client credentials grant: there `client_arg` is void.
        let client_arg =
            client_arg.filter(|_| credential.kind() != CredentialKind::ClientCredentials);
        let Some(Chosen { index, by, .. }) = choose(&policy.clients, client_arg, azp) else {
            return deny(Reason::ClientRefused, credential.kind());
        };
        Step::Metadata(AwaitMetadata {
            grant: Self {
                policy,
                credential,
                client: index,
                chosen_by: by,
                hint,
            },
        })
    }

    /// The kind of credential that is traded.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        self.credential.kind()
    }

    /// The client that is used.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.policy.clients[self.client]
    }

    /// What decided for that client.
    #[must_use]
    pub const fn chosen_by(&self) -> ChosenBy {
        self.chosen_by
    }

    /// The policy that the grant is run by.
    #[must_use]
    pub fn policy(&self) -> &GrantPolicy {
        &self.policy
    }

    /// What the refresh token says of itself, if it is a JWT: a hint, never verified.
    #[must_use]
    pub const fn hint(&self) -> Option<&RefreshTokenHint> {
        self.hint.as_ref()
    }

    /// The fingerprint of a credential in the context of this grant: two grants meet in one
    /// flight exactly if they would send the same to the same place.
    fn key(
        &self,
        credential: &Credential,
        token_endpoint: &Url,
        key: &FingerprintKey,
    ) -> Fingerprint {
        let scopes = self.policy.scopes.join(" ");
        let audience = self.policy.audience.join(" ");
        let salt = self.policy.cache_salt.as_ref().map_or("", Secret::expose);
        let mut parts: Vec<&[u8]> = vec![
            salt.as_bytes(),
            self.policy.provider.issuer().as_bytes(),
            token_endpoint.as_str().as_bytes(),
            self.client().id().as_bytes(),
            scopes.as_bytes(),
            audience.as_bytes(),
            credential.kind().name().as_bytes(),
        ];
        match credential {
            Credential::RefreshToken(token) | Credential::Bearer(token) => {
                parts.push(token.expose().as_bytes());
            }
            Credential::Password {
                username: name,
                password: secret,
            }
            | Credential::ClientCredentials {
                client_id: name,
                client_secret: secret,
            } => {
                parts.push(name.as_bytes());
                parts.push(secret.expose().as_bytes());
            }
        }
        for (name, value) in &self.policy.token_post_args {
            parts.push(name.as_bytes());
            parts.push(value.expose().as_bytes());
        }
        key.fingerprint(&parts)
    }

    fn deny(&self, reason: Reason) -> Step {
        deny(reason, self.kind())
    }

    fn done(&self, denial: Denial) -> Step {
        Step::Done(Err(denial.for_kind(self.kind())))
    }
}

fn deny(reason: Reason, kind: CredentialKind) -> Step {
    Step::Done(Err(Denial::new(reason).for_kind(kind)))
}

/// Waits for the provider's metadata.
#[derive(Debug)]
pub struct AwaitMetadata {
    grant: Grant,
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
        let endpoint = self.grant.policy.provider.token_endpoint_of(&metadata);
        let flight = self.grant.key(&self.grant.credential, endpoint, key);
        Step::Flight(AwaitFlight {
            presented: flight,
            flight,
            sent: None,
            hops: 0,
            metadata,
            grant: self.grant,
        })
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
    hops: u8,
}

impl AwaitFlight {
    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
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

    /// Goes on as the flight's leader: the one that asks the token endpoint.
    pub fn lead(self, subject: Option<Subject>, moment: Moment) -> Step {
        let credential = match &self.sent {
            Some(token) => Credential::RefreshToken(token.clone()),
            None => self.grant.credential.clone(),
        };
        let request = request::build(
            &self.grant.policy,
            self.grant.client(),
            &credential,
            self.token_endpoint(),
            &self.metadata.issuer,
            moment,
        );
        match request {
            Ok(request) => Step::Token(AwaitToken {
                request,
                sent: credential,
                subject,
                metadata: self.metadata,
                grant: self.grant,
            }),
            Err(denial) => self.grant.done(denial),
        }
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
        let how = self
            .grant
            .policy
            .verification
            .discriminant(self.grant.kind());
        if granted.verified == how {
            return Step::Done(Ok(granted));
        }
        let received = Received {
            access_token: granted.access_token.clone(),
            id_token: granted.id_token.as_ref().map(|(token, _)| token.clone()),
            refresh_token: granted.refresh_token.clone(),
            scope: granted.scope.clone(),
            received_at: granted.received_at,
            expires_at: Some(granted.expires_at),
            uncacheable: granted.uncacheable,
            subject: granted.expected_subject.clone(),
        };
        AwaitKeys::begin(self.grant, self.metadata, received)
    }

    /// Ends: there are too many flights.
    pub fn full(self) -> Step {
        self.grant.deny(Reason::TooManyFlights)
    }
}

/// Waits for the answer of the token endpoint.
#[derive(Debug)]
pub struct AwaitToken {
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    request: TokenRequest,
    sent: Credential,
    subject: Option<Subject>,
}

impl AwaitToken {
    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What is to be sent, once.
    pub const fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Goes on with the answer, or ends for lack of one.
    pub fn answered(self, reply: Result<TokenReply, Unavailable>, now: UnixTime) -> Step {
        let kind = self.grant.kind();
        let reply = match reply {
            Ok(reply) => reply,
            Err(unavailable) => return self.grant.deny(unavailable.reason()),
        };
        let tokens = match response::read(&reply, kind) {
            Ok(tokens) => tokens,
            Err(denial) => return self.refused(denial),
        };
        let refresh_token = tokens.refresh_token.or(match self.sent {
            // RFC 6749 §6: without a new one the old one stays current.
            Credential::RefreshToken(token) => Some(token),
            _ => None,
        });
        let received = Received {
            access_token: tokens.access_token,
            id_token: tokens.id_token,
            refresh_token,
            scope: tokens.scope,
            received_at: now,
            expires_at: tokens
                .expires_in
                .filter(|life| !life.is_zero())
                .map(|life| now.plus(life)),
            uncacheable: tokens.expires_in.is_some_and(|life| life.is_zero()),
            subject: self.subject,
        };
        AwaitKeys::begin(self.grant, self.metadata, received)
    }

    /// A refused refresh token whose own word names another client was used with the wrong one.
    fn refused(self, denial: Denial) -> Step {
        let azp = self
            .grant
            .hint
            .as_ref()
            .and_then(|hint| hint.azp.as_deref());
        let mismatch = denial.reason() == Reason::RefreshTokenRefused
            && azp.is_some_and(|azp| azp != self.grant.client().id());
        if !mismatch {
            return self.grant.done(denial);
        }
        let words = denial.hint().unwrap_or_default();
        self.grant
            .done(Denial::new(Reason::RefreshTokenClientMismatch).with_hint(words))
    }
}

/// Tokens that came and are not verified yet.
#[derive(Debug)]
struct Received {
    access_token: Secret,
    id_token: Option<Secret>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
    received_at: UnixTime,
    expires_at: Option<UnixTime>,
    uncacheable: bool,
    subject: Option<Subject>,
}

/// Waits for the issuer's keys, to verify the tokens that came.
#[derive(Debug)]
pub struct AwaitKeys {
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    received: Received,
    /// The `kid`s that the tokens name.
    wanted: Vec<String>,
    /// Whether a token names none.
    unnamed: bool,
}

impl AwaitKeys {
    fn begin(grant: Grant, metadata: Arc<ProviderMetadata>, received: Received) -> Step {
        let mut wanted = Vec::new();
        let mut unnamed = false;
        let tokens = [Some(&received.access_token), received.id_token.as_ref()];
        for token in tokens.into_iter().flatten() {
            match peek(token.expose()) {
                Ok(TokenKind::Opaque) => {}
                Ok(TokenKind::Jws { kid: Some(kid), .. }) if !wanted.contains(&kid) => {
                    wanted.push(kid)
                }
                Ok(TokenKind::Jws { kid: Some(_), .. }) => {}
                Ok(TokenKind::Jws { kid: None, .. }) => unnamed = true,
                Err(error) => {
                    return grant.deny(Reason::TokenInvalid(VerifyError::from(error).code()));
                }
            }
        }
        let checks = grant.policy.verification.checks_signature(grant.kind());
        let state = Self {
            grant,
            metadata,
            received,
            wanted,
            unnamed,
        };
        if checks && (state.unnamed || !state.wanted.is_empty()) {
            return Step::Keys(state);
        }
        state.verify(&KeySet::default())
    }

    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Where the keys are.
    #[must_use]
    pub fn jwks_uri(&self) -> &Url {
        self.grant.policy.provider.jwks_uri_of(&self.metadata)
    }

    /// The `kid`s that the set should hold.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// Goes on with the keys.
    pub fn found(self, keys: &KeySet) -> Step {
        self.verify(keys)
    }

    /// Ends: there are no keys.
    pub fn unavailable(self) -> Step {
        self.grant.deny(Reason::KeysUnavailable)
    }

    /// Verifies as of the time when the tokens were received: a result that is verified again
    /// later, for another policy, is held to the same time, and to its own end by the memory.
    fn verify(self, keys: &KeySet) -> Step {
        match self.verified(keys) {
            Ok(granted) => Step::Done(Ok(Arc::new(granted))),
            Err(denial) => Step::Done(Err(denial)),
        }
    }

    fn verified(self, keys: &KeySet) -> Result<Granted, Denial> {
        let Self {
            grant,
            metadata,
            received,
            ..
        } = self;
        let kind = grant.kind();
        let verification = &grant.policy.verification;
        let refuse =
            |error: VerifyError| Denial::new(Reason::TokenInvalid(error.code())).for_kind(kind);
        let now = received.received_at;
        let issuers = if verification.issuers_allowed.is_empty() {
            vec![metadata.issuer.clone()]
        } else {
            verification.issuers_allowed.clone()
        };
        let signature = verification.checks_signature(kind);
        let access_token_claims = match peek(received.access_token.expose()) {
            Ok(TokenKind::Opaque) => None,
            _ => {
                let policy = AccessTokenPolicy {
                    issuers: issuers.clone(),
                    algorithms: verification.algorithms,
                    leeway: verification.leeway,
                    verify_signature: signature,
                    verify_claims: verification.claims,
                };
                let token = received.access_token.expose();
                Some(Arc::new(
                    verify_access_token(token, keys, &policy, now).map_err(refuse)?,
                ))
            }
        };
        let client_id = match &grant.credential {
            Credential::ClientCredentials { client_id, .. } => client_id.clone(),
            _ => grant.client().id().to_owned(),
        };
        let id_token = match received.id_token {
            None => None,
            Some(token) => {
                let policy = IdTokenPolicy {
                    issuers,
                    client_id: client_id.clone(),
                    algorithms: verification.algorithms,
                    leeway: verification.leeway,
                    nonce: None,
                    access_token: Some(received.access_token.expose()),
                    verify_signature: signature,
                    verify_claims: verification.claims,
                };
                let claims = verify_id_token(token.expose(), keys, &policy, now).map_err(refuse)?;
                Some((token, Arc::new(claims)))
            }
        };
        let by_claim = access_token_claims
            .as_deref()
            .and_then(|claims| claims.get().expires_at());
        let expires_at = match (received.expires_at, by_claim) {
            (Some(response), Some(claim)) => response.min(claim),
            (Some(end), None) | (None, Some(end)) => end,
            (None, None) => now.plus(grant.policy.cache_ttl),
        };
        let granted = Granted {
            kind,
            client_id,
            access_token: received.access_token,
            access_token_claims,
            id_token,
            refresh_token: received.refresh_token,
            scope: received.scope,
            received_at: now,
            expires_at,
            uncacheable: received.uncacheable,
            issuer: metadata.issuer.clone(),
            verified: verification.discriminant(kind),
            expected_subject: received.subject,
        };
        // OIDC Core §12.2: `iss` and `sub` must be the same as before.
        match (&granted.expected_subject, &granted.id_token) {
            (Some(before), Some(_)) if granted.subject().as_ref() != Some(before) => {
                Err(Denial::new(Reason::SubjectChanged).for_kind(kind))
            }
            _ => Ok(granted),
        }
    }
}

/// What is to be remembered of an outcome, and under which fingerprints.
#[derive(Debug, Default)]
#[must_use]
pub struct Remember {
    /// Under the flight's own key.
    pub flight: Option<Remembered>,
    /// Of the refresh token that came with it, under that token's key: whom it was issued for.
    pub issued: Option<(Fingerprint, Remembered)>,
}

/// How a flight's outcome is to be remembered: made before the flight is led, applied after.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    grant: Grant,
    flight: Fingerprint,
    endpoint: Url,
    fingerprints: FingerprintKey,
}

impl AwaitFlight {
    /// What will be needed to remember this flight's outcome.
    #[must_use]
    pub fn memory(&self, key: &FingerprintKey) -> MemoryPlan {
        MemoryPlan {
            grant: self.grant.clone(),
            flight: self.flight,
            endpoint: self.token_endpoint().clone(),
            fingerprints: key.clone(),
        }
    }
}

impl MemoryPlan {
    /// What is to be remembered of this outcome, as of `now`: the contract's rules on rotation.
    pub fn remember(&self, outcome: &Result<Arc<Granted>, Denial>, now: UnixTime) -> Remember {
        let granted = match outcome {
            Ok(granted) => granted,
            Err(denial) => {
                return Remember {
                    flight: Remembered::refused(denial, now),
                    issued: None,
                };
            }
        };
        let policy = &self.grant.policy;
        let refresh = granted.kind() == CredentialKind::RefreshToken;
        let caches = policy.cache_tokens && !granted.uncacheable;
        let mut serve_until = about_to_expire(
            granted.received_at(),
            granted.expires_at(),
            policy.verification.leeway,
        );
        if let Some(max) = policy.cache_ttl_max {
            serve_until = serve_until.min(granted.received_at().plus(max));
        }
        let window = if refresh {
            policy.successor_window
        } else {
            Duration::ZERO
        };
        if !caches {
            // Even where nothing is cached, a late repetition must not replay a rotated token.
            serve_until = if refresh {
                serve_until.min(now.plus(window))
            } else {
                now
            };
        }
        let follow = if refresh {
            window.max(policy.follow_rotation.unwrap_or_default())
        } else {
            Duration::ZERO
        };
        let successor = granted.refresh_token().map(|token| Successor {
            token: token.clone(),
            key: self.grant.key(
                &Credential::RefreshToken(token.clone()),
                &self.endpoint,
                &self.fingerprints,
            ),
        });
        let follow_until = now.plus(follow);
        let issued = successor
            .as_ref()
            .filter(|s| s.key != self.flight)
            .map(|successor| {
                let until = granted.expires_at().max(follow_until);
                (
                    successor.key,
                    Remembered::Issued {
                        subject: granted.subject(),
                        until,
                    },
                )
            });
        let flight = (serve_until > now || follow_until > now).then(|| Remembered::Granted {
            granted: Arc::clone(granted),
            serve_until,
            follow_until,
            successor,
        });
        Remember { flight, issued }
    }
}
