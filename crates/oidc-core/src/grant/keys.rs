//! The state in which the tokens that came are verified: the contract's section 3, OIDC Core §12.2.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::received::Received;
use super::{Grant, Granted, Step};
use crate::jose::{JwsError, KeySet};
use crate::provider::ProviderMetadata;
use crate::verify::{
    AccessTokenPolicy, IdTokenPolicy, TokenKind, VerifyError, peek, verify_access_token,
    verify_id_token,
};
use crate::{Credential, CredentialKind, Denial, Reason, UnixTime};

/// Waits for the issuer's keys, to verify the tokens that came.
#[derive(Debug)]
pub struct AwaitKeys {
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    received: Arc<Received>,
    /// The `kid`s that the tokens name.
    wanted: Vec<String>,
    /// Whether keys were found before and did not verify the tokens.
    again: bool,
}

impl AwaitKeys {
    pub(super) fn begin(
        grant: Grant,
        metadata: Arc<ProviderMetadata>,
        received: Arc<Received>,
    ) -> Step {
        let mut wanted = Vec::new();
        let mut signed = false;
        let tokens = [Some(&received.access_token), received.id_token.as_ref()];
        for token in tokens.into_iter().flatten() {
            match peek(token.expose()) {
                Ok(TokenKind::Opaque) => {}
                Ok(TokenKind::Jws { kid, .. }) => {
                    signed = true;
                    wanted.extend(kid.filter(|kid| !wanted.contains(kid)));
                }
                Err(error) => {
                    let reason = Reason::TokenInvalid(VerifyError::from(error).code());
                    return grant.undelivered(reason.into(), Arc::clone(&received), false);
                }
            }
        }
        let state = Self {
            grant,
            metadata,
            received,
            wanted,
            again: false,
        };
        if signed && state.checks_signatures() {
            return Step::Keys(state);
        }
        match state.verified(&KeySet::default()) {
            Ok(granted) => Step::Done(Ok(Arc::new(granted)).into()),
            Err(refused) => state.refuse(refused),
        }
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

    /// Whether keys have been found that do not verify the tokens: newer ones are wanted, if they
    /// can be had. A provider may replace a key without renaming it, or name none at all.
    #[must_use]
    pub const fn wants_newer(&self) -> bool {
        self.again
    }

    /// Goes on with the keys.
    ///
    /// The tokens are verified as of the time when they were received: a result that is verified
    /// again later, for another policy, is held to the same time, and to its own end by the memory.
    /// If they have ended by `now`, waiting for the keys was too long.
    pub fn found(mut self, keys: &KeySet, now: UnixTime) -> Step {
        if keys.is_empty() {
            return self.unavailable(Reason::KeysUnavailable, None);
        }
        match self.verified(keys) {
            Ok(granted) if granted.expires_at <= now => {
                let denial = Denial::new(Reason::KeysUnavailable);
                self.grant.undelivered(denial, self.received, false)
            }
            Ok(granted) => Step::Done(Ok(Arc::new(granted)).into()),
            Err(Refused::Token(VerifyError::Jws(
                JwsError::KeyUnknown | JwsError::SignatureInvalid,
            ))) if !self.again => {
                self.again = true;
                Step::Keys(self)
            }
            Err(refused) => self.refuse(refused),
        }
    }

    /// Ends: there are no keys. What came is kept, to be verified for whoever asks next.
    pub fn unavailable(self, reason: Reason, retry_after: Option<Duration>) -> Step {
        let denial = Denial::new(reason).with_retry_after(retry_after);
        self.grant.undelivered(denial, self.received, true)
    }

    fn checks_signatures(&self) -> bool {
        let verification = &self.grant.policy.verification;
        verification.checks_signature(self.grant.kind())
    }

    fn refuse(self, refused: Refused) -> Step {
        match refused {
            Refused::Token(error) => {
                let reason = Reason::TokenInvalid(error.code());
                self.grant.undelivered(reason.into(), self.received, false)
            }
            // Whoever these tokens are about, the caller is not: nothing of them is kept.
            Refused::Subject => self.grant.deny(Reason::SubjectChanged),
        }
    }

    fn verified(&self, keys: &KeySet) -> Result<Granted, Refused> {
        let (grant, received) = (&self.grant, &*self.received);
        let kind = grant.kind();
        let verification = &grant.policy.verification;
        let now = received.received_at;
        let issuers = if verification.issuers_allowed.is_empty() {
            vec![self.metadata.issuer.clone()]
        } else {
            verification.issuers_allowed.clone()
        };
        let signature = self.checks_signatures();
        let access_token = received.access_token.expose();
        let access_token_claims = match peek(access_token) {
            Ok(TokenKind::Opaque) => None,
            _ => {
                let policy = AccessTokenPolicy {
                    issuers: issuers.clone(),
                    algorithms: verification.algorithms,
                    leeway: verification.leeway,
                    verify_signature: signature,
                    verify_claims: verification.claims,
                };
                Some(Arc::new(verify_access_token(
                    access_token,
                    keys,
                    &policy,
                    now,
                )?))
            }
        };
        let client_id = match &grant.credential {
            Credential::ClientCredentials { client_id, .. } => client_id.clone(),
            _ => grant.client().id().to_owned(),
        };
        let id_token = match &received.id_token {
            None => None,
            Some(token) => {
                let policy = IdTokenPolicy {
                    issuers,
                    client_id: client_id.clone(),
                    algorithms: verification.algorithms,
                    leeway: verification.leeway,
                    nonce: None,
                    access_token: Some(access_token),
                    verify_signature: signature,
                    verify_claims: verification.claims,
                };
                let claims = verify_id_token(token.expose(), keys, &policy, now)?;
                Some((token.clone(), Arc::new(claims)))
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
            access_token: received.access_token.clone(),
            access_token_claims,
            id_token,
            refresh_token: received.refresh_token.clone(),
            scope: received.scope.clone(),
            received_at: now,
            expires_at,
            uncacheable: received.uncacheable,
            issuer: self.metadata.issuer.clone(),
            verified: verification.discriminant(kind, self.jwks_uri()),
            expected_subject: received.subject.clone(),
        };
        // OIDC Core §12.2: `iss` and `sub` must be the same as before.
        match (&granted.expected_subject, &granted.id_token) {
            (Some(before), Some(_))
                if kind == CredentialKind::RefreshToken
                    && granted.subject().as_ref() != Some(before) =>
            {
                Err(Refused::Subject)
            }
            _ => Ok(granted),
        }
    }
}

/// Why tokens are not given out.
enum Refused {
    Token(VerifyError),
    Subject,
}

impl From<VerifyError> for Refused {
    fn from(error: VerifyError) -> Self {
        Self::Token(error)
    }
}
