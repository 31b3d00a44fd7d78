//! What is remembered of a credential once a grant has ended, and what a later caller gets of it.
//! Serves the contract's section on the refresh token grant; RFC 6749 §6, RFC 9700 §4.14.2.

use std::sync::Arc;
use std::time::Duration;

use crate::grant::Granted;
use crate::{Denial, Fingerprint, Reason, Secret, UnixTime};

/// How long a refused refresh token is not sent again.
pub const REFUSED_FOR: Duration = Duration::from_secs(5);

/// The refresh token that stands in a presented one's place, and where *its* memory is kept.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The newer refresh token.
    pub token: Secret,
    /// What keys it.
    pub key: Fingerprint,
}

/// What an identity must not change to when a token is refreshed (OIDC Core §12.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `iss` of the ID token.
    pub issuer: String,
    /// `sub` of the ID token.
    pub subject: String,
}

/// What is remembered under one fingerprint.
#[derive(Clone, Debug)]
pub enum Remembered {
    /// A grant that succeeded.
    Granted {
        /// Its result.
        granted: Arc<Granted>,
        /// Until when the result itself is served: until the access token is about to expire.
        serve_until: UnixTime,
        /// Until when a late caller is served by the successor rather than sent to the provider:
        /// the successor window, or longer with `follow_rotation`.
        follow_until: UnixTime,
        /// The newer refresh token, if the provider issued one.
        successor: Option<Successor>,
    },
    /// A refresh token that the provider refused.
    Refused {
        /// Why.
        denial: Denial,
        /// Until when it is not sent again.
        until: UnixTime,
    },
    /// A refresh token that was seen being issued, and has not been presented yet.
    Issued {
        /// Whom it was issued for.
        subject: Option<Subject>,
        /// Until when that is remembered.
        until: UnixTime,
    },
}

/// What somebody who presents a remembered credential gets.
#[derive(Clone, Debug)]
pub enum Recall {
    /// The remembered result.
    Serve(Arc<Granted>),
    /// A new grant with the successor in the presented token's place.
    Refresh(Successor),
    /// The remembered refusal.
    Refuse(Denial),
    /// A grant with the credential as presented.
    Present {
        /// Whom the result must be about, if that is known.
        subject: Option<Subject>,
    },
}

impl Remembered {
    /// What a caller gets at this time.
    #[must_use]
    pub fn recall(&self, now: UnixTime) -> Recall {
        match self {
            Self::Granted {
                granted,
                serve_until,
                follow_until,
                successor,
            } => {
                if now < *serve_until {
                    return Recall::Serve(Arc::clone(granted));
                }
                match successor {
                    Some(successor) if now < *follow_until => Recall::Refresh(successor.clone()),
                    _ => Recall::Present {
                        subject: granted.subject(),
                    },
                }
            }
            Self::Refused { denial, until } if now < *until => Recall::Refuse(denial.clone()),
            Self::Refused { .. } => Recall::Present { subject: None },
            Self::Issued { subject, .. } => Recall::Present {
                subject: subject.clone(),
            },
        }
    }

    /// When nothing of this is of use any more.
    #[must_use]
    pub fn until(&self) -> UnixTime {
        match self {
            Self::Granted {
                serve_until,
                follow_until,
                ..
            } => *serve_until.max(follow_until),
            Self::Refused { until, .. } | Self::Issued { until, .. } => *until,
        }
    }

    /// What to remember of a refusal: only that a refused refresh token need not be sent again.
    #[must_use]
    pub fn refused(denial: &Denial, now: UnixTime) -> Option<Self> {
        let remembered = matches!(
            denial.reason(),
            Reason::RefreshTokenRefused
                | Reason::RefreshTokenClientMismatch
                | Reason::RefreshTokenScopeRefused
        );
        remembered.then(|| Self::Refused {
            denial: denial.clone(),
            until: now.plus(REFUSED_FOR),
        })
    }
}

/// When a token that was received at `received` and ends at `expires` is about to expire: less
/// than the smaller of 5 s and a tenth of its life is left, or `leeway` if that is larger.
#[must_use]
pub fn about_to_expire(received: UnixTime, expires: UnixTime, leeway: Duration) -> UnixTime {
    let life = expires.since(received);
    let margin = (life / 10).min(Duration::from_secs(5)).max(leeway);
    expires.minus(margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_about_to_expire_by_the_smaller_margin_unless_leeway_is_larger() {
        let received = UnixTime::from_secs(1000);
        for (life_ms, leeway_ms, margin_ms) in [
            (60_000, 0, 5_000),
            (10_000, 0, 1_000),
            (10_000, 3_000, 3_000),
            (3_600_000, 10_000, 10_000),
            (0, 0, 0),
        ] {
            let expires = received.plus(Duration::from_millis(life_ms));
            assert_eq!(
                about_to_expire(received, expires, Duration::from_millis(leeway_ms)),
                expires.minus(Duration::from_millis(margin_ms)),
            );
        }
    }

    #[test]
    fn only_a_refused_refresh_token_is_remembered_as_refused() {
        let now = UnixTime::from_secs(1000);
        for (reason, remembered) in [
            (Reason::RefreshTokenRefused, true),
            (Reason::RefreshTokenClientMismatch, true),
            (Reason::PasswordRefused, false),
            (Reason::ClientRefused, false),
            (Reason::ProviderTimeout, false),
            (Reason::ProviderCut, false),
        ] {
            assert_eq!(
                Remembered::refused(&reason.into(), now).is_some(),
                remembered,
                "{reason}"
            );
        }
        let refused =
            Remembered::refused(&Reason::RefreshTokenRefused.into(), now).expect("remembered");
        assert!(matches!(
            refused.recall(now.plus(Duration::from_millis(4_999))),
            Recall::Refuse(_)
        ));
        assert!(matches!(
            refused.recall(now.plus(REFUSED_FOR)),
            Recall::Present { .. }
        ));
    }
}
