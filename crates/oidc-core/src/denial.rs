//! Every way to say no: reason code, whose fault, status and challenge, in one table.
//! Serves the contract's table of answers; RFC 6750 §3 for the challenge.

use std::fmt;
use std::time::Duration;

use crate::CredentialKind;

/// Whose fault a refusal is; it decides the class of the answer and how loudly it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request itself, or what was presented in it.
    Caller,
    /// The identity provider answered, and its answer cannot be used.
    Provider,
    /// The identity provider did not answer in time, or not at all.
    ProviderAway,
    /// This gateway's own settings, such as a client secret that the provider refuses.
    Configuration,
    /// The gateway is at one of its own bounds.
    Overload,
}

/// What is said to the caller, apart from the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Challenge {
    /// No `WWW-Authenticate` at all.
    None,
    /// `Bearer realm="…"` without an error: nothing, or no token, was presented (RFC 6750 §3.1).
    Plain,
    /// With `error="invalid_token"`: a token was presented and refused.
    InvalidToken,
    /// With `error="insufficient_scope"`: the token is good and does not suffice.
    InsufficientScope,
    /// `DPoP error="invalid_dpop_proof"`: the proof of possession is refused (RFC 9449 §7.1).
    InvalidDpopProof,
    /// `DPoP error="use_dpop_nonce"`: a proof with the nonce of this answer is wanted
    /// (RFC 9449 §9).
    UseDpopNonce,
}

