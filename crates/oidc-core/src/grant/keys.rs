//! The state in which tokens are verified with the issuer's keys: the contract's sections 3 and 5.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::inquiry::Said;
use super::received::Received;
use super::verified::{Evidence, Refused};
use super::{Grant, Granted, Step};
use crate::jose::{JwsError, KeySet};
use crate::provider::ProviderMetadata;
use crate::verify::{TokenKind, VerifyError, peek};
use crate::{CredentialKind, Denial, Reason, Secret, UnixTime};

/// Waits for the issuer's keys, to verify tokens.
///
/// Where several key sets are trusted, one after the other is asked for as it is at hand, and only
/// if none of them verifies the tokens, for newer ones.
#[derive(Debug)]
pub struct AwaitKeys {
    grant: Grant,
    metadata: Arc<ProviderMetadata>,
    matter: Matter,
    /// The `kid`s that the tokens name.
    wanted: Vec<String>,
    /// Where the keys may be, and which of these is asked for now.
    sets: Vec<Url>,
    place: usize,
    /// Whether all sets were found before and did not verify the tokens.
    again: bool,
    /// Whether one of the sets could not be had.
    away: bool,
}

/// What is to be verified.
#[derive(Debug)]
enum Matter {
    /// Tokens that are not verified yet.
    New(Arc<Received>),
    /// A result whose key has only to be one of the issuer's still.
    Known(Arc<Granted>),
}

impl AwaitKeys {
    pub(super) fn begin(
        grant: Grant,
        metadata: Arc<ProviderMetadata>,
        received: Arc<Received>,
    ) -> Step {
        let mut wanted = Vec::new();
        let mut signed = false;
        let tokens = signed_tokens(&received, grant.kind());
        for token in &tokens {
            match peek(token.expose()) {
                Ok(TokenKind::Opaque) => {}
                Ok(TokenKind::Jws { kid, .. }) => {
                    signed = true;
                    wanted.extend(kid.filter(|kid| !wanted.contains(kid)));
                }
                Err(error) => {
                    let code = VerifyError::from(error).code();
                    return refuse(grant, Refused::Token(code), Arc::clone(&received));
                }
            }
        }
        let sets = grant.policy.key_sets(&metadata, &tokens);
        let state = Self {
            sets,
            grant,
            metadata,
            matter: Matter::New(Arc::clone(&received)),
            wanted,
            place: 0,
            again: false,
            away: false,
        };
        if signed && state.checks_signatures() {
            return Step::Keys(state);
        }
        match state.verified(&received, &KeySet::default()) {
            Ok(granted) => Step::Done(Ok(Arc::new(granted)).into()),
            Err(refused) => refuse(state.grant, refused, received),
        }
    }

    /// Serves a result that was verified before, if the key that signed it is not withdrawn: what a
    /// caller presented is good for as long as its issuer's key is.
    pub(super) fn of_key(
        grant: Grant,
        metadata: Arc<ProviderMetadata>,
        granted: Arc<Granted>,
    ) -> Step {
        if grant.kind() != CredentialKind::Bearer || granted.access_token_key().is_none() {
            return Step::Done(Ok(granted).into());
        }
        Step::Keys(Self {
            grant,
            metadata,
            matter: Matter::Known(granted),
            wanted: Vec::new(),
            sets: Vec::new(),
            place: 0,
            again: false,
            away: false,
        })
    }

    /// The grant so far.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Where the keys are.
    #[must_use]
    pub fn jwks_uri(&self) -> &Url {
        let set = match &self.matter {
            Matter::Known(granted) => granted.key_set(),
            Matter::New(_) => self.sets.get(self.place),
        };
        set.unwrap_or_else(|| self.grant.policy.provider.jwks_uri_of(&self.metadata))
    }

