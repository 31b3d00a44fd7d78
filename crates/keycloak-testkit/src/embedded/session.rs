//! Sessions and the chains of refresh tokens in them: rotation and reuse detection.

use std::collections::HashMap;

use crate::Realm;

/// A user's session. Every login starts one.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) account: String,
    pub(super) offline: bool,
    pub(super) started: u64,
    pub(super) last_refresh: u64,
    pub(super) clients: HashMap<String, ClientSession>,
}

/// What a client has in a session.
#[derive(Clone, Default)]
pub(super) struct ClientSession {
    /// Scopes granted at the login, `openid` among them if it was asked for.
    pub(super) scopes: Vec<String>,
    /// The number of each refresh token, by its identifier: tokens count up from 1.
    issued: HashMap<String, u64>,
    /// By chain (`reuse_id`): the newest token that was used, and how often.
    used: HashMap<String, (u64, u32)>,
}

/// Why a refresh token is not taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    /// It is the one that was used last.
    UsedUp,
    /// A newer one was used since.
    Stale,
}

impl Replay {
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::UsedUp => "Maximum allowed refresh token reuse exceeded",
            Self::Stale => "Stale token",
        }
    }
}

impl Session {
    /// When a session ends that is not used any more; an offline one does not.
    pub(super) fn expires(&self, realm: &Realm, now: u64) -> Option<u64> {
        let idle = now + realm.sso_session_idle.as_secs();
        let end = self.started + realm.sso_session_max.as_secs();
        (!self.offline).then(|| idle.min(end))
    }

    pub(super) fn is_active(&self, realm: &Realm, now: u64) -> bool {
        self.expires(realm, self.last_refresh)
            .is_none_or(|end| now < end)
    }
}

impl ClientSession {
    pub(super) fn new(scopes: Vec<String>) -> Self {
        Self {
            scopes,
            ..Self::default()
        }
    }

    /// Counts a refresh token that is about to be issued.
    pub(super) fn issued(&mut self, token: &str) {
        let number = self.issued.len() as u64 + 1;
        self.issued.insert(token.to_owned(), number);
    }

    /// Uses a token up. Keycloak tells older tokens by their time of issue, in whole seconds;
    /// here every older token is found out, however short the time.
    pub(super) fn spend(&mut self, chain: &str, token: &str) -> Result<(), Replay> {
        let number = self.issued.get(token).copied().unwrap_or_default();
        let (newest, uses) = self.used.get(chain).copied().unwrap_or_default();
        if number < newest {
            return Err(Replay::Stale);
        }
        if number == newest && uses > 0 {
            return Err(Replay::UsedUp);
        }
        self.used.insert(chain.to_owned(), (number, 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientSession, Replay};

    #[test]
    fn a_token_is_spent_once_and_never_after_a_newer_one() {
        let mut session = ClientSession::new(Vec::new());
        for token in ["a", "b", "c"] {
            session.issued(token);
        }
        assert_eq!(session.spend("chain", "a"), Ok(()));
        assert_eq!(session.spend("chain", "a"), Err(Replay::UsedUp));
        assert_eq!(session.spend("chain", "c"), Ok(()));
        assert_eq!(session.spend("chain", "b"), Err(Replay::Stale));
        assert_eq!(session.spend("other chain", "b"), Ok(()));
    }
}
