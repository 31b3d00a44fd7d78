//! What a successful grant gives: tokens, and what was verified of them. RFC 6749 §5.1.

use std::sync::Arc;

use super::policy::Verified as VerifiedHow;
use crate::jose::Claims;
use crate::rotation::Subject;
use crate::verify::Verified;
use crate::{CredentialKind, Secret, UnixTime};

/// The verified result of a grant.
#[derive(Clone, Debug)]
pub struct Granted {
    pub(super) kind: CredentialKind,
    pub(super) client_id: String,
    pub(super) access_token: Secret,
    pub(super) access_token_claims: Option<Arc<Verified<Claims>>>,
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

    /// The access token's claims; `None` if it is opaque.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.access_token_claims.as_deref().map(Verified::get)
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

    /// The same with a newer refresh token.
    #[must_use]
    pub fn with_refresh_token(&self, newer: &Secret) -> Self {
        Self {
            refresh_token: Some(newer.clone()),
            ..self.clone()
        }
    }
}