/// Why a request is refused: one cause a variant, with a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No credential was found where one is looked for.
    CredentialMissing,
    /// A credential was found that cannot be one; the code names the defect.
    CredentialMalformed(&'static str),

    /// The provider refused the refresh token (`invalid_grant`): expired, revoked, logged out.
    RefreshTokenRefused,
    /// The refresh token was issued to another client than the one that the gateway used.
    RefreshTokenClientMismatch,
    /// The scope of the refresh token is no longer granted (`invalid_scope`).
    RefreshTokenScopeRefused,
    /// The provider refused the user name or the password.
    PasswordRefused,
    /// The provider refused the caller's own client id or secret.
    ClientCredentialsRefused,

    /// The access token that the caller presented is refused; the code says why.
    AccessTokenRefused(&'static str),
    /// The caller did not prove that the token is its own, by a certificate (RFC 8705 §3) or by a
    /// key (RFC 9449 §7); the code says how it failed.
    PossessionUnproven(&'static str),
    /// The caller's proof of possession is refused (RFC 9449 §4.3); the code says why.
    ProofRefused(&'static str),
    /// A proof of possession with a fresh nonce is wanted (RFC 9449 §9); the code says what was
    /// wrong with the one that came.
    ProofNonceWanted(&'static str),
    /// The provider does not exchange this token for the one that is wanted (RFC 8693 §2.2.2).
    ExchangeRefused,

    /// The verified token lacks a required scope.
    ScopeMissing,
    /// The verified token is not for a required audience.
    AudienceMissing,
    /// The verified token lacks a required role.
    RoleMissing,
    /// The verified token lacks a required group.
    GroupMissing,
    /// The verified token holds a claim that is forbidden.
    ClaimForbidden,
    /// The verified token is of no consumer that is known.
    ConsumerUnknown,
    /// The verified token is of no consumer group that is known.
    ConsumerGroupUnknown,
    /// The caller's groups are not allowed (the `acl` plugin).
    GroupNotAllowed,
    /// The token is opaque, so that a required claim cannot be seen in it.
    ClaimsUnavailable,

    /// The provider refused the gateway's client (`invalid_client`): wrong secret or key.
    ClientRefused,
    /// The provider does not let the gateway's client use this grant (`unauthorized_client`).
    ClientUnauthorized,
    /// The provider called the gateway's request invalid (`invalid_request`, `unsupported_grant_type`).
    RequestRefused,
    /// The provider does not know a configured scope (`invalid_scope`).
    ScopeUnknown,
    /// The gateway could not sign its client assertion.
    AssertionFailed,

    /// The token response is not what RFC 6749 §5 says; the code names the defect.
    ResponseMalformed(&'static str),
    /// The provider answered with a redirect, which is never followed.
    Redirected,
    /// The discovery document is malformed; the code names the defect.
    DiscoveryMalformed(&'static str),
    /// The discovery document is another issuer's.
    DiscoveryIssuerMismatch,
    /// A token that the provider has just issued fails verification; the code says how.
    TokenInvalid(&'static str),
    /// The refreshed ID token is about another subject or from another issuer (OIDC Core §12.2).
    SubjectChanged,

    /// No connection to the provider.
    ProviderUnreachable,
    /// The connection to the provider was cut before the answer was complete.
    ProviderCut,
    /// The provider did not answer within the deadline.
    ProviderTimeout,
    /// The provider answered with a 5xx.
    ProviderError,
    /// The provider asked for fewer requests (429).
    ProviderBusy,
    /// None of the issuer's keys can be had.
    KeysUnavailable,

    /// Too many token requests are under way.
    TooManyFlights,
}

impl Reason {
    /// The stable code, as in logs, metrics and `explain`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        self.row().1
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(self) -> http::StatusCode {
        self.row().2
    }

    /// The challenge of the answer.
    #[must_use]
    pub const fn challenge(self) -> Challenge {
        self.row().3
    }

    /// The table; total, so that a new reason cannot be forgotten in it.
    const fn row(self) -> (&'static str, Fault, http::StatusCode, Challenge) {
        use http::StatusCode as S;
        const UNAUTHORIZED: S = S::UNAUTHORIZED;
        const FORBIDDEN: S = S::FORBIDDEN;
        const BAD_GATEWAY: S = S::BAD_GATEWAY;
        const AWAY: S = S::SERVICE_UNAVAILABLE;
        match self {
            Self::CredentialMissing => (
                "credential.missing",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::Plain,
            ),
            Self::CredentialMalformed(code) => {
                (code, Fault::Caller, S::BAD_REQUEST, Challenge::None)
            }

            Self::RefreshTokenRefused => (
                "refresh_token.invalid_grant",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::InvalidToken,
            ),
            Self::RefreshTokenClientMismatch => (
                "refresh_token.client_mismatch",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::InvalidToken,
            ),
            Self::RefreshTokenScopeRefused => (
                "refresh_token.invalid_scope",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::InvalidToken,
            ),
            Self::PasswordRefused => (
                "password.invalid_grant",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::Plain,
            ),
            Self::ClientCredentialsRefused => (
                "client_credentials.refused",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::Plain,
            ),

            Self::AccessTokenRefused(code) | Self::PossessionUnproven(code) => {
                (code, Fault::Caller, UNAUTHORIZED, Challenge::InvalidToken)
            }
            Self::ProofRefused(code) => (
                code,
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::InvalidDpopProof,
            ),
            Self::ProofNonceWanted(code) => {
                (code, Fault::Caller, UNAUTHORIZED, Challenge::UseDpopNonce)
            }
            Self::ExchangeRefused => (
                "token_exchange.refused",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),

            Self::ScopeMissing => (
                "authorization.scope_missing",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),
            Self::AudienceMissing => (
                "authorization.audience_missing",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),
            Self::RoleMissing => (
                "authorization.role_missing",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),
            Self::GroupMissing => (
                "authorization.group_missing",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),
            Self::ClaimForbidden => (
                "authorization.claim_forbidden",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),
            Self::ConsumerUnknown => (
                "authorization.consumer_unknown",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),
            Self::ConsumerGroupUnknown => (
                "authorization.consumer_group_unknown",
                Fault::Caller,
                UNAUTHORIZED,
                Challenge::Plain,
            ),
            Self::GroupNotAllowed => (
                "acl.group_not_allowed",
                Fault::Caller,
                FORBIDDEN,
                Challenge::None,
            ),
            Self::ClaimsUnavailable => (
                "authorization.claims_unavailable",
                Fault::Caller,
                FORBIDDEN,
                Challenge::InsufficientScope,
            ),

            Self::ClientRefused => (
                "client.invalid_client",
                Fault::Configuration,
                BAD_GATEWAY,
                Challenge::None,
            ),
            Self::ClientUnauthorized => (
                "client.unauthorized_client",
                Fault::Configuration,
                BAD_GATEWAY,
                Challenge::None,
            ),
            Self::RequestRefused => (
                "client.invalid_request",
                Fault::Configuration,
                BAD_GATEWAY,
                Challenge::None,
            ),
            Self::ScopeUnknown => (
                "client.invalid_scope",
                Fault::Configuration,
                BAD_GATEWAY,
                Challenge::None,
            ),
            Self::AssertionFailed => (
                "client.assertion_failed",
                Fault::Configuration,
                BAD_GATEWAY,
                Challenge::None,
            ),

            Self::ResponseMalformed(code)
            | Self::DiscoveryMalformed(code)
            | Self::TokenInvalid(code) => (code, Fault::Provider, BAD_GATEWAY, Challenge::None),
            Self::Redirected => (
                "provider.redirected",
                Fault::Provider,
                BAD_GATEWAY,
                Challenge::None,
            ),
            Self::DiscoveryIssuerMismatch => (
                "discovery.issuer_mismatch",
                Fault::Provider,
                BAD_GATEWAY,
                Challenge::None,
            ),
            Self::SubjectChanged => (
                "id_token.subject_changed",
                Fault::Provider,
                BAD_GATEWAY,
                Challenge::None,
            ),

            Self::ProviderUnreachable => (
                "provider.unreachable",
                Fault::ProviderAway,
                AWAY,
                Challenge::None,
            ),
            Self::ProviderCut => ("provider.cut", Fault::ProviderAway, AWAY, Challenge::None),
            Self::ProviderTimeout => (
                "provider.timeout",
                Fault::ProviderAway,
                AWAY,
                Challenge::None,
            ),
            Self::ProviderError => (
                "provider.server_error",
                Fault::ProviderAway,
                AWAY,
                Challenge::None,
            ),
            Self::ProviderBusy => (
                "provider.too_many_requests",
                Fault::ProviderAway,
                AWAY,
                Challenge::None,
            ),
            Self::KeysUnavailable => (
                "provider.keys_unavailable",
                Fault::ProviderAway,
                AWAY,
                Challenge::None,
            ),

            Self::TooManyFlights => (
                "gateway.too_many_flights",
                Fault::Overload,
                AWAY,
                Challenge::None,
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A refusal: its reason, and what the answer needs besides.
///
/// Cheap to clone, since one refusal is given to everybody who waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Denial {
    reason: Reason,
    kind: Option<CredentialKind>,
    retry_after: Option<Duration>,
    hint: Option<std::sync::Arc<str>>,
}

/// How much of a provider's own words is kept for the log.
const HINT_LIMIT: usize = 200;

/// The longest word that is kept.
const WORD_LIMIT: usize = 40;

/// `Retry-After` when the provider is away and named no time of its own.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The longest `Retry-After` that is passed on.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

impl Denial {
    /// A refusal for this reason.
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            kind: None,
            retry_after: None,
            hint: None,
        }
    }

    /// Says which kind of credential was presented.
    pub const fn for_kind(mut self, kind: CredentialKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Passes on the time after which the provider wants to be asked again.
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after.map(|after| after.min(RETRY_AFTER_MAX));
        self
    }

    /// Keeps the other side's own words for the log: shortened, free of control characters, and
    /// without words so long that they may be tokens.
    pub fn with_hint(mut self, words: &str) -> Self {
        let clean: String = words
            .split_inclusive(char::is_whitespace)
            .flat_map(|word| {
                let long = word.chars().count() > WORD_LIMIT;
                if long { "… " } else { word }.chars()
            })
            .take(HINT_LIMIT)
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        self.hint = (!clean.is_empty()).then(|| clean.into());
        self
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Which kind of credential was presented, if one was.
    #[must_use]
    pub const fn kind(&self) -> Option<CredentialKind> {
        self.kind
    }

    /// What the answer's `Retry-After` says; always something when the provider is away.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.reason.fault() {
            Fault::ProviderAway | Fault::Overload => Some(self.retry_after.unwrap_or(RETRY_AFTER)),
            Fault::Caller | Fault::Provider | Fault::Configuration => None,
        }
    }

    /// The provider's own words, for the log alone; never for the caller.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.code())
    }
}

impl std::error::Error for Denial {}
