//! The grant state machine, without I/O of its own: RFC 6749 §4.3, §4.4 and §6, RFC 6750, RFC 7662,
//! RFC 8693; the contract's sections 3 and 4.
//!
//! ```text
//! Grant::start ─► Metadata ─► Flight ─┬─ lead ────► Call ─► Keys ─► Done
//!                               ▲  │  ├─ alone, verify ───► Keys ─► Done
//!                     successor │  │  ├─ join ──────────────────► Done
//!                               │  │  └─ replay ── (Keys) ──────► Done
//!                               └──┘
//! ```
//!
//! Each [`Step`] says what is needed and is the only thing that takes the answer, so that an
//! answer which does not fit a state cannot be given to it, and no state can be resumed twice. A
//! request is asked for once on each way through: nothing leads back from `Call`.

mod access_token;
mod call;
mod dpop;
mod exchange;
mod flight;
mod further;
mod granted;
mod inquiry;
mod keys;
mod memory;
mod metadata;
mod policy;
mod received;
pub(crate) mod reply;
mod request;
pub(crate) mod response;
mod revocation;
mod verification;
mod verified;

use std::sync::{Arc, OnceLock};

use url::Url;

pub use access_token::{AccessTokens, KeySource};
pub use call::AwaitReply;
pub use dpop::DpopClient;
pub use exchange::{ExchangeConditions, SubjectIssuer, TokenExchange};
pub use flight::AwaitFlight;
pub use granted::Granted;
pub use inquiry::{Accept, Answer, IntrospectionPolicy, UserInfoPolicy};
pub use keys::AwaitKeys;
pub use memory::{MemoryPlan, Remember};
pub use metadata::AwaitMetadata;
pub use policy::{GrantPolicy, SUCCESSOR_WINDOW, Verification, default_assertion_algorithm};
pub use received::Received;
pub use reply::{ProviderReply, Unavailable};
pub use request::{Moment, ProviderRequest};
pub use revocation::TokenTypeHint;
pub use verification::AwaitVerification;

use crate::client::{Chosen, ChosenBy, Client, choose};
use crate::verify::{RefreshTokenHint, refresh_token_hint};
use crate::{Credential, CredentialKind, Denial, Fingerprint, FingerprintKey, Reason, Secret};

/// A grant at its beginning.
#[derive(Clone, Debug)]
pub struct Grant {
    policy: Arc<GrantPolicy>,
    credential: Credential,
    /// Place of the chosen client in `policy.clients`; none is needed where the provider is not
    /// asked as anybody.
    client: Option<usize>,
    chosen_by: ChosenBy,
    /// Read where it is wanted: most grants are served from memory, and want none.
    hint: OnceLock<Option<RefreshTokenHint>>,
}

/// What the machine needs next, or its end.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// The provider's metadata.
    Metadata(AwaitMetadata),
    /// To know whether this token was verified before, or the time.
    Verify(AwaitVerification),
    /// To know whether this credential is under way or has been traded already.
    Flight(AwaitFlight),
    /// The answer of one of the provider's endpoints.
    Call(AwaitReply),
    /// The issuer's keys.
    Keys(AwaitKeys),
    /// The end.
    Done(Ended),
}

/// The end of a grant.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    /// What everybody gets who waited for it.
    pub result: Result<Arc<Granted>, Denial>,
    /// Tokens that came and are given to nobody; the refresh token among them is the only one
    /// that is still good.
    undelivered: Option<Undelivered>,
}

/// Tokens that came and are given to nobody.
#[derive(Clone, Debug)]
struct Undelivered {
    received: Arc<Received>,
    /// Whether they may pass yet: it was the keys that were lacking.
    verifiable: bool,
}

impl From<Result<Arc<Granted>, Denial>> for Ended {
    fn from(result: Result<Arc<Granted>, Denial>) -> Self {
        Self {
            result,
            undelivered: None,
        }
    }
}

