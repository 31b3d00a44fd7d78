//! Everything about a provider and its clients that is known before a request comes, prepared once.
//! Serves the contract's sections 2 and 4.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::access_token::{AccessTokens, KeySource};
use super::dpop::DpopClient;
use super::exchange::TokenExchange;
use super::inquiry::{IntrospectionPolicy, UserInfoPolicy};
use crate::authorize::Requirements;
use crate::client::Client;
use crate::jose::{Algorithm, AlgorithmSet};
use crate::provider::Provider;
use crate::{CredentialKind, Secret};

/// How grants are run for one plugin or one service: the settings that a [`Grant`](super::Grant)
/// is started with.
///
/// The fields are public and documented rather than behind a builder: make one with
/// [`GrantPolicy::new`] and change what differs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GrantPolicy {
    /// The identity provider.
    pub provider: Provider,
    /// The clients that may be used, the default one first.
    pub clients: Vec<Client>,
    /// Scopes asked for by grants that begin a session: password and client credentials.
    ///
    /// Never sent with a refresh: RFC 6749 §6 reads an absent scope as the one granted before,
    /// while Keycloak narrows the new access token to what is named.
    pub scopes: Vec<String>,
    /// Audiences asked for, as `audience` parameters.
    pub audience: Vec<String>,
    /// Further parameters of each token request.
    pub token_post_args: Vec<(String, Secret)>,
    /// Further headers of each token request, by lower-case name.
    pub token_headers: Vec<(String, Secret)>,
    /// How tokens are verified.
    pub verification: Verification,
    /// How access tokens are taken that callers present.
    pub access_tokens: AccessTokens,
    /// Key sets that are trusted besides the provider's own.
    pub key_sources: Vec<KeySource>,
    /// How the provider is asked about tokens.
    pub introspection: IntrospectionPolicy,
    /// How the provider is asked about users.
    pub user_info: UserInfoPolicy,
    /// Which verified tokens are exchanged for others.
    pub exchange: Option<TokenExchange>,
    /// The key that the gateway proves possession of at the token endpoint (RFC 9449 §5); the
    /// tokens that it is issued are bound to it.
    pub dpop: Option<Arc<DpopClient>>,
    /// The parameter that holds a token to be revoked (`revocation_token_param_name`).
    pub revocation_token_param: String,
    /// What a verified token must hold for the request to be allowed.
    pub requirements: Requirements,
    /// Whether results are served again until the access token is about to expire.
    pub cache_tokens: bool,
    /// How long a result is kept that carries no expiry of its own. Default 1 h.
    pub cache_ttl: Duration,
    /// The longest that any result is kept.
    pub cache_ttl_max: Option<Duration>,
    /// Sets results apart that would otherwise be shared; not those of a refresh token, which must
    /// not be sent twice for the sake of a salt.
    pub cache_salt: Option<Secret>,
    /// How long at least a late caller with the old refresh token gets the new result. Default 30 s.
    pub successor_window: Duration,
    /// How long a caller may go on presenting a refresh token that has been rotated. Default: not
    /// beyond the successor window. It weakens the provider's detection of stolen tokens, and each
    /// rotation takes a place in memory for as long.
    pub follow_rotation: Option<Duration>,
    /// How long a client assertion is good for. Default 60 s, the longest that Keycloak takes.
    pub assertion_lifetime: Duration,
}

/// The default successor window.
pub const SUCCESSOR_WINDOW: Duration = Duration::from_secs(30);

impl GrantPolicy {
    /// A policy with everything at its default.
    #[must_use]
    pub fn new(provider: Provider, clients: Vec<Client>) -> Self {
        Self {
            provider,
            clients,
            scopes: vec!["openid".to_owned()],
            audience: Vec::new(),
            token_post_args: Vec::new(),
            token_headers: Vec::new(),
            verification: Verification::default(),
            access_tokens: AccessTokens::default(),
            key_sources: Vec::new(),
            introspection: IntrospectionPolicy::default(),
            user_info: UserInfoPolicy::default(),
            exchange: None,
            dpop: None,
            revocation_token_param: "token".to_owned(),
            requirements: Requirements::default(),
            cache_tokens: true,
            cache_ttl: Duration::from_secs(3600),
            cache_ttl_max: None,
            cache_salt: None,
            successor_window: SUCCESSOR_WINDOW,
            follow_rotation: None,
            assertion_lifetime: Duration::from_secs(60),
        }
    }
}

/// How the tokens are verified that a provider issues.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Whether signatures are checked at all.
    pub signature: bool,
    /// The grants whose tokens' signatures are not checked.
    pub ignore_signature: Vec<CredentialKind>,
    /// Whether claims (`iss`, `exp`, `nbf`, `iat`, type) are checked.
    pub claims: bool,
    /// Accepted `iss`; empty means the discovered issuer alone.
    pub issuers_allowed: Vec<String>,
    /// Accepted algorithms.
    pub algorithms: AlgorithmSet,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// The JOSE `typ` that an access token must have which a caller presents, such as `at+jwt`;
    /// `None` takes what [`AccessTokenPolicy`](crate::verify::AccessTokenPolicy) names.
    pub typ: Option<String>,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            signature: true,
            ignore_signature: Vec::new(),
            claims: true,
            issuers_allowed: Vec::new(),
            algorithms: AlgorithmSet::default(),
            leeway: Duration::ZERO,
            typ: None,
        }
    }
}

impl Verification {
    /// Whether the signatures of this grant's tokens are checked.
    #[must_use]
    pub fn checks_signature(&self, kind: CredentialKind) -> bool {
        // A token that a caller brings is worth nothing without.
        let may_be_ignored = kind != CredentialKind::Bearer;
        self.signature && !(may_be_ignored && self.ignore_signature.contains(&kind))
    }

    /// In which way a result is verified.
    pub(crate) fn discriminant(&self, kind: CredentialKind, jwks_uri: &Url) -> Verified {
        Verified {
            signature: self.checks_signature(kind),
            claims: self.claims,
            issuers: self.issuers_allowed.clone(),
            algorithms: self.algorithms,
            leeway: self.leeway,
            typ: self.typ.clone(),
            jwks_uri: jwks_uri.clone(),
        }
    }
}

/// In which way a result was verified: one that was verified in another way is verified again
/// before it is served.
#[derive(Clone)]
pub(crate) struct Verified {
    signature: bool,
    claims: bool,
    issuers: Vec<String>,
    algorithms: AlgorithmSet,
    leeway: Duration,
    typ: Option<String>,
    jwks_uri: Url,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("signature", &self.signature)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl Verified {
    /// Whether it is this way. Asked for every request that is served from memory.
    pub(crate) fn is(&self, how: &Verification, kind: CredentialKind, jwks_uri: &Url) -> bool {
        let within = |some: &[String], all: &[String]| some.iter().all(|one| all.contains(one));
        self.signature == how.checks_signature(kind)
            && self.claims == how.claims
            && self.algorithms == how.algorithms
            && self.leeway == how.leeway
            && self.typ == how.typ
            && self.jwks_uri == *jwks_uri
            && within(&self.issuers, &how.issuers_allowed)
            && within(&how.issuers_allowed, &self.issuers)
    }
}

/// The default algorithm of a method's assertions (Kong's `client_alg`).
#[must_use]
pub const fn default_assertion_algorithm(symmetric: bool) -> Algorithm {
    if symmetric {
        Algorithm::Hs256
    } else {
        Algorithm::Rs256
    }
}