    /// The `kid`s that the set should hold.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        // A set among several may well lack them: it is not fetched anew for that alone.
        if self.sets.len() > 1 && !self.again {
            &[]
        } else {
            &self.wanted
        }
    }

    /// Whether a result is only to be served again, if its key is still in the set.
    #[must_use]
    pub const fn serves_known(&self) -> bool {
        matches!(self.matter, Matter::Known(_))
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
        let received = match &self.matter {
            Matter::Known(granted) => {
                let key = granted.access_token_key();
                if key.is_none_or(|key| keys.holds(key.id())) {
                    return Step::Done(Ok(Arc::clone(granted)).into());
                }
                // Withdrawn. There may be another of the same name in the set, or a newer set.
                let token = granted.access_token().clone();
                let received = Arc::new(Received::presented(token, now));
                return Self::begin(self.grant, self.metadata, received);
            }
            Matter::New(received) => Arc::clone(received),
        };
        if keys.is_empty() {
            return self.unavailable(Reason::KeysUnavailable, None);
        }
        match self.verified(&received, keys) {
            Ok(granted) if granted.ended_by(now, self.grant.policy.verification.leeway) => {
                let denial = Denial::new(Reason::KeysUnavailable);
                self.grant.undelivered(denial, received, false)
            }
            Ok(granted) => Step::Done(Ok(Arc::new(granted)).into()),
            Err(refused) if refused.is_for_want_of_keys() => {
                if self.next() {
                    Step::Keys(self)
                } else if self.away {
                    self.without_keys(Denial::new(Reason::KeysUnavailable))
                } else {
                    refuse(self.grant, refused, received)
                }
            }
            Err(refused) => refuse(self.grant, refused, received),
        }
    }

    /// Goes on to the next key set, or ends: there are no keys. What came is kept, to be verified
    /// for whoever asks next.
    pub fn unavailable(mut self, reason: Reason, retry_after: Option<Duration>) -> Step {
        self.away = true;
        if self.sets.len() > 1 && self.next() {
            return Step::Keys(self);
        }
        self.without_keys(Denial::new(reason).with_retry_after(retry_after))
    }

    fn without_keys(self, denial: Denial) -> Step {
        match self.matter {
            Matter::New(received) => self.grant.undelivered(denial, received, true),
            Matter::Known(_) => self.grant.done(denial),
        }
    }

    /// Whether there is another set to ask for, or a newer one of them.
    fn next(&mut self) -> bool {
        if self.place + 1 < self.sets.len() {
            self.place += 1;
            return true;
        }
        let newer = !self.again;
        self.again = true;
        self.place = 0;
        newer
    }

    fn checks_signatures(&self) -> bool {
        let verification = &self.grant.policy.verification;
        verification.checks_signature(self.grant.kind())
    }

    fn verified(&self, received: &Received, keys: &KeySet) -> Result<Granted, Refused> {
        Evidence {
            grant: &self.grant,
            metadata: &self.metadata,
            received,
            keys,
            key_set: self.jwks_uri(),
        }
        .granted()
    }
}

/// Those of the tokens that are to be verified.
fn signed_tokens(received: &Received, kind: CredentialKind) -> Vec<&Secret> {
    match (&received.said, kind) {
        (Some(Said::Signed { jwt, .. }), _) => vec![jwt],
        // The provider's word is taken for them.
        (Some(Said::Plain(_)), _)
        | (None, CredentialKind::Introspection | CredentialKind::UserInfo) => Vec::new(),
        (None, _) => [Some(&received.access_token), received.id_token.as_ref()]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn refuse(grant: Grant, refused: Refused, received: Arc<Received>) -> Step {
    match refused {
        // What the caller brought is the caller's; what the provider has just issued, or said, is
        // the provider's.
        Refused::Token(code) if grant.kind() == CredentialKind::Bearer => {
            grant.deny(Reason::AccessTokenRefused(code))
        }
        Refused::Presented(denial) => grant.done(denial),
        Refused::Keyless(error) if grant.kind() == CredentialKind::Bearer => {
            grant.deny(Reason::AccessTokenRefused(error.code()))
        }
        Refused::Token(code) => {
            grant.undelivered(Reason::TokenInvalid(code).into(), received, false)
        }
        Refused::Keyless(error) => {
            grant.undelivered(Reason::TokenInvalid(error.code()).into(), received, false)
        }
        // Whoever these tokens are about, the caller is not: nothing of them is kept.
        Refused::Subject => grant.deny(Reason::SubjectChanged),
    }
}

impl From<VerifyError> for Refused {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Jws(error @ (JwsError::KeyUnknown | JwsError::SignatureInvalid)) => {
                Self::Keyless(error)
            }
            error => Self::Token(error.code()),
        }
    }
}
