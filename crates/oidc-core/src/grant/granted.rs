//! What a successful grant gives: tokens, what was verified of them, and what the provider says
//! about them. RFC 6749 §5.1.

use std::sync::Arc;

use super::policy::Verified as VerifiedHow;
use url::Url;

use super::inquiry::Answer;
use crate::jose::{Claims, VerificationKey};
use crate::rotation::Subject;
use crate::verify::Verified;
use crate::{CredentialKind, Denial, Reason, Secret, UnixTime};

/// The verified result of a grant.
#[derive(Clone, Debug)]
pub struct Granted {
    pub(super) kind: CredentialKind,
    pub(super) client_id: String,
    pub(super) access_token: Secret,
    pub(super) access_token_claims: Option<Arc<Verified<Claims>>>,
    /// Where the key of a presented token was found.
    pub(super) key_set: Option<Arc<Url>>,
    pub(super) id_token: Option<(Secret, Arc<Verified<Claims>>)>,
    pub(super) refresh_token: Option<Secret>,
    pub(super) scope: Option<String>,
    pub(super) received_at: UnixTime,
    pub(super) expires_at: UnixTime,
    /// The provider said that the result must not be kept (`expires_in` of zero).
    pub(super) uncacheable: bool,
    pub(super) issuer: String,
    pub(super) verified: VerifiedHow,
    /// Whom the presented refresh token was issued for, if that was known.
    pub(super) expected_subject: Option<Subject>,
    pub(super) introspection: Option<Arc<Answer>>,
    pub(super) user_info: UserInfo,
    /// What the caller presented, if it was exchanged for this.
    pub(super) presented: Option<Arc<Granted>>,
}

/// What is known about the user.
#[derive(Clone, Debug)]
pub(super) enum UserInfo {
    /// The provider was not asked.
    NotAsked,
    /// The provider was asked, and does not tell with this token.
    Refused,
    /// The provider told.
    Known(Arc<Answer>),
}

impl Granted {
    /// Which kind of credential was traded.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// The client that was used.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The access token.
    #[must_use]
    pub const fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// The access token's claims, or what its introspection says; `None` of an opaque token about
    /// which the provider was not asked.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        let own = self.access_token_claims.as_deref().map(Verified::get);
        own.or_else(|| self.introspection().map(Answer::claims))
    }

    /// The key that signed the access token, where signatures were checked.
    #[must_use]
    pub fn access_token_key(&self) -> Option<&Arc<VerificationKey>> {
        self.access_token_claims.as_deref()?.key()
    }

    /// The key that signed the ID token, where signatures were checked.
    #[must_use]
    pub fn id_token_key(&self) -> Option<&Arc<VerificationKey>> {
        self.id_token.as_ref()?.1.key()
    }

    /// Where the key set is that these keys were found in.
    #[must_use]
    pub fn key_set(&self) -> Option<&Url> {
        self.key_set.as_deref()
    }

    /// What the provider says about the token, if it was asked (RFC 7662).
    #[must_use]
    pub fn introspection(&self) -> Option<&Answer> {
        self.introspection.as_deref()
    }

    /// What the provider says about the user, if it was asked (OIDC Core §5.3).
    #[must_use]
    pub fn user_info(&self) -> Option<&Answer> {
        match &self.user_info {
            UserInfo::Known(answer) => Some(answer),
            UserInfo::NotAsked | UserInfo::Refused => None,
        }
    }

    /// What the caller presented: this, unless it was exchanged for this.
    #[must_use]
    pub fn presented(&self) -> &Self {
        self.presented.as_deref().unwrap_or(self)
    }

    /// The ID token, if there is one.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref().map(|(token, _)| token)
    }

    /// The ID token's claims.
    #[must_use]
    pub fn id_token_claims(&self) -> Option<&Claims> {
        self.id_token.as_ref().map(|(_, claims)| claims.get())
    }

    /// The refresh token to use from now on: the newest that is known, or the presented one if
    /// the provider issued no other (RFC 6749 §6).
    #[must_use]
    pub const fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// The issuer, as its discovery document spells it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The scope as the token response named it.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// When the response was received.
    #[must_use]
    pub const fn received_at(&self) -> UnixTime {
        self.received_at
    }

    /// When the access token ends: by the response or by its own claim, whichever is earlier.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Whom the tokens are about: by the ID token, or else as it was before the refresh.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        let of = |claims: &Claims| {
            Some(Subject {
                issuer: claims.issuer()?.to_owned(),
                subject: claims.subject()?.to_owned(),
            })
        };
        self.id_token_claims()
            .and_then(of)
            .or_else(|| self.expected_subject.clone())
    }

    /// Whether the access token has ended, which a presented one may do by `leeway` later.
    pub(super) fn ended_by(&self, now: UnixTime, leeway: std::time::Duration) -> bool {
        let end = if self.kind.is_access_token() {
            self.expires_at.plus(leeway)
        } else {
            self.expires_at
        };
        end <= now
    }

    /// The same with what was found out further ([`GrantPolicy::further`](super::GrantPolicy::further)).
    ///
    /// # Errors
    /// If the provider speaks of somebody else (OIDC Core §5.3.2).
    pub fn with(&self, further: &Arc<Self>) -> Result<Self, Denial> {
        let mut granted = self.clone();
        match further.kind {
            CredentialKind::Introspection => {
                granted.introspection.clone_from(&further.introspection);
                granted.expires_at = granted.expires_at.min(further.expires_at);
            }
            CredentialKind::UserInfo => {
                let told = further
                    .user_info()
                    .and_then(|answer| answer.claims().subject());
                if self
                    .token_subject()
                    .is_some_and(|subject| Some(subject) != told)
                {
                    let reason = Reason::TokenInvalid("userinfo.subject_mismatch");
                    return Err(Denial::new(reason).for_kind(self.kind));
                }
                granted.user_info = further.user_info.clone();
            }
            CredentialKind::TokenExchange => {
                granted = Self {
                    kind: self.kind,
                    presented: Some(Arc::new(granted)),
                    ..(**further).clone()
                };
            }
            _ => {}
        }
        Ok(granted)
    }

    /// The same, if that it could not be found out further is no reason to refuse it: a provider
    /// tells nothing about the user of a token that has none, or lacks the scope.
    ///
    /// # Errors
    /// With the denial, if it is one.
    pub fn without(&self, further: CredentialKind, denial: Denial) -> Result<Self, Denial> {
        match (further, denial.reason()) {
            (CredentialKind::UserInfo, Reason::AccessTokenRefused("userinfo.refused")) => {
                let mut granted = self.clone();
                granted.user_info = UserInfo::Refused;
                Ok(granted)
            }
            // The token is good: it is the gateway that should not have asked.
            (
                CredentialKind::Introspection,
                Reason::AccessTokenRefused("introspection.unsupported_token_type"),
            ) => Err(Denial::new(Reason::RequestRefused).for_kind(self.kind)),
            _ => Err(denial.for_kind(self.kind)),
        }
    }

    /// `sub` of the tokens themselves.
    fn token_subject(&self) -> Option<&str> {
        [self.id_token_claims(), self.claims()]
            .into_iter()
            .flatten()
            .find_map(Claims::subject)
    }

    /// The same with a newer refresh token.
    #[must_use]
    pub fn with_refresh_token(&self, newer: &Secret) -> Self {
        Self {
            refresh_token: Some(newer.clone()),
            ..self.clone()
        }
    }
}