impl Grant {
    /// Begins: chooses the client, and asks for the provider's metadata.
    ///
    /// `client_arg` is the request's own word for the client to use, if it has one.
    pub fn start(
        policy: Arc<GrantPolicy>,
        credential: Credential,
        client_arg: Option<&str>,
    ) -> Step {
        let (policy, credential) = match credential {
            Credential::Bearer(token) => match GrantPolicy::taking(policy, token) {
                Ok(taken) => taken,
                Err(reason) => return deny(reason, CredentialKind::Bearer),
            },
            credential => (policy, credential),
        };
        let kind = credential.kind();
        let hint = OnceLock::new();
        // The caller's own id is used in a client credentials grant: there `client_arg` is void.
        let client_arg = client_arg.filter(|_| kind != CredentialKind::ClientCredentials);
        let azp = if policy.clients.len() > 1 {
            let hint: &Option<RefreshTokenHint> = hint.get_or_init(|| read_hint(&credential));
            hint.as_ref().and_then(|hint| hint.azp.as_deref())
        } else {
            None
        };
        let needs_client = !matches!(kind, CredentialKind::Bearer | CredentialKind::UserInfo);
        let (index, by) = match choose(&policy.clients, client_arg, azp) {
            Some(Chosen { index, by, .. }) => (Some(index), by),
            None if !needs_client => (None, ChosenBy::Default),
            None => return deny(Reason::ClientRefused, kind),
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

    /// The client that is used; `None` if the policy has none and none is needed.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        self.policy.clients.get(self.client?)
    }

    fn client_id(&self) -> &str {
        self.client().map_or("", Client::id)
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
    pub fn hint(&self) -> Option<&RefreshTokenHint> {
        self.hint
            .get_or_init(|| read_hint(&self.credential))
            .as_ref()
    }

    /// The fingerprint of a credential in the context of this grant: two grants meet in one
    /// flight exactly if they would ask the same of the same endpoint.
    ///
    /// How the client authenticates is no part of it, nor is a scope, a salt or how long results
    /// are kept where a refresh token is traded, with which no scope is sent: two routes that
    /// differ in these alone must not both send the one token that they are given.
    fn key(&self, credential: &Credential, endpoint: &Url, key: &FingerprintKey) -> Fingerprint {
        let policy = &*self.policy;
        let mut hash = key.begin();
        // By its address: an issuer is spelt with and without a slash.
        hash.part(policy.provider.discovery_url().as_str().as_bytes());
        hash.part(endpoint.as_str().as_bytes())
            .part(self.client_id().as_bytes())
            .part(credential.kind().name().as_bytes())
            .list(policy.audience.iter().map(String::as_bytes));
        for pairs in [&policy.token_post_args, &policy.token_headers] {
            hash.list(pairs.iter().map(|(name, _)| name.as_bytes()))
                .list(pairs.iter().map(|(_, value)| value.expose().as_bytes()));
        }
        match credential {
            Credential::RefreshToken(token) => {
                hash.part(token.expose().as_bytes());
            }
            // It has no flight.
            Credential::Bearer(token) => {
                return policy.verification_key(self.client_id(), token, key);
            }
            Credential::Introspection(token)
            | Credential::UserInfo(token)
            | Credential::TokenExchange(token) => {
                policy.hash_question(credential.kind(), &mut hash);
                hash.part(token.expose().as_bytes());
            }
            Credential::Password {
                username: name,
                password: secret,
            }
            | Credential::ClientCredentials {
                client_id: name,
                client_secret: secret,
            } => {
                let salt = policy.cache_salt.as_ref().map_or("", Secret::expose);
                // Where less is kept, nothing is served that was kept for longer elsewhere.
                let kept = (policy.cache_tokens, policy.cache_ttl, policy.cache_ttl_max);
                hash.list(policy.scopes.iter().map(String::as_bytes))
                    .part(salt.as_bytes())
                    .part(format!("{kept:?}").as_bytes())
                    .part(name.as_bytes())
                    .part(secret.expose().as_bytes());
            }
        }
        hash.finish()
    }

    fn deny(&self, reason: Reason) -> Step {
        deny(reason, self.kind())
    }

    fn done(&self, denial: Denial) -> Step {
        Step::Done(Err(denial.for_kind(self.kind())).into())
    }

    /// Ends without giving out what came.
    fn undelivered(&self, denial: Denial, received: Arc<Received>, verifiable: bool) -> Step {
        Step::Done(Ended {
            result: Err(denial.for_kind(self.kind())),
            undelivered: Some(Undelivered {
                received,
                verifiable,
            }),
        })
    }
}

fn read_hint(credential: &Credential) -> Option<RefreshTokenHint> {
    match credential {
        Credential::RefreshToken(token) => refresh_token_hint(token.expose()),
        _ => None,
    }
}

fn deny(reason: Reason, kind: CredentialKind) -> Step {
    Step::Done(Err(Denial::new(reason).for_kind(kind)).into())
}
