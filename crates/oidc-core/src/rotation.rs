//! What is remembered of a credential once a grant has ended, and what a later caller gets of it.
//! Serves the contract's section on the refresh token grant; RFC 6749 §6, RFC 9700 §4.14.2.

use std::sync::Arc;
use std::time::Duration;

use crate::grant::{Granted, Received};
use crate::{CredentialKind, Denial, Fingerprint, Reason, Secret, UnixTime};

/// How long a refused refresh token is not sent again.
pub const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How long the way is kept to a refresh token that nobody was given. Not being answered is no
/// replay: a caller may come back after an outage with the only token that it has.
pub const UNDELIVERED_FOR: Duration = Duration::from_secs(3600);

/// How long it is remembered whom a refresh token was issued for. Where room is short, this goes
/// first.
pub const ISSUED_FOR: Duration = Duration::from_secs(24 * 3600);

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
        /// From when on this gives way to others where room is short.
        keep_until: UnixTime,
        /// The newer refresh token, if the provider issued one.
        successor: Option<Successor>,
    },
    /// A refresh token that was traded for tokens which nobody was given.
    Undelivered {
        /// What came.
        received: Arc<Received>,
        /// Until when that may still be verified and given out; past already if it was refused.
        verify_until: UnixTime,
        /// Until when a caller is served by the successor.
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
    /// A refresh token that was seen being issued, and is not under way.
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
    Serve {
        /// The result.
        granted: Arc<Granted>,
        /// What keys the newer refresh token, if there is one.
        successor: Option<Fingerprint>,
    },
    /// Tokens that came before, once they are verified.
    Verify(Arc<Received>),
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
                successor,
                ..
            } if now < *serve_until => Recall::Serve {
                granted: Arc::clone(granted),
                successor: successor.as_ref().map(|successor| successor.key),
            },
            Self::Undelivered {
                received,
                verify_until,
                ..
            } if now < *verify_until => Recall::Verify(Arc::clone(received)),
            Self::Granted {
                follow_until,
                successor: Some(successor),
                ..
            }
            | Self::Undelivered {
                follow_until,
                successor: Some(successor),
                ..
            } if now < *follow_until => Recall::Refresh(successor.clone()),
            Self::Refused { denial, until } if now < *until => Recall::Refuse(denial.clone()),
            _ => Recall::Present {
                subject: self.subject(),
            },
        }
    }

    /// The newer refresh token, if one is known.
    #[must_use]
    pub const fn successor(&self) -> Option<&Successor> {
        match self {
            Self::Granted { successor, .. } | Self::Undelivered { successor, .. } => {
                successor.as_ref()
            }
            Self::Refused { .. } | Self::Issued { .. } => None,
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
            Self::Undelivered {
                verify_until,
                follow_until,
                ..
            } => *verify_until.max(follow_until),
            Self::Refused { until, .. } | Self::Issued { until, .. } => *until,
        }
    }

    /// From when on this gives way where room is short. What protects a session goes last.
    #[must_use]
    pub fn keep_until(&self) -> UnixTime {
        match self {
            Self::Granted { keep_until, .. } => *keep_until,
            Self::Undelivered { .. } => self.until(),
            Self::Refused { .. } | Self::Issued { .. } => UnixTime::from_secs(0),
        }
    }

    /// Whom a grant with this token must be about, as far as that is known.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self {
            // A user's name may become another's; a refresh token stays the session's.
            Self::Granted { granted, .. } if granted.kind() == CredentialKind::RefreshToken => {
                granted.subject()
            }
            Self::Undelivered { received, .. } => received.subject.clone(),
            Self::Issued { subject, .. } => subject.clone(),
            Self::Granted { .. } | Self::Refused { .. } => None,
        }
    }

    /// What is left of this once it has ended.
    #[must_use]
    pub fn remains(&self) -> Option<Self> {
        let until = self.until().plus(ISSUED_FOR);
        match self {
            Self::Granted { .. } | Self::Undelivered { .. } => {
                let subject = self.subject();
                subject.map(|subject| Self::Issued {
                    subject: Some(subject),
                    until,
                })
            }
            Self::Refused { .. } | Self::Issued { .. } => None,
        }
    }

    /// What is remembered of an older token once a newer one of its line has been traded: it is
    /// led to the newest at once, and no longer than it would have been.
    #[must_use]
    pub fn advanced(&self, newer: &Self, newest: &Successor) -> Option<Self> {
        match (self, newer) {
            (
                Self::Granted {
                    follow_until,
                    keep_until,
                    ..
                },
                Self::Granted {
                    granted,
                    serve_until,
                    ..
                },
            ) => Some(Self::Granted {
                granted: Arc::clone(granted),
                serve_until: *serve_until.min(&self.until()),
                follow_until: *follow_until,
                keep_until: *keep_until,
                successor: Some(newest.clone()),
            }),
            // Given out at last: the window begins now.
            (
                Self::Undelivered {
                    follow_until: before,
                    ..
                },
                Self::Granted {
                    granted,
                    serve_until,
                    follow_until,
                    ..
                },
            ) => Some(Self::Granted {
                granted: Arc::clone(granted),
                serve_until: *serve_until,
                follow_until: *before.max(follow_until),
                keep_until: *before.max(follow_until),
                successor: Some(newest.clone()),
            }),
            // The newest tokens wait to be given out, and are led to for as long as they do.
            (
                Self::Granted { .. } | Self::Undelivered { .. },
                Self::Undelivered { follow_until, .. },
            ) => Some(self.clone().followed_until(*follow_until)),
            _ => None,
        }
    }

    /// What an older token of the line is told of this, which is remembered under `key`.
    #[must_use]
    pub fn shortcut(&self, key: Fingerprint) -> Option<Shortcut> {
        let Self::Granted { granted, .. } = self else {
            return None;
        };
        let newest = match self.successor() {
            Some(successor) => successor.clone(),
            None => Successor {
                token: granted.refresh_token()?.clone(),
                key,
            },
        };
        Some(Shortcut {
            newer: self.clone(),
            newest,
        })
    }

    fn followed_until(mut self, until: UnixTime) -> Self {
        if let Self::Granted { follow_until, .. } | Self::Undelivered { follow_until, .. } =
            &mut self
        {
            *follow_until = until.max(*follow_until);
        }
        if let Self::Granted { keep_until, .. } = &mut self {
            *keep_until = until.max(*keep_until);
        }
        self
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

/// The newest of a line of refresh tokens, and the short way to it.
#[derive(Debug)]
pub struct Newest {
    /// What is served.
    pub granted: Arc<Granted>,
    /// What the older token is to be told of, so that the next caller is here at once.
    pub shortcut: Option<Shortcut>,
}

/// News of a line: what is remembered of its newest token, and the refresh token to use now.
#[derive(Clone, Debug)]
pub struct Shortcut {
    /// What is remembered of the newest token that was traded.
    pub newer: Remembered,
    /// The refresh token that came of it.
    pub newest: Successor,
}

/// How far a line is walked. Every walk shortens the next.
const LINE_MAX: usize = 4096;

/// What is served for a remembered result whose refresh token may have been traded since: the
/// newest result, or this one with the newest refresh token. Who were given an older one would
/// present it, and be taken for a thief.
///
/// `remembered` looks one token of the line up; `successor` keys the one after the result's own.
pub fn newest(
    granted: Arc<Granted>,
    mut successor: Fingerprint,
    now: UnixTime,
    remembered: impl Fn(&Fingerprint) -> Option<Remembered>,
) -> Newest {
    let mut newest: Option<Successor> = None;
    let mut served = None;
    for _ in 0..LINE_MAX {
        let Some(newer) = remembered(&successor) else {
            break;
        };
        match newer.recall(now) {
            Recall::Serve { granted, .. } => served = Some((granted, newer.shortcut(successor))),
            // What waits to be verified is given out by its own flight alone.
            Recall::Verify(_) => break,
            _ => {}
        }
        let Some(next) = newer.successor() else {
            break;
        };
        successor = next.key;
        newest = Some(next.clone());
    }
    let (granted, shortcut) = served.unwrap_or((granted, None));
    let stale = newest.filter(|newest| granted.refresh_token() != Some(&newest.token));
    Newest {
        granted: match stale {
            Some(newest) => Arc::new(granted.with_refresh_token(&newest.token)),
            None => granted,
        },
        shortcut,
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
