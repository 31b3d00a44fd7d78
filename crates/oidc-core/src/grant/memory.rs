//! What is remembered of a grant that has ended, and under which fingerprints: the contract's
//! rules on rotation. The newest refresh token is never forgotten while it may be asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{Ended, Grant, GrantPolicy, Granted, Undelivered};
use crate::rotation::{
    ISSUED_FOR, Remembered, Shortcut, Subject, Successor, UNDELIVERED_FOR, about_to_expire,
};
use crate::{Credential, CredentialKind, Fingerprint, FingerprintKey, Secret, UnixTime};

/// What is to be remembered of an outcome, and under which fingerprints.
#[derive(Debug, Default)]
#[must_use]
pub struct Remember {
    /// Under the flight's own key.
    pub flight: Option<Remembered>,
    /// Of the refresh token that came with it, under that token's key: whom it was issued for.
    pub issued: Option<(Fingerprint, Remembered)>,
    /// Of the token that was presented, if a successor was sent in its place.
    pub presented: Option<(Fingerprint, Shortcut)>,
}

/// How a flight's outcome is to be remembered: made before the flight is led, applied after.
#[derive(Clone)]
pub struct MemoryPlan {
    pub(super) grant: Grant,
    pub(super) presented: Fingerprint,
    pub(super) flight: Fingerprint,
    pub(super) endpoint: Url,
    pub(super) fingerprints: FingerprintKey,
}

impl fmt::Debug for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryPlan").field(&self.flight).finish()
    }
}

impl MemoryPlan {
    /// What is to be remembered of this end, as of `now`.
    pub fn remember(&self, ended: &Ended, now: UnixTime) -> Remember {
        let newest = |token: Option<&Secret>| token.map(|token| self.successor(token));
        match (&ended.result, &ended.undelivered) {
            (Ok(granted), _) => {
                let newest = newest(granted.refresh_token());
                let flight = self.granted(granted, newest.clone(), now);
                self.line(flight, newest, granted.subject(), now)
            }
            (Err(_), Some(undelivered)) if self.refreshes() => {
                let newest = newest(undelivered.received.refresh_token.as_ref());
                let flight = self.undelivered(undelivered, newest.clone(), now);
                let subject = undelivered.received.subject.clone();
                self.line(Some(flight), newest, subject, now)
            }
            (Err(denial), _) => Remember {
                flight: Remembered::refused(denial, now),
                ..Remember::default()
            },
        }
    }

    fn policy(&self) -> &GrantPolicy {
        &self.grant.policy
    }

    fn refreshes(&self) -> bool {
        self.grant.kind() == CredentialKind::RefreshToken
    }

    fn successor(&self, token: &Secret) -> Successor {
        let credential = Credential::RefreshToken(token.clone());
        Successor {
            key: self
                .grant
                .key(&credential, &self.endpoint, &self.fingerprints),
            token: token.clone(),
        }
    }

    /// One memory for each token that it concerns.
    fn line(
        &self,
        flight: Option<Remembered>,
        newest: Option<Successor>,
        subject: Option<Subject>,
        now: UnixTime,
    ) -> Remember {
        let issued = newest
            .as_ref()
            .filter(|newest| newest.key != self.flight)
            .map(|newest| {
                let until = now.plus(ISSUED_FOR);
                (newest.key, Remembered::Issued { subject, until })
            });
        let stands_in = self.presented != self.flight;
        let presented = match (&flight, newest) {
            (Some(newer), Some(newest)) if stands_in => {
                let newer = newer.clone();
                Some((self.presented, Shortcut { newer, newest }))
            }
            _ => None,
        };
        Remember {
            flight,
            issued,
            presented,
        }
    }

    fn granted(
        &self,
        granted: &Arc<Granted>,
        newest: Option<Successor>,
        now: UnixTime,
    ) -> Option<Remembered> {
        let policy = self.policy();
        let mut serve_until = if granted.kind().is_access_token() {
            // The caller's own: nobody can give a newer one for it.
            granted.expires_at()
        } else {
            let leeway = policy.verification.leeway;
            about_to_expire(granted.received_at(), granted.expires_at(), leeway)
        };
        let exchange = policy.exchange.as_ref();
        let exchange = exchange.filter(|_| granted.kind() == CredentialKind::TokenExchange);
        let exchanged_for = exchange.and_then(|exchange| exchange.cache_ttl);
        for max in [policy.cache_ttl_max, exchanged_for].into_iter().flatten() {
            serve_until = serve_until.min(granted.received_at().plus(max));
        }
        let cached = match granted.kind() {
            CredentialKind::TokenExchange => exchange.is_some_and(|exchange| exchange.cache),
            CredentialKind::Introspection => policy.introspection.cache,
            CredentialKind::UserInfo => policy.user_info.cache,
            _ => policy.cache_tokens,
        };
        let window = if self.refreshes() {
            policy.successor_window
        } else {
            Duration::ZERO
        };
        if !cached || granted.uncacheable {
            // Even where nothing is cached, a late repetition must not replay a rotated token.
            serve_until = serve_until.min(now.plus(window));
        }
        let follow_until = now.plus(self.follow());
        // What the gateway presented itself, in another's place, hardly anybody else knows.
        let keep_until = if self.presented == self.flight {
            serve_until.max(follow_until)
        } else {
            serve_until.max(now.plus(window))
        };
        (serve_until > now || follow_until > now).then(|| Remembered::Granted {
            granted: Arc::clone(granted),
            serve_until,
            follow_until,
            keep_until,
            // Issued anew or not named at all, the same token stays current: it has no successor.
            successor: newest.filter(|newest| newest.key != self.flight),
        })
    }

    /// Nobody was given the newest token: whoever has only the older one is led to it.
    fn undelivered(
        &self,
        undelivered: &Undelivered,
        newest: Option<Successor>,
        now: UnixTime,
    ) -> Remembered {
        let received = &undelivered.received;
        let window = now.plus(self.policy().successor_window);
        let leeway = self.policy().verification.leeway;
        let verify_until = match received.expires_at {
            _ if !undelivered.verifiable => now,
            Some(end) => about_to_expire(received.received_at, end, leeway).min(window),
            None => window,
        };
        let follow_until = now.plus(self.follow().max(UNDELIVERED_FOR));
        Remembered::Undelivered {
            received: Arc::clone(received),
            verify_until,
            follow_until,
            successor: newest.filter(|newest| newest.key != self.flight),
        }
    }

    /// How long a token that has been rotated is followed to its successor.
    fn follow(&self) -> Duration {
        if !self.refreshes() {
            return Duration::ZERO;
        }
        let policy = self.policy();
        policy
            .successor_window
            .max(policy.follow_rotation.unwrap_or_default())
    }
}
